"""The masked auto-encoder of signals: reconstruct hidden ten-second patches, compared by their log mean magnitudes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch import distributed as dist

from imuspec.encoders.roformer import RoFormer
from imuspec.nn import LMMLoss
from imuspec.objectives.gathering import world
from imuspec.objectives.objective import Metrics, Objective

__all__ = ["MaskedSignalAutoencoder", "mean_error"]


def mean_error(prediction: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return the squared difference of the signed means: the sum over the axes, the mean over the masked patches.

    Parameters
    ----------
    prediction, target : Tensor
        Patches ``[..., axes, time]``, g.
    mask : Tensor, optional
        Bool ``[...]``; by default all patches.

    Returns
    -------
    Tensor
        A scalar, g squared; 0 if no patch is masked.
    """
    difference = prediction.float() - target.float()
    if mask is None:
        return difference.mean(-1).square().sum() / max(difference[..., 0, 0].numel(), 1)
    counted = torch.where(mask[..., None, None], difference, 0.0)  # a NaN elsewhere has no gradient
    return counted.mean(-1).square().sum() / mask.sum().clamp(min=1)


class _Compared(NamedTuple):
    """Predicted and true patches ``[..., 3, patch]``, which of them count (None: all), and their number."""

    prediction: Tensor
    target: Tensor
    mask: Tensor | None
    n: Tensor


