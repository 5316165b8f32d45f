"""SimCLR for activities: two views of a window agree, and no two windows do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from imuspec.encoders.standardised import bare
from imuspec.objectives.gathering import gather, gather_with_gradient, rank, world

if TYPE_CHECKING:
    from imuspec.encoders import Encoder

__all__ = ["SimClr", "nt_xent"]


def nt_xent(first: Tensor, second: Tensor, *, temperature: float = 0.1) -> Tensor:
    """Normalised, temperature-scaled cross-entropy: pick a vector's other view among the 2 B - 1 other vectors.

    With ``z`` the 2 B vectors of unit length and ``p(i)`` the other view of ``i``,
    ``loss = -1/(2 B) sum_i log(exp(z_i . z_p(i) / t) / sum_{j != i} exp(z_i . z_j / t))``. With several processes the
    other vectors are those of all of them, and the gradient flows to them too.

    Parameters
    ----------
    first, second
        Vectors ``[B, width]`` of two views; row ``i`` of both is the same window.
    temperature
        ``t``.

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
    itself = rows[:, None] == torch.arange(2 * n, device=z.device)
    logits = logits.masked_fill(itself, -torch.inf)
    return functional.cross_entropy(logits, (rows + n) % (2 * n))


class SimClr(nn.Module):
    """A head on the encoder, by default 256 -> 128 -> 50 with ReLU between, and :func:`nt_xent` on two views.

    Parameters
    ----------
    encoder
        The encoder to train.
    widths
        Output widths of the head's layers.
    temperature
        Of the cross-entropy.
    """

    def __init__(self, encoder: nn.Module, *, widths: Sequence[int] = (256, 128, 50), temperature: float = 0.1) -> None:
        super().__init__()
        self.encoder, self.temperature = encoder, temperature
        layers: list[nn.Module] = []
        n_in = cast("Encoder", encoder).n_features
        for width in widths:
            layers += [nn.Linear(n_in, width), nn.ReLU()]
            n_in = width
        self.head = nn.Sequential(*layers[:-1])

    def forward(self, first: Tensor, second: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss and figures of two views of each window."""
        features = bare(self.encoder)(torch.cat([first, second]))  # [2 B, features]
        z1, z2 = self.head(features).chunk(2)
        loss = nt_xent(z1, z2, temperature=self.temperature)
        with torch.no_grad():
            a, b = functional.normalize(z1, dim=1), functional.normalize(z2, dim=1)
            own = rank() * len(a) + torch.arange(len(a), device=a.device)
            figures = {
                "top1": ((a @ gather(b).T).argmax(1) == own).float().mean(),
                "positive_cosine": (a * b).sum(1).mean(),
                "feature_sd": functional.normalize(features, dim=1).std(0).mean(),
            }
        return loss, figures

    def after_step(self) -> None:
        """Nothing is kept between steps."""
