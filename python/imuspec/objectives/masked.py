"""The masked auto-encoder: reconstruct hidden ten-second patches, judged by their log mean magnitudes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist

from imuspec.encoders.roformer import RoFormer
from imuspec.nn import LMMLoss

__all__ = ["MaskedAutoencoder"]


class MaskedAutoencoder(nn.Module):
    """A linear head on RoFormer's embeddings rebuilds each patch; the loss is taken on the hidden patches alone.

    ``loss = lmm LMM + lmv LMV + mse MSE``, summed over the axes and averaged over the hidden patches of the whole batch,
    those of other processes counted (so that any division of a batch among processes has the same gradient).
    :class:`imuspec.nn.LMMLoss` defines the terms.

    Parameters
    ----------
    encoder
        The encoder to train.
    nfft, hop, floor, eps_per_root_n, literal_min, unbiased
        Of the loss; several `nfft` are summed.
    lmm, lmv, mse
        Weights. A term of weight 0 is left out of training and still measured in validation.

    Raises
    ------
    ValueError
        No weight above 0.

    References
    ----------
    Lorenzen et al., arXiv 2502.17477 v1, sections 2.2 and 2.3, equations 1 to 7.

    Examples
    --------
    >>> import torch
    >>> from imuspec.encoders.roformer import RoFormer
    >>> objective = MaskedAutoencoder(RoFormer(depth=1))
    >>> hidden = torch.tensor([[True, False, True]])
    >>> loss, figures = objective(torch.randn(1, 3, 900), hidden)
    >>> sorted(figures)
    ['lmm']
    """

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
        super().__init__()
        if min(lmm, lmv, mse) < 0 or max(lmm, lmv, mse) <= 0:
            raise ValueError(f"lmm, lmv, mse: expected weights from 0 with one above it, got {lmm}, {lmv}, {mse}")
        self.encoder = encoder
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
        """What the network makes of each patch: [B, patches, 3, patch], g."""
        out: Tensor = self.head(self.encoder(x, hidden=hidden, missing=missing))
        return out.view(*out.shape[:-1], self.encoder.n_axes, self.encoder.patch)

    def forward(self, x: Tensor, hidden: Tensor, missing: Tensor | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss, and its terms without their weights.

        Parameters
        ----------
        x
            [B, 3, patches * patch], g.
        hidden
            Bool [B, patches]: patches to reconstruct.
        missing
            Bool [B, patches]: patches that were not measured, left out of attention and loss.
        """
        marked = hidden if missing is None else hidden & ~missing
        loss, terms = self.loss.measure(self.reconstruct(x, hidden, missing), self._patches(x), marked)
        share = _share(marked)
        return loss * share, {name: getattr(terms, name) * share for name in self.terms}

    @torch.no_grad()
    def measure(self, x: Tensor, hidden: Tensor, missing: Tensor | None = None) -> tuple[dict[str, Tensor], Tensor]:
        """Loss and all three terms without their weights, and the number of patches they are means over."""
        marked = hidden if missing is None else hidden & ~missing
        loss, terms = self.measured.measure(self.reconstruct(x, hidden, missing), self._patches(x), marked)
        return {"loss": loss, **terms._asdict()}, marked.sum()

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Matrices with weight decay; norms, biases and the mask token without."""
        decayed = [p for p in self.parameters() if p.requires_grad and p.ndim > 1]
        others = [p for p in self.parameters() if p.requires_grad and p.ndim <= 1]
        return [{"params": decayed}, {"params": others, "weight_decay": 0.0}]

    def _patches(self, x: Tensor) -> Tensor:
        return x.reshape(len(x), self.encoder.n_axes, -1, self.encoder.patch).transpose(1, 2)


def _share(marked: Tensor) -> Tensor | float:
    """Hidden patches here over the mean of all processes: 1 where each has as many."""
    if not (dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1):
        return 1.0
    mine = marked.sum().float()
    total = mine.clone()
    dist.all_reduce(total)
    return mine * dist.get_world_size() / total.clamp_min(1)