class MaskedSignalAutoencoder(Objective):
    """A linear head on RoFormer's embeddings reconstructs each patch. Only hidden patches count in the loss.

    ``loss = lmm LMM + lmv LMV + mse MSE + mean MEAN``. For a patch ``x`` and its reconstruction ``y``, with frames of
    ``N`` samples, ``S = |STFT|``, ``U(x)_k = log max(mean_t S_kt, floor)`` and ``V(x)_k = log max(var_t S_kt, floor)``:
    ``LMM = mean_k (U(x)_k - U(y)_k)^2``, ``LMV = mean_k (V(x)_k - V(y)_k)^2``, ``MSE = mean_n (x_n - y_n)^2``,
    ``MEAN = (mean_n x_n - mean_n y_n)^2``: magnitudes have no sign, so that LMM alone does not reward the direction of gravity.
    Each term is the sum over the axes and the mean over the hidden patches of the whole batch. Patches of other processes
    count too, so the gradient does not depend on the number of processes.

    Parameters
    ----------
    encoder : RoFormer
        The encoder to train.
    nfft : int or sequence of int, default 32
        Samples of a frame of the loss. The losses of several lengths are summed.
    hop : int or sequence of int, optional
        Samples between frames; by default half of `nfft`.
    floor : float, default 0.1
        Lower limit of the mean magnitude and of its variance before the logarithm, g and g squared.
    eps_per_root_n : float, optional
        If given, the floor is this number times the square root of `nfft`.
    literal_min : bool, default False
        Whether `floor` is an upper limit, as the paper's equations 1 and 4 are printed.
    unbiased : bool, default False
        Whether the variance divides by one less than the number of frames.
    lmm, lmv, mse, mean : float, default 1, 0, 0, 0
        Weights of the terms; `mean` is not the paper's. A term of weight 0 is not in the training loss, but validation reports
        it.
    share : float, default 1
        Largest share of the patches of a window that are hidden. On a GPU only so many patches of each window are
        reconstructed, as the number must be known before the batch is.

    Raises
    ------
    ValueError
        If a weight is negative, or all are 0; or if `share` is not above 0 and at most 1.

    Notes
    -----
    A window with more hidden patches than `share` makes the loss NaN on a GPU, where an error would have to wait for the
    batch. On a CPU the patches are counted, and all hidden patches are reconstructed.

    Metrics: ``lmm``, ``lmv``, ``mse`` and ``mean``, before their weights, if their weight is above 0.

    References
    ----------
    Lorenzen et al., arXiv 2502.17477 v1, sections 2.2 and 2.3, equations 1 to 7.

    Examples
    --------
    >>> import torch
    >>> from imuspec.encoders.roformer import RoFormer
    >>> objective = MaskedSignalAutoencoder(RoFormer(depth=1))
    >>> hidden = torch.tensor([[True, False, True]])
    >>> loss, metrics = objective(torch.randn(1, 3, 900), hidden)
    >>> sorted(metrics)
    ['lmm']
    """

    one_graph = True
    encoder: RoFormer

    def __init__(
        self,
        encoder: RoFormer,
        *,
        nfft: int | Sequence[int] = 32,
        hop: int | Sequence[int] | None = None,
        floor: float = 0.1,
        eps_per_root_n: float | None = None,
        literal_min: bool = False,
        unbiased: bool = False,
        lmm: float = 1.0,
        lmv: float = 0.0,
        mse: float = 0.0,
        mean: float = 0.0,
        share: float = 1.0,
    ) -> None:
        super().__init__(encoder)
        if not 0 < share <= 1:
            raise ValueError(f"share: expected a number above 0 and at most 1, got {share}")
        if min(lmm, lmv, mse, mean) < 0 or max(lmm, lmv, mse) <= 0:
            raise ValueError(
                f"lmm, lmv, mse, mean: expected weights from 0 with one of the first three above it, got {lmm}, {lmv}, {mse}, "
                f"{mean}"
            )
        self.share, self.mean_weight = share, mean
        self.head = nn.Linear(encoder.n_features, encoder.n_axes * encoder.patch)
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)
        settings: dict[str, Any] = {
            "nfft": nfft,
            "hop": hop,
            "floor": floor,
            "eps_per_root_n": eps_per_root_n,
            "literal_min": literal_min,
            "unbiased": unbiased,
        }
        weights = {"lmm": lmm, "lmv": lmv, "mse": mse}
        self.terms = tuple(name for name, weight in weights.items() if weight)
        self.loss = LMMLoss(**settings, lmm=lmm or None, lmv=lmv or None, mse=mse or None)
        self.loss_of_all_terms = LMMLoss(**settings, lmm=lmm, lmv=lmv, mse=mse)

    def reconstruct(self, x: Tensor, hidden: Tensor | None = None, missing: Tensor | None = None) -> Tensor:
        """Return the reconstruction of all patches.

        Parameters
        ----------
        x : Tensor
            Windows ``[B, 3, patches * patch]``, g.
        hidden : Tensor, optional
            Bool ``[B, patches]``, true for patches that the encoder must not see.
        missing : Tensor, optional
            Bool ``[B, patches]``, true for patches that were not measured.

        Returns
        -------
        Tensor
            ``[B, patches, 3, patch]``, g.
        """
        return self._rebuilt(self.encoder(x, hidden=hidden, missing=missing))

    def _rebuilt(self, states: Tensor) -> Tensor:
        flat: Tensor = self.head(states)  # [..., 3 * patch]
        return flat.view(*flat.shape[:-1], self.encoder.n_axes, self.encoder.patch)

    def _compared(self, x: Tensor, hidden: Tensor, missing: Tensor | None) -> _Compared:
        """Return the hidden patches alone."""
        counted = hidden if missing is None else hidden & ~missing  # [B, patches]
        states = self.encoder(x, hidden=hidden, missing=missing)
        target = x.reshape(len(x), self.encoder.n_axes, -1, self.encoder.patch).transpose(
            1, 2
        )  # [B, patches, 3, patch]
        n = counted.sum()
        if states.device.type == "cpu" and not torch.compiler.is_compiling():
            return _Compared(self._rebuilt(states[counted]), target[counted], None, n)
        most = math.ceil(self.share * counted.shape[1])
        if most >= counted.shape[1]:
            return _Compared(self._rebuilt(states), target, counted, n)
        own, index = counted.to(torch.uint8).topk(most, 1)  # [B, most]; those that are not hidden come last
        states = states.gather(1, index[..., None].expand(-1, -1, states.shape[-1]))
        target = target.gather(1, index[..., None, None].expand(-1, -1, *target.shape[2:]))
        too_many = (counted.sum(1) > most).any()
        prediction = torch.where(too_many, torch.nan, self._rebuilt(states))
        return _Compared(prediction, target, own.bool(), n)

    def forward(self, x: Tensor, hidden: Tensor, missing: Tensor | None = None) -> tuple[Tensor, Metrics]:
        """Return the loss, and its terms before their weights.

        Parameters
        ----------
        x : Tensor
            Windows ``[B, 3, patches * patch]``, g.
        hidden : Tensor
            Bool ``[B, patches]``, true for patches to reconstruct.
        missing : Tensor, optional
            Bool ``[B, patches]``, true for patches that were not measured. Attention and loss ignore them.
        """
        compared = self._compared(x, hidden, missing)
        loss, terms = self.loss.measure(compared.prediction, compared.target, compared.mask)
        metrics: Metrics = {name: getattr(terms, name) for name in self.terms}
        if self.mean_weight:
            term = mean_error(compared.prediction, compared.target, compared.mask)
            loss, metrics["mean"] = loss + self.mean_weight * term, term.detach()
        factor: Tensor | float = 1.0
        if world() > 1:  # number of hidden patches of this process over the mean number of all processes
            n_own = compared.n.float()
            n_total = n_own.clone()
            dist.all_reduce(n_total)
            factor = n_own * world() / n_total.clamp_min(1)
        return loss * factor, {name: value * factor for name, value in metrics.items()}

    @torch.no_grad()
    def measure(self, x: Tensor, hidden: Tensor, missing: Tensor | None = None) -> tuple[Metrics, Tensor]:
        """Return the loss and all three terms, for validation.

        Parameters
        ----------
        x, hidden, missing : Tensor
            As in `forward`.

        Returns
        -------
        dict of str to Tensor
            ``loss``, and ``lmm``, ``lmv``, ``mse``, ``mean`` before their weights: means over the hidden patches.
        Tensor
            Number of those patches, a scalar.
        """
        compared = self._compared(x, hidden, missing)
        loss, terms = self.loss_of_all_terms.measure(compared.prediction, compared.target, compared.mask)
        term = mean_error(compared.prediction, compared.target, compared.mask)
        return {"loss": loss + self.mean_weight * term, **terms._asdict(), "mean": term}, compared.n

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return two groups: matrices with weight decay, and norms, biases and the mask token without."""
        decayed = [p for p in self.parameters() if p.requires_grad and p.ndim > 1]
        others = [p for p in self.parameters() if p.requires_grad and p.ndim <= 1]
        return [{"params": decayed}, {"params": others, "weight_decay": 0.0}]
