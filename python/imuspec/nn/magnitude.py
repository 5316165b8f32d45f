"""LMM and LMV features and the spectral reconstruction loss, differentiable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from imuspec import _core
from imuspec.arrays import as_signals
from imuspec.nn.transform import FramedTransform, hann, in_full_precision, magnitude
from imuspec.spectral.magnitude import _resolutions

Moment = Literal["mean", "variance", "unbiased-variance"]
Resolution = tuple[int, int, float]
"""nfft, hop and floor."""


class _LogMoment(nn.Module):
    """The log of a moment over time of |STFT| at one resolution."""

    def __init__(self, resolution: Resolution, *, literal_min: bool) -> None:
        super().__init__()
        nfft, hop, self.floor = resolution
        self.literal_min = literal_min
        self.transform = FramedTransform(hann(nfft), hop, padded=True)

    def magnitudes(self, x: Tensor) -> Tensor:
        return magnitude(self.transform(x))

    def log(self, magnitudes: Tensor, moment: Moment) -> Tensor:
        unbiased = int(moment == "unbiased-variance")
        value = magnitudes.mean(-2) if moment == "mean" else magnitudes.var(-2, correction=unbiased)
        return torch.log(value.clamp(max=self.floor) if self.literal_min else value.clamp(min=self.floor))


class LogMeanMagnitude(nn.Module):
    """:func:`imuspec.log_mean_magnitude` as a module.

    Parameters
    ----------
    nfft, hop, floor, eps_per_root_n, literal_min
        As there; a sequence of `nfft` makes the output a tuple.

    Examples
    --------
    >>> import torch
    >>> LogMeanMagnitude(32)(torch.zeros(2, 3, 300)).shape
    torch.Size([2, 3, 17])
    """

    moment: Moment = "mean"

    def __init__(
        self,
        nfft: int | Sequence[int] = 32,
        *,
        hop: int | Sequence[int] | None = None,
        floor: float = 0.1,
        eps_per_root_n: float | None = None,
        literal_min: bool = False,
    ) -> None:
        super().__init__()
        resolutions = _resolutions(nfft, hop, floor=floor, eps_per_root_n=eps_per_root_n)
        self.single = np.ndim(nfft) == 0
        self.parts = nn.ModuleList(_LogMoment(r, literal_min=literal_min) for r in resolutions)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """[..., time] to [..., nfft // 2 + 1], float32 at least, or a tuple of those for several `nfft`."""
        with torch.autocast(x.device.type, enabled=False):
            x = in_full_precision(x)
            results = tuple(part.log(part.magnitudes(x), self.moment) for part in self._parts())
        return results[0] if self.single else results

    def _parts(self) -> list[_LogMoment]:
        return [part for part in self.parts if isinstance(part, _LogMoment)]


class LogMagnitudeVariance(LogMeanMagnitude):
    """:func:`imuspec.log_magnitude_variance` as a module; `unbiased` divides by one less than the number of frames.

    Parameters
    ----------
    nfft, hop, floor, eps_per_root_n, literal_min, unbiased
        As there.

    Examples
    --------
    >>> import torch
    >>> LogMagnitudeVariance(32, unbiased=True)(torch.zeros(2, 3, 300)).shape
    torch.Size([2, 3, 17])
    """

    def __init__(self, nfft: int | Sequence[int] = 32, *, unbiased: bool = False, **settings: Any) -> None:
        super().__init__(nfft, **settings)
        self.moment = "unbiased-variance" if unbiased else "variance"


class LossTerms(NamedTuple):
    """The terms of the loss without their weights, detached, each [...] or a scalar; zero where not computed."""

    lmm: Tensor
    lmv: Tensor
    mse: Tensor


class _Settings(NamedTuple):
    resolutions: list[Resolution]
    literal_min: bool
    unbiased: bool
    weights: tuple[float | None, float | None, float | None]


class _NativeLoss(torch.autograd.Function):
    """The loss of every signal from the native kernel, which computes the gradient beside it: only that is kept."""

    @staticmethod
    def forward(ctx: Any, prediction: Tensor, target: Tensor, settings: _Settings) -> tuple[Tensor, Tensor]:
        terms = prediction.new_empty((*prediction.shape[:-1], 3))
        gradient = torch.empty_like(prediction, memory_format=torch.contiguous_format)
        differentiated = ctx.needs_input_grad[0]
        _core.lmm_loss_into(
            as_signals(prediction, "prediction", double="float64"),
            as_signals(target, "target", double="float64"),
            settings.resolutions,
            settings.literal_min,
            settings.weights,
            settings.unbiased,
            terms.numpy(),
            gradient.numpy() if differentiated else None,
        )
        if differentiated:
            ctx.save_for_backward(gradient)
        ctx.mark_non_differentiable(terms)
        return _weighted(terms.unbind(-1), settings.weights), terms

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, loss: Tensor, _terms: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * loss.unsqueeze(-1), None, None


def _weighted(terms: Sequence[Tensor], weights: Sequence[float | None]) -> Tensor:
    """The weighted sum; a term of weight zero has no share even if it is infinite."""
    total = torch.zeros_like(terms[0])
    for term, weight in zip(terms, weights, strict=True):
        if weight:
            total = total + weight * term
    return total


class LMMLoss(nn.Module):
    """Spectral reconstruction loss: w_lmm LMM + w_lmv LMV + w_mse MSE.

    LMM = sum over `nfft` of mean_k (U[k](prediction) - U[k](target))^2 with U of :func:`imuspec.log_mean_magnitude`, LMV
    the same of :func:`imuspec.log_magnitude_variance`, MSE the mean over samples. On a CPU the native kernel computes loss
    and gradient in one pass; elsewhere, and in an export, a constant-matrix transform does.

    Parameters
    ----------
    nfft, hop, floor, eps_per_root_n, literal_min, unbiased
        As of the features.
    lmm, lmv, mse
        Weights. None leaves the term out; 0 computes and reports it without a share in the loss.
    reduction
        "mean": *sum* over axes, mean over masked patches (equation 7). "none": the loss of every patch and axis.
    native
        Use the native kernel; None decides by the device.

    Notes
    -----
    Lorenzen et al., arXiv 2502.17477 v1: equations 1 to 3 (LMM), 4 to 6 (LMV), 7 (reduction), combinations LMM + MSE and
    LMM + LMV. The gradient flows to the prediction only. Computed in float32 at least, under autocast too.

    Examples
    --------
    >>> import torch
    >>> prediction = torch.zeros(4, 3, 300, requires_grad=True)
    >>> LMMLoss(nfft=32, mse=0.1)(prediction, torch.ones(4, 3, 300)).ndim
    0
    """

    def __init__(
        self,
        nfft: int | Sequence[int] = 32,
        *,
        hop: int | Sequence[int] | None = None,
        floor: float = 0.1,
        eps_per_root_n: float | None = None,
        literal_min: bool = False,
        unbiased: bool = False,
        lmm: float | None = 1.0,
        lmv: float | None = None,
        mse: float | None = None,
        reduction: Literal["mean", "none"] = "mean",
        native: bool | None = None,
    ) -> None:
        super().__init__()
        if reduction not in ("mean", "none"):
            raise ValueError(f'reduction: expected "mean" or "none", got {reduction!r}')
        resolutions = _resolutions(nfft, hop, floor=floor, eps_per_root_n=eps_per_root_n)
        self.settings = _Settings(resolutions, literal_min, unbiased, (lmm, lmv, mse))
        self.reduction, self.native = reduction, native
        self.parts = nn.ModuleList(_LogMoment(r, literal_min=literal_min) for r in resolutions)

    def forward(self, prediction: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        """Loss of the marked patches.

        Parameters
        ----------
        prediction : Tensor
            [..., axis, time], g.
        target : Tensor
            Of the same shape; no gradient flows to it.
        mask : Tensor, optional
            [...], bool, or integers that mark where they are not 0. Without a marked patch the loss is 0.
            ``reduction="none"`` ignores it.

        Raises
        ------
        ValueError
            If the shapes do not fit or the mask is of floating point.
        """
        return self.measure(prediction, target, mask)[0]

    def measure(self, prediction: Tensor, target: Tensor, mask: Tensor | None = None) -> tuple[Tensor, LossTerms]:
        """The loss, and its terms for a log, reduced alike."""
        if prediction.shape != target.shape or prediction.ndim < 2:
            raise ValueError(f"prediction: expected {tuple(target.shape)}, got {tuple(prediction.shape)}")
        if mask is not None and mask.shape != prediction.shape[:-2]:
            raise ValueError(f"mask: expected {tuple(prediction.shape[:-2])}, got {tuple(mask.shape)}")
        native = self.native
        if native is None:
            native = prediction.device.type == "cpu" and not torch.compiler.is_compiling()
        if mask is not None and self.reduction == "mean":
            marked = _marked(mask)
            if native:  # unmarked patches are left out, which is faster
                prediction, target, mask = prediction[marked], target[marked], None
            else:  # and here silenced, so that a NaN in one of them has no gradient
                prediction, target = (torch.where(marked[..., None, None], x, 0.0) for x in (prediction, target))
                mask = marked
        with torch.autocast(prediction.device.type, enabled=False):
            prediction = in_full_precision(prediction)
            target = target.detach().to(prediction.dtype)
            loss, terms = self._native(prediction, target) if native else self._matrix(prediction, target)
        return self._reduced(loss, mask), LossTerms(*(self._reduced(term, mask) for term in terms))

    def _native(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, list[Tensor]]:
        if not prediction.numel():
            nothing = prediction.sum(-1)
            return nothing, [nothing.detach()] * 3
        loss, terms = _NativeLoss.apply(prediction, target, self.settings)
        return loss, list(terms.unbind(-1))

    def _matrix(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, list[Tensor]]:
        nothing = torch.zeros_like(prediction[..., 0])
        _, lmv_weight, mse_weight = weights = self.settings.weights
        lmm, lmv, mse = nothing, nothing, nothing
        spread: Moment = "unbiased-variance" if self.settings.unbiased else "variance"
        for part in self.parts:
            if not isinstance(part, _LogMoment):
                continue
            ours, theirs = part.magnitudes(prediction), part.magnitudes(target)
            if weights[0] is not None:
                lmm = lmm + (part.log(ours, "mean") - part.log(theirs, "mean")).square().mean(-1)
            if lmv_weight is not None:
                lmv = lmv + (part.log(ours, spread) - part.log(theirs, spread)).square().mean(-1)
        if mse_weight is not None:
            mse = (prediction - target).square().mean(-1)
        return _weighted((lmm, lmv, mse), weights), [term.detach() for term in (lmm, lmv, mse)]

    def _reduced(self, values: Tensor, mask: Tensor | None) -> Tensor:
        if self.reduction == "none":
            return values
        patches = values.sum(-1)
        if mask is None:
            return patches.sum() / max(patches.numel(), 1)
        return torch.where(mask, patches, 0.0).sum() / mask.sum().clamp(min=1)


def _marked(mask: Tensor) -> Tensor:
    """Return a mask as bool; an integer mask marks where it is not 0."""
    if mask.is_floating_point() or mask.is_complex():
        raise ValueError(f"mask: expected bool or integers, got {str(mask.dtype).removeprefix('torch.')}")
    return mask.bool()


def lmm_loss(prediction: Tensor, target: Tensor, mask: Tensor | None = None, **settings: Any) -> Tensor:
    """:class:`LMMLoss` as a function: the same settings, nothing kept between calls.

    Parameters
    ----------
    prediction, target
        [..., axis, time] in g.
    mask
        [...], bool, or integers that mark where they are not 0; without a marked patch the loss is 0.
    settings
        Those of :class:`LMMLoss`.

    Returns
    -------
    Tensor
        A scalar, or [..., axis] with ``reduction="none"``.

    Examples
    --------
    >>> import torch
    >>> lmm_loss(torch.zeros(4, 3, 300), torch.ones(4, 3, 300), reduction="none").shape
    torch.Size([4, 3])
    """
    return LMMLoss(**settings).measure(prediction, target, mask)[0]
