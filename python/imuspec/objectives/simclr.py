"""SimCLR for activities: two views of a window must be closer to each other than to the views of other windows."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from imuspec.encoders import Encoder
from imuspec.encoders.standardised import inner_encoder
from imuspec.objectives.gathering import gather, gather_with_gradient, rank, world
from imuspec.objectives.objective import Metrics, Objective

__all__ = ["SimClr", "nt_xent"]


def nt_xent(first: Tensor, second: Tensor, *, temperature: float = 0.1) -> Tensor:
    """Return SimCLR's loss, the normalised temperature-scaled cross-entropy (NT-Xent).

    With ``z`` the ``2 B`` vectors of unit length and ``p(i)`` the other view of ``i``,
    ``loss = -1/(2 B) sum_i log(exp(z_i . z_p(i) / t) / sum_{j != i} exp(z_i . z_j / t))``. The sum over ``j`` runs over
    the vectors of all processes, and the gradient flows to all of them.

    Parameters
    ----------
    first, second : Tensor
        Vectors ``[B, width]`` of two views, of any length. Row ``i`` of both is the same window.
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
        all_z, n, start = z, len(first), 0
    else:
        first, second = functional.normalize(first, dim=1), functional.normalize(second, dim=1)  # [B, width]
        z = torch.cat([first, second])  # [2 B, width], this process's vectors
        all_z = torch.cat([gather_with_gradient(first), gather_with_gradient(second)])  # [2 N, width], N = world B
        n, start = len(all_z) // 2, rank() * len(first)
    own = start + torch.arange(len(z) // 2, device=z.device)  # [B], rows of this process among the N
    rows = torch.cat([own, own + n])  # [2 B]
    logits = z @ all_z.T / temperature  # [2 B, 2 N]
    itself = rows[:, None] == torch.arange(2 * n, device=z.device)  # [2 B, 2 N]
    logits = logits.masked_fill(itself, -torch.inf)
    return functional.cross_entropy(logits, (rows + n) % (2 * n))


class SimClr(Objective):
    """A head on the encoder, by default 256 -> 128 -> 50 with ReLU between. The loss is :func:`nt_xent` of two views.

    Parameters
    ----------
    encoder : Encoder
        The encoder to train.
    widths : sequence of int, default (256, 128, 50)
        Output widths of the head's layers.
    temperature : float, default 0.1
        Temperature ``t`` of :func:`nt_xent`.

    Notes
    -----
    Metrics: ``top1``, the share of windows whose own second view is the closest one; ``positive_cosine`` of the two views;
    ``feature_sd``, the mean standard deviation of the embeddings of unit length (0 at collapse).

    References
    ----------
    Tang et al. 2020, Exploring contrastive learning in human activity recognition for healthcare.
    """

    one_graph = True

    def __init__(self, encoder: Encoder, *, widths: Sequence[int] = (256, 128, 50), temperature: float = 0.1) -> None:
        super().__init__(encoder)
        self.temperature = temperature
        layers: list[nn.Module] = []
        n_in = encoder.n_features
        for width in widths:
            layers += [nn.Linear(n_in, width), nn.ReLU()]
            n_in = width
        self.head = nn.Sequential(*layers[:-1])

    def forward(self, first: Tensor, second: Tensor) -> tuple[Tensor, Metrics]:
        """Return the loss and the metrics.

        Parameters
        ----------
        first, second : Tensor
            Two views ``[B, axes, time]`` of each window.
        """
        features = inner_encoder(self.encoder)(torch.cat([first, second]))  # [2 B, features]
        z1, z2 = self.head(features).chunk(2)  # [B, width] each
        loss = nt_xent(z1, z2, temperature=self.temperature)
        with torch.no_grad():
            u1, u2 = functional.normalize(z1, dim=1), functional.normalize(z2, dim=1)
            own = rank() * len(u1) + torch.arange(len(u1), device=u1.device)  # [B]
            metrics = {
                "top1": ((u1 @ gather(u2).T).argmax(1) == own).float().mean(),
                "positive_cosine": (u1 * u2).sum(1).mean(),
                "feature_sd": functional.normalize(features, dim=1).std(0).mean(),
            }
        return loss, metrics
