"""The masked auto-encoder of signals: reconstruct hidden ten-second patches, judged by their log mean magnitudes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist

from imuspec.encoders.roformer import RoFormer
from imuspec.nn import LMMLoss
from imuspec.objectives.gathering import world
from imuspec.objectives.objective import Figures, Objective

__all__ = ["MaskedSignalAutoencoder"]


class MaskedSignalAutoencoder(Objective):
    """A linear head on RoFormer's embeddings rebuilds each patch; only hidden patches count in the loss.

    ``loss = lmm LMM + lmv LMV + mse MSE``: each term is summed over the axes and averaged over the hidden patches of the
    whole batch, those of other processes included, so that any division of a batch among processes has the same gradient.
    :class:`imuspec.nn.LMMLoss` defines the terms.

    Parameters
    ----------
    encoder : RoFormer
        The encoder to train.
    nfft : int or sequence of int, default 32
        Samples of a frame of the loss; the losses of several are summed.
    hop : int or sequence of int, optional
        Samples between frames; by default half of `nfft`.
    floor, eps_per_root_n, literal_min, unbiased
        As of :class:`imuspec.nn.LMMLoss`.
    lmm, lmv, mse : float, default 1, 0, 0
        Weights. A term of weight 0 is left out of training and still measured in validation.

    Raises
    ------
    ValueError
        If a weight is negative, or none is above 0.

    Notes
    -----
    Figures: the terms with a weight, before their weights.

    References
    ----------
    Lorenzen et al., arXiv 2502.17477 v1, sections 2.2 and 2.3, equations 1 to 7.

    Examples
    --------
    >>> import torch
    >>> from imuspec.encoders.roformer import RoFormer
    >>> objective = MaskedSignalAutoencoder(RoFormer(depth=1))
    >>> hidden = torch.tensor([[True, False, True]])
    >>> loss, figures = objective(torch.randn(1, 3, 900), hidden)
    >>> sorted(figures)
    ['lmm']
    """

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
    ) -> None:
        super().__init__(encoder)
        if min(lmm, lmv, mse) < 0 or max(lmm, lmv, mse) <= 0:
            raise ValueError(f"lmm, lmv, mse: expected weights from 0 with one above it, got {lmm}, {lmv}, {mse}")
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
        self.measured = LMMLoss(**settings, lmm=lmm, lmv=lmv, mse=mse)

    def reconstruct(self, x: Tensor, hidden: Tensor | None = None, missing: Tensor | None = None) -> Tensor:
        """Return the reconstruction of each patch ``[B, patches, 3, patch]``, g, from windows ``[B, 3, time]``."""
        flat: Tensor = self.head(self.encoder(x, hidden=hidden, missing=missing))  # [B, patches, 3 patch]
        return flat.view(*flat.shape[:-1], self.encoder.n_axes, self.encoder.patch)

    def forward(self, x: Tensor, hidden: Tensor, missing: Tensor | None = None) -> tuple[Tensor, Figures]:
        """Return the loss, and its terms without their weights.

        Parameters
        ----------
        x : Tensor
            Windows ``[B, 3, patches * patch]``, g.
        hidden : Tensor
            Bool ``[B, patches]``: patches to reconstruct.
        missing : Tensor, optional
            Bool ``[B, patches]``: patches that were not measured; attention and loss leave them out.
        """
        counted = hidden if missing is None else hidden & ~missing  # [B, patches]
        loss, terms = self.loss.measure(self.reconstruct(x, hidden, missing), self._patches(x), counted)
        share: Tensor | float = 1.0
        if world() > 1:  # this process's hidden patches over the mean of all processes
            mine = counted.sum().float()
            total = mine.clone()
            dist.all_reduce(total)
            share = mine * world() / total.clamp_min(1)
        return loss * share, {name: getattr(terms, name) * share for name in self.terms}

    @torch.no_grad()
    def measure(self, x: Tensor, hidden: Tensor, missing: Tensor | None = None) -> tuple[Figures, Tensor]:
        """Return the loss with all three terms, unweighted, and the number of patches that they are means over."""
        counted = hidden if missing is None else hidden & ~missing  # [B, patches]
        loss, terms = self.measured.measure(self.reconstruct(x, hidden, missing), self._patches(x), counted)
        return {"loss": loss, **terms._asdict()}, counted.sum()

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return matrices with weight decay; norms, biases and the mask token without."""
        decayed = [p for p in self.parameters() if p.requires_grad and p.ndim > 1]
        others = [p for p in self.parameters() if p.requires_grad and p.ndim <= 1]
        return [{"params": decayed}, {"params": others, "weight_decay": 0.0}]

    def _patches(self, x: Tensor) -> Tensor:
        return x.reshape(len(x), self.encoder.n_axes, -1, self.encoder.patch).transpose(1, 2)  # [B, patches, 3, patch]
