"""SimCLR for activities: two views of a window agree, and no two windows do."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from imuspec.encoders import Encoder
from imuspec.encoders.standardised import bare
from imuspec.objectives.gathering import gather, gather_with_gradient, rank, world
from imuspec.objectives.objective import Figures, Objective

__all__ = ["SimClr", "nt_xent"]


def nt_xent(first: Tensor, second: Tensor, *, temperature: float = 0.1) -> Tensor:
    """Return the normalised, temperature-scaled cross-entropy: each vector picks its other view among all others.

    With ``z`` the ``2 B`` vectors of unit length and ``p(i)`` the other view of ``i``,
    ``loss = -1/(2 B) sum_i log(exp(z_i . z_p(i) / t) / sum_{j != i} exp(z_i . z_j / t))``. With several processes the
    other vectors are those of all of them, and the gradient flows to them too.

    Parameters
    ----------
    first, second : Tensor
        Vectors ``[B, width]`` of two views; row ``i`` of both is the same window.
    temperature : float, default 0.1
        ``t``.

    References
    ----------
    Chen, Kornblith, Norouzi, Hinton 2020, A simple framework for contrastive learning of visual representations,
    equation 1.

    Examples
    --------
    >>> import torch
    >>> from imuspec.objectives.simclr import nt_xent
    >>> bool(nt_xent(torch.eye(4), torch.eye(4)) < nt_xent(torch.eye(4), torch.eye(4).flip(0)))
    True
    """
    if world() == 1:
        z = functional.normalize(torch.cat([first, second]), dim=1)  # [2 B, width]
        everyone, n, begin = z, len(first), 0
    else:
        first, second = functional.normalize(first, dim=1), functional.normalize(second, dim=1)  # [B, width]
        z = torch.cat([first, second])  # [2 B, width]: this process's
        everyone = torch.cat([gather_with_gradient(first), gather_with_gradient(second)])  # [2 N, width], N = world B
        n, begin = len(everyone) // 2, rank() * len(first)
    own = begin + torch.arange(len(z) // 2, device=z.device)  # [B]: rows of this process among the N
    rows = torch.cat([own, own + n])  # [2 B]
    logits = z @ everyone.T / temperature  # [2 B, 2 N]
    itself = rows[:, None] == torch.arange(2 * n, device=z.device)  # [2 B, 2 N]
    logits = logits.masked_fill(itself, -torch.inf)
    return functional.cross_entropy(logits, (rows + n) % (2 * n))


class SimClr(Objective):
    """A head on the encoder, by default 256 -> 128 -> 50 with ReLU between, and :func:`nt_xent` on two views.

    Parameters
    ----------
    encoder : Encoder
        The encoder to train.
    widths : sequence of int, default (256, 128, 50)
        Output widths of the head's layers.
    temperature : float, default 0.1
        Temperature of the cross-entropy.

    Notes
    -----
    Figures: ``top1``, the share of windows whose other view is the closest; ``positive_cosine`` of the two views;
    ``feature_sd``, the mean standard deviation of the normalised embeddings (0 is collapse).

    References
    ----------
    Tang et al. 2020, Exploring contrastive learning in human activity recognition for healthcare.
    """

    def __init__(self, encoder: Encoder, *, widths: Sequence[int] = (256, 128, 50), temperature: float = 0.1) -> None:
        super().__init__(encoder)
        self.temperature = temperature
        layers: list[nn.Module] = []
        n_in = encoder.n_features
        for width in widths:
            layers += [nn.Linear(n_in, width), nn.ReLU()]
            n_in = width
        self.head = nn.Sequential(*layers[:-1])

    def forward(self, first: Tensor, second: Tensor) -> tuple[Tensor, Figures]:
        """Return the loss and figures of two views ``[B, axes, time]`` of each window."""
        features = bare(self.encoder)(torch.cat([first, second]))  # [2 B, features]
        z1, z2 = self.head(features).chunk(2)  # [B, width] each
        loss = nt_xent(z1, z2, temperature=self.temperature)
        with torch.no_grad():
            u1, u2 = functional.normalize(z1, dim=1), functional.normalize(z2, dim=1)
            own = rank() * len(u1) + torch.arange(len(u1), device=u1.device)  # [B]
            figures = {
                "top1": ((u1 @ gather(u2).T).argmax(1) == own).float().mean(),
                "positive_cosine": (u1 * u2).sum(1).mean(),
                "feature_sd": functional.normalize(features, dim=1).std(0).mean(),
            }
        return loss, figures
