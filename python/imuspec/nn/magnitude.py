"""Log mean magnitude (LMM), log magnitude variance (LMV) and the spectral reconstruction loss, as PyTorch modules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from imuspec import _core
from imuspec.arrays import as_signals, check_axes
from imuspec.nn.transform import FramedTransform, all_magnitudes, hann, in_full_precision, magnitude
from imuspec.spectral.magnitude import resolutions_of

_LONGEST_PRODUCT = 512  # samples of a signal; the matrix of all frames of longer ones is mostly zeros
Moment = Literal["mean", "variance", "unbiased-variance"]
Resolution = tuple[int, int, float]
"""nfft, hop and floor."""


class _LogMoment(nn.Module):
    """The logarithm of a moment over time of |STFT|, for one frame length and hop."""

    def __init__(self, resolution: Resolution, *, literal_min: bool) -> None:
        super().__init__()
        nfft, hop, self.floor = resolution
        self.literal_min = literal_min
        self.transform = FramedTransform(hann(nfft), hop, padded=True)

    def magnitudes(self, x: Tensor) -> Tensor:  # [..., time] -> [..., frame, bin]
        return magnitude(self.transform(x))

    def log(self, magnitudes: Tensor, moment: Moment) -> Tensor:  # [..., frame, bin] -> [..., bin]
        unbiased = int(moment == "unbiased-variance")
        value = magnitudes.mean(-2) if moment == "mean" else magnitudes.var(-2, correction=unbiased)
        return torch.log(value.clamp(max=self.floor) if self.literal_min else value.clamp(min=self.floor))


class LogMeanMagnitude(nn.Module):
    """:func:`imuspec.log_mean_magnitude` as a module: ``U[k] = log max(mean_t |STFT|[t, k], floor)``.

    Parameters
    ----------
    nfft : int or sequence of int, default 32
        Samples of a frame. If it is a sequence, the output is a tuple.
    hop : int or sequence of int, optional
        Samples from one frame to the next; by default ``nfft // 2``.
    floor : float, default 0.1
        Smallest mean magnitude before the logarithm, in the signal's unit.
    eps_per_root_n : float, optional
        If given, the floor is ``eps_per_root_n * sqrt(nfft)``.
    literal_min : bool, default False
        Whether the floor is an upper limit, as the paper prints it.

    References
    ----------
    Lorenzen et al., arXiv 2502.17477 v1, equations 1 to 3.

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
        resolutions = resolutions_of(nfft, hop, floor=floor, eps_per_root_n=eps_per_root_n)
        self.single = np.ndim(nfft) == 0
        self.parts = nn.ModuleList(_LogMoment(r, literal_min=literal_min) for r in resolutions)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Return the features.

        Parameters
        ----------
        x : Tensor
            Signals ``[..., time]``, g.

        Returns
        -------
        Tensor or tuple of Tensor
            ``[..., nfft // 2 + 1]``, float64 for float64 signals, else float32. A tuple if `nfft` is a sequence.

        Raises
        ------
        ValueError
            If `x` looks like ``[..., time, axes]``.
        """
        if not torch.compiler.is_compiling():
            check_axes(x)
        with torch.autocast(x.device.type, enabled=False):
            x = in_full_precision(x)
            parts = (part for part in self.parts if isinstance(part, _LogMoment))
            results = tuple(part.log(part.magnitudes(x), self.moment) for part in parts)
        return results[0] if self.single else results


class LogMagnitudeVariance(LogMeanMagnitude):
    """:func:`imuspec.log_magnitude_variance` as a module: ``V[k] = log max(var_t |STFT|[t, k], floor)``.

    Parameters
    ----------
    nfft : int or sequence of int, default 32
        Samples of a frame. If it is a sequence, the output is a tuple.
    unbiased : bool, default False
        Whether the variance divides by one less than the number of frames.
    **settings : object
        `hop`, `floor`, `eps_per_root_n` and `literal_min` of :class:`LogMeanMagnitude`.

    References
    ----------
    Lorenzen et al., arXiv 2502.17477 v1, equations 4 to 6.

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
    """The terms of the loss before their weights, without gradient. A term that was not computed is 0."""

    lmm: Tensor
    lmv: Tensor
    mse: Tensor


class _Settings(NamedTuple):
    resolutions: list[Resolution]
    literal_min: bool
    unbiased: bool
    weights: tuple[float | None, float | None, float | None]


class _NativeLoss(torch.autograd.Function):
    """The loss by the native kernel: of each signal, or the mean over patches. It computes the gradient too.

    The first backward passes that gradient on, scaled in place where its factor is not 1: its memory is as large as the
    prediction's, and fresh memory costs a second thread what it gains. Another backward of a retained graph computes it again.
    """

    @staticmethod
    def forward(ctx: Any, prediction: Tensor, target: Tensor, settings: _Settings, mean: bool) -> tuple[Tensor, Tensor]:
        share = 1.0 / max(prediction.shape[:-2].numel(), 1) if mean else 1.0
        ctx.settings, ctx.share = settings, share
        terms, ctx.gradient = _native_terms(prediction, target, settings, share if ctx.needs_input_grad[0] else None)
        ctx.save_for_backward(prediction, target)
        ctx.mark_non_differentiable(terms)
        loss = _weighted(terms.unbind(-1), settings.weights)
        return _mean(loss) if mean else loss, terms

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, loss: Tensor, _terms: Tensor) -> tuple[Tensor, None, None, None]:
        gradient, ctx.gradient = ctx.gradient, None
        if gradient is None:
            prediction, target = ctx.saved_tensors
            _, gradient = _native_terms(prediction, target, ctx.settings, ctx.share)
        if loss.ndim:
            gradient.mul_(loss.unsqueeze(-1))
        elif loss.item() != 1:
            gradient.mul_(loss)
        return gradient, None, None, None


