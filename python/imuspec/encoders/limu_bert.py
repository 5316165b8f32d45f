"""LIMU-BERT: a small transformer on the samples of a window, whose four layers share their weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from imuspec.encoders.encoder import Encoder

__all__ = ["LimuBert", "Norm"]


class Norm(nn.Module):
    """Layer normalisation, ``gamma (x - mean) / sqrt(variance + 1e-12) + beta``, with the public weights' names.

    Parameters
    ----------
    width : int
        Length of the last dimension, over which mean and variance are computed.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))
        self.beta = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised values ``[..., width]``."""
        return functional.layer_norm(x, (x.shape[-1],), self.gamma, self.beta, 1e-12)


class _Embedding(nn.Module):
    """A linear map of each sample plus its learned position, with the same normalisation before and after the sum."""

    def __init__(self, n_axes: int, n_steps: int, width: int) -> None:
        super().__init__()
        self.lin = nn.Linear(n_axes, width)
        self.pos_embed = nn.Embedding(n_steps, width)
        self.norm = Norm(width)

    def forward(self, x: Tensor) -> Tensor:  # [B, step, axes] -> [B, step, width]
        h: Tensor = self.norm(self.norm(self.lin(x)) + self.pos_embed.weight[: x.shape[1]])
        return h


class _Attention(nn.Module):
    """Multi-head self-attention, ``softmax(q k^T / sqrt(width / heads)) v``, without an output projection."""

    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.proj_q = nn.Linear(width, width)
        self.proj_k = nn.Linear(width, width)
        self.proj_v = nn.Linear(width, width)

    def forward(self, h: Tensor) -> Tensor:  # [B, step, width]
        q, k, v = (
            part(h).unflatten(-1, (self.n_heads, -1)).transpose(1, 2)  # [B, head, step, width / heads]
            for part in (self.proj_q, self.proj_k, self.proj_v)
        )
        return functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


class _FeedForward(nn.Module):
    """``fc2(gelu(fc1(h)))``."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, h: Tensor) -> Tensor:
        out: Tensor = self.fc2(functional.gelu(self.fc1(h)))
        return out


class LimuBert(Encoder):
    """A transformer that computes a state of 72 numbers for each sample. The embedding is the mean of the states.

    A layer is ``a = attention(h)``, ``b = norm1(a + proj(a))``, ``h <- norm2(b + feed_forward(b))``. As in the authors' code,
    the first residual adds the output of the attention, not the input of the layer. All layers have the same weights.

    Parameters
    ----------
    n_axes : int, default 3
        Axes of a window: 6 in the public weights (accelerometer in g, then gyroscope in rad/s), 3 in IMG2IMU's comparison.
    n_steps : int, default 120
        Samples of the longest window. Each has a learned position.
    width : int, default 72
        Width of a state.
    hidden : int, default 144
        Width of the hidden layer of the feed-forward network.
    n_heads : int, default 4
        Number of attention heads.
    n_layers : int, default 4
        Number of layers.

    Raises
    ------
    ValueError
        If a window has another number of axes, or more than `n_steps` samples.

    References
    ----------
    Xu, Zhou, Tan, Shen 2021, LIMU-BERT: unleashing the potential of unlabeled data for IMU sensing applications.

    Examples
    --------
    >>> import torch
    >>> from imuspec.encoders.limu_bert import LimuBert
    >>> LimuBert(n_steps=100)(torch.zeros(2, 3, 100)).shape
    torch.Size([2, 72])
    """

    kind = "signal"

    def __init__(
        self,
        *,
        n_axes: int = 3,
        n_steps: int = 120,
        width: int = 72,
        hidden: int = 144,
        n_heads: int = 4,
        n_layers: int = 4,
    ) -> None:
        super().__init__()
        self.n_axes, self.n_steps, self.n_layers = n_axes, n_steps, n_layers
        self.n_features = width
        self.embed = _Embedding(n_axes, n_steps, width)
        self.attn = _Attention(width, n_heads)
        self.proj = nn.Linear(width, width)
        self.norm1 = Norm(width)
        self.pwff = _FeedForward(width, hidden)
        self.norm2 = Norm(width)

    def input_shape(self, n_samples: int | None = None) -> tuple[int, ...]:
        """Return (axes, samples), by default those of the longest window."""
        return (self.n_axes, n_samples or self.n_steps)

    def states(self, x: Tensor) -> Tensor:
        """Return the states ``[B, step, width]`` after the last layer, of windows ``[B, axes, step]``."""
        return self._states(x)[-1]

    def _states(self, x: Tensor) -> list[Tensor]:
        """Return the states ``[B, step, width]`` after the embedding and after each layer."""
        if x.shape[1] != self.n_axes or x.shape[2] > self.n_steps:
            raise ValueError(f"x: expected [B, {self.n_axes}, up to {self.n_steps}], got {list(x.shape)}")
        h = self.embed(x.transpose(1, 2))  # [B, step, width]
        states = [h]
        for _ in range(self.n_layers):
            h = self.attn(h)
            h = self.norm1(h + self.proj(h))
            h = self.norm2(h + self.pwff(h))
            states.append(h)
        return states

    def forward(self, x: Tensor) -> Tensor:
        """Return the mean states ``[B, width]`` of windows ``[B, axes, step]``."""
        return self.states(x).mean(1)

    def layers(self, x: Tensor) -> dict[str, Tensor]:
        """Return the mean state after the embedding (``embed``) and after each layer (``layer1``, ...).

        ``embedding`` is the mean state after the last layer.
        """
        states = self._states(x)
        layers = {"embed": states[0].mean(1)}  # [B, width]
        layers |= {f"layer{i}": h.mean(1) for i, h in enumerate(states[1:], 1)}
        return layers | {"embedding": states[-1].mean(1)}