def _native_terms(
    prediction: Tensor, target: Tensor, settings: _Settings, share: float | None
) -> tuple[Tensor, Tensor | None]:
    """Return the terms ``[..., axis, 3]``, and the gradient of `share` times the loss unless `share` is None."""
    terms = prediction.new_empty((*prediction.shape[:-1], 3))
    gradient = None if share is None else torch.empty_like(prediction, memory_format=torch.contiguous_format)
    lmm, lmv, mse = (weight if weight is None else weight * (share or 1.0) for weight in settings.weights)
    _core.lmm_loss_into(
        as_signals(prediction, "prediction", double="float64"),
        as_signals(target, "target", double="float64"),
        settings.resolutions,
        settings.literal_min,
        (lmm, lmv, mse),
        settings.unbiased,
        terms.numpy(),
        None if gradient is None else gradient.numpy(),
    )
    return terms, gradient


def _mean(values: Tensor) -> Tensor:
    """Return the mean over patches of the sum over axes of values ``[..., axis]``."""
    return values.sum(-1).sum() / max(values.shape[:-1].numel(), 1)


def _weighted(terms: Sequence[Tensor], weights: Sequence[float | None]) -> Tensor:
    """Return the weighted sum of the terms. A term of weight 0 does not count, even if it is infinite."""
    total = torch.zeros_like(terms[0])
    for term, weight in zip(terms, weights, strict=True):
        if weight:
            total = total + weight * term
    return total


class LMMLoss(nn.Module):
    """Spectral reconstruction loss, ``lmm * LMM + lmv * LMV + mse * MSE``.

    Of one axis of a patch: ``LMM = mean_k (U[k](prediction) - U[k](target))^2`` with ``U`` of
    :func:`imuspec.log_mean_magnitude`, summed over `nfft`; LMV is the same with ``V`` of
    :func:`imuspec.log_magnitude_variance`; ``MSE = mean_n (prediction_n - target_n)^2``.

    Parameters
    ----------
    nfft : int or sequence of int, default 32
        Samples of a frame. The terms of several frame lengths are summed.
    hop : int or sequence of int, optional
        Samples from one frame to the next; by default ``nfft // 2``.
    floor : float, default 0.1
        Smallest mean magnitude, g, and smallest variance, g squared, before the logarithm.
    eps_per_root_n : float, optional
        If given, the floor is ``eps_per_root_n * sqrt(nfft)``.
    literal_min : bool, default False
        Whether the floor is an upper limit, as the paper prints it.
    unbiased : bool, default False
        Whether the variance divides by one less than the number of frames.
    lmm, lmv, mse : float or None, default 1, None, None
        Weights of the terms. A term with weight None is not computed. A term with weight 0 is computed and reported, but is
        not in the loss.
    reduction : {"mean", "none"}, default "mean"
        "mean": sum over the axes, mean over the masked patches (equation 7). "none": the loss of each patch and axis.
    native : bool, optional
        Whether to use the native kernel; by default it is used on a CPU, but not in an export.

    Raises
    ------
    ValueError
        If `reduction` is not a known reduction, or `nfft`, `hop` or the floor are outside their domains.

    Notes
    -----
    The native kernel computes loss and gradient in one pass. The gradient flows to the prediction only. float64 input is
    computed in float64, other input in float32, under autocast too.

    References
    ----------
    Lorenzen et al., arXiv 2502.17477 v1: equations 1 to 3 (LMM), 4 to 6 (LMV), 7 (reduction).

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
        resolutions = resolutions_of(nfft, hop, floor=floor, eps_per_root_n=eps_per_root_n)
        self.settings = _Settings(resolutions, literal_min, unbiased, (lmm, lmv, mse))
        self.reduction, self.native = reduction, native
        self.parts = nn.ModuleList(_LogMoment(r, literal_min=literal_min) for r in resolutions)

    def forward(self, prediction: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the loss of the masked patches.

        Parameters
        ----------
        prediction : Tensor
            ``[..., axis, time]``, g.
        target : Tensor
            ``[..., axis, time]``, g. No gradient flows to it.
        mask : Tensor, optional
            Bool ``[...]``, or integers, where all but 0 are true: the patches to compare. By default all. Without such a
            patch the loss is 0. ``reduction="none"`` ignores the mask.

        Returns
        -------
        Tensor
            A scalar, or ``[..., axis]`` with ``reduction="none"``.

        Raises
        ------
        ValueError
            If the shapes do not fit, or the mask has floating-point or complex numbers.
        """
        return self.measure(prediction, target, mask)[0]

    def measure(self, prediction: Tensor, target: Tensor, mask: Tensor | None = None) -> tuple[Tensor, LossTerms]:
        """Return the loss and its terms before their weights, in the same reduction.

        Parameters
        ----------
        prediction, target, mask : Tensor
            As in `forward`.
        """
        if prediction.shape != target.shape or prediction.ndim < 2:
            raise ValueError(f"prediction: expected {tuple(target.shape)}, got {tuple(prediction.shape)}")
        if mask is not None and mask.shape != prediction.shape[:-2]:
            raise ValueError(f"mask: expected {tuple(prediction.shape[:-2])}, got {tuple(mask.shape)}")
        native = self.native
        if native is None:
            native = prediction.device.type == "cpu" and not torch.compiler.is_compiling()
        if mask is not None and self.reduction == "mean":
            mask = _as_bool(mask)
            if native:  # only the masked patches are computed, which is faster
                prediction, target, mask = prediction[mask], target[mask], None
            else:  # the others become 0, so that a NaN in one of them has no gradient
                prediction, target = (torch.where(mask[..., None, None], x, 0.0) for x in (prediction, target))
        with torch.autocast(prediction.device.type, enabled=False):
            prediction = in_full_precision(prediction)
            target = target.detach().to(prediction.dtype)
            loss, terms = self._native(prediction, target) if native else self._matrix(prediction, target)
        loss = loss if native else self._reduced(loss, mask)
        return loss, LossTerms(*(self._reduced(term, mask) for term in terms))

    def _native(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the reduced loss and the three terms ``[..., axis]``, from the native kernel."""
        mean = self.reduction == "mean"
        if not prediction.numel():
            zero = prediction.sum(-1)
            return _mean(zero) if mean else zero, [zero.detach()] * 3
        loss, terms = _NativeLoss.apply(prediction, target, self.settings, mean)
        return loss, list(terms.unbind(-1))

    def _matrix(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the loss ``[..., axis]`` and the three terms, from the constant-matrix transform."""
        lmm = lmv = mse = torch.zeros_like(prediction[..., 0])
        lmm_weight, lmv_weight, mse_weight = weights = self.settings.weights
        variance: Moment = "unbiased-variance" if self.settings.unbiased else "variance"
        parts = [part for part in self.parts if isinstance(part, _LogMoment)]
        both = torch.stack([prediction, target])  # [2, ..., axis, time]
        if prediction.shape[-1] <= _LONGEST_PRODUCT:
            magnitudes = all_magnitudes(both, tuple((part.transform.nfft, part.transform.hop) for part in parts))
        else:
            magnitudes = [part.magnitudes(both) for part in parts]
        for part, (predicted, true) in zip(parts, magnitudes, strict=True):  # [..., axis, frame, bin] each
            if lmm_weight is not None:
                lmm = lmm + (part.log(predicted, "mean") - part.log(true, "mean")).square().mean(-1)
            if lmv_weight is not None:
                lmv = lmv + (part.log(predicted, variance) - part.log(true, variance)).square().mean(-1)
        if mse_weight is not None:
            mse = (prediction - target).square().mean(-1)
        return _weighted((lmm, lmv, mse), weights), [term.detach() for term in (lmm, lmv, mse)]

    def _reduced(self, values: Tensor, mask: Tensor | None) -> Tensor:
        """Return the mean over masked patches of the sum over axes of values ``[..., axis]``."""
        if self.reduction == "none":
            return values
        if mask is None:
            return _mean(values)
        return torch.where(mask, values.sum(-1), 0.0).sum() / mask.sum().clamp(min=1)


def _as_bool(mask: Tensor) -> Tensor:
    """Return a mask as bool. Of an integer mask all but 0 is true."""
    if mask.is_floating_point() or mask.is_complex():
        raise ValueError(f"mask: expected bool or integers, got {str(mask.dtype).removeprefix('torch.')}")
    return mask.bool()


def lmm_loss(prediction: Tensor, target: Tensor, mask: Tensor | None = None, **settings: Any) -> Tensor:
    """Return the loss of :class:`LMMLoss`. Use the class in a training loop: this function builds it at each call.

    Parameters
    ----------
    prediction, target : Tensor
        ``[..., axis, time]``, g. The gradient flows to the prediction only.
    mask : Tensor, optional
        Bool ``[...]``, or integers, where all but 0 are true: the patches to compare. By default all.
    **settings : object
        Keyword arguments of :class:`LMMLoss`.

    Returns
    -------
    Tensor
        A scalar, or ``[..., axis]`` with ``reduction="none"``.

    Examples
    --------
    >>> import torch
    >>> lmm_loss(torch.zeros(4, 3, 300), torch.ones(4, 3, 300), reduction="none").shape
    torch.Size([4, 3])
    """
    return LMMLoss(**settings).measure(prediction, target, mask)[0]
