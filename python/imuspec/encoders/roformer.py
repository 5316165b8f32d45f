"""RoFormer: a transformer on the ten-second patches of a window, with rotary position embedding."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from imuspec.encoders.encoder import Encoder

__all__ = ["RoFormer", "missing_patches", "rotate", "rotation_angles"]

_INIT_STD = 0.02


def rotation_angles(n: int, width: int, base: float = 10000.0) -> Tensor:
    """Return the rotation angle of each pair of dimensions at each position, ``position * base**(-2 i / width)``.

    Parameters
    ----------
    n : int
        Number of positions.
    width : int
        Number of dimensions, even.
    base : float, default 10000
        Base of the wavelengths.

    Returns
    -------
    Tensor
        float64 ``[n, width // 2]``, radians.
    """
    frequency = base ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    return torch.arange(n, dtype=torch.float64)[:, None] * frequency


def rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Rotate each pair of dimensions (0, 1), (2, 3), ... by the angle of its position.

    ``(a, b) -> (a cos - b sin, a sin + b cos)``. The product of two rotated vectors depends only on the distance between
    their positions.

    Parameters
    ----------
    x : Tensor
        Queries or keys ``[..., position, width]``.
    cosine, sine : Tensor
        Cosine and sine of the angles ``[position, width // 2]``.

    References
    ----------
    Su et al. 2021, RoFormer: enhanced transformer with rotary position embedding, equation 34.
    """
    pairs = x.unflatten(-1, (-1, 2))
    signs = torch.stack((-sine, sine), -1)  # [position, width // 2, 2]
    return torch.addcmul(pairs * cosine[..., None], pairs.flip(-1), signs).flatten(-2)


def missing_patches(x: Tensor, patch: int = 300) -> Tensor:
    """Return which patches of windows contain a NaN.

    Parameters
    ----------
    x : Tensor
        Windows ``[B, axes, patches * patch]``.
    patch : int, default 300
        Samples of a patch.

    Returns
    -------
    Tensor
        Bool ``[B, patches]``.
    """
    return torch.isnan(x).reshape(*x.shape[:-1], -1, patch).any(-1).any(1)


class _Attention(nn.Module):
    """Multi-head self-attention whose queries and keys are rotated by their position."""

    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor, attended: Tensor | None) -> Tensor:  # x [B, P, width]
        weight = torch.cat([self.query.weight, self.key.weight, self.value.weight])  # one product in place of three
        states = functional.linear(x, weight).unflatten(-1, (3, self.n_heads, -1)).permute(2, 0, 3, 1, 4)
        value = states[2]  # [B, heads, P, width / heads]
        query, key = rotate(states[:2], cosine, sine).to(value.dtype)
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=attended)
        out: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return out


class _Block(nn.Module):
    """``x += attention(norm x)``, then ``x += W2 (silu(W1 y) * W3 y)`` with ``y = norm x``."""

    def __init__(self, width: int, n_heads: int, hidden: int, eps: float) -> None:
        super().__init__()
        self.norm1 = nn.RMSNorm(width, eps)
        self.attention = _Attention(width, n_heads)
        self.norm2 = nn.RMSNorm(width, eps)
        self.w1 = nn.Linear(width, hidden, bias=False)
        self.w2 = nn.Linear(hidden, width, bias=False)
        self.w3 = nn.Linear(width, hidden, bias=False)

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor, attended: Tensor | None) -> Tensor:  # x [B, P, width]
        x = x + self.attention(self.norm1(x), cosine, sine, attended)
        y = self.norm2(x)
        out: Tensor = x + self.w2(functional.silu(self.w1(y)) * self.w3(y))
        return out


class RoFormer(Encoder):
    """The encoder of the LMM masked auto-encoder: 12 blocks of width 256 on up to 300 patches of 10 s at 30 Hz.

    A linear layer maps each patch, its 3 x 300 samples axis by axis, to an embedding. The mask token, a learned vector,
    replaces the embedding of a hidden patch. Each block is ``x <- x + attention(norm x)``, then
    ``x <- x + W2 (silu(W1 norm x) * W3 norm x)``, without biases. There are 9,677,568 parameters. With the reconstruction head
    of :class:`~imuspec.objectives.masked.MaskedSignalAutoencoder` there are 9,908,868, as in the paper.

    Parameters
    ----------
    patch : int, default 300
        Samples of a patch.
    width : int, default 256
        Width of the embedding of a patch.
    depth : int, default 12
        Number of blocks.
    n_heads : int, default 8
        Number of attention heads.
    hidden : int, optional
        Width of the hidden layer of the feed-forward network; by default ``round(8 / 3 width)``.
    n_patches : int, default 300
        Largest number of patches in a window.
    base : float, default 10000
        Base of the wavelengths of the rotation.
    eps : float, default 1e-6
        Number that the norms add to the mean square.

    Raises
    ------
    ValueError
        If `width` is no multiple of ``2 * n_heads``, or a window is no whole number of patches.

    Notes
    -----
    The paper does not state the number of heads, the initial weights and the order of the samples in a patch. These are
    our choice.

    References
    ----------
    Lorenzen et al., arXiv 2502.17477 v1, section 2.2; Su et al. 2021, RoFormer (rotary positions).

    Examples
    --------
    >>> import torch
    >>> from imuspec.encoders.roformer import RoFormer
    >>> RoFormer(depth=1)(torch.zeros(2, 3, 5 * 300)).shape
    torch.Size([2, 5, 256])
    """

    kind = "signal"
    n_axes = 3
    mask_token: nn.Parameter
    cosine: Tensor
    sine: Tensor

    def __init__(
        self,
        *,
        patch: int = 300,
        width: int = 256,
        depth: int = 12,
        n_heads: int = 8,
        hidden: int | None = None,
        n_patches: int = 300,
        base: float = 10000.0,
        eps: float = 1e-6,
    ) -> None:
        super().__init__()
        if width % (2 * n_heads):
            raise ValueError(f"width: expected a multiple of 2 n_heads = {2 * n_heads}, got {width}")
        self.patch, self.n_features, self.n_patches = patch, width, n_patches
        self.embed = nn.Linear(self.n_axes * patch, width)
        self.mask_token = nn.Parameter(torch.empty(width))
        hidden = round(8 * width / 3) if hidden is None else hidden
        self.blocks = nn.ModuleList(_Block(width, n_heads, hidden, eps) for _ in range(depth))
        self.norm = nn.RMSNorm(width, eps)
        angles = rotation_angles(n_patches, width // n_heads, base)
        self.register_buffer("cosine", angles.cos().float(), persistent=False)
        self.register_buffer("sine", angles.sin().float(), persistent=False)
        self._initialise()

    def _initialise(self) -> None:
        """Set normal weights. Those at the end of a residual branch are smaller, so that the sum over blocks is not large."""
        nn.init.normal_(self.mask_token, std=_INIT_STD)
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                last = name.endswith(("attention.out.weight", "w2.weight"))
                nn.init.normal_(parameter, std=_INIT_STD / math.sqrt(2 * len(self.blocks)) if last else _INIT_STD)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def input_shape(self, n_samples: int | None = None) -> tuple[int, ...]:
        """Return (axes, samples), by default those of the longest window."""
        return (self.n_axes, n_samples or self.patch * self.n_patches)

    def forward(self, x: Tensor, *, hidden: Tensor | None = None, missing: Tensor | None = None) -> Tensor:
        """Return the embedding of each patch.

        Parameters
        ----------
        x : Tensor
            Windows ``[B, 3, patches * patch]``, g. Hidden and missing patches may hold any value, NaN too.
        hidden : Tensor, optional
            Bool ``[B, patches]``, true for patches to replace by the mask token.
        missing : Tensor, optional
            Bool ``[B, patches]``, true for patches that were not measured. No patch attends to them, and their output has
            no meaning. If all patches of a window are missing, they attend to each other.

        Returns
        -------
        Tensor
            ``[B, patches, width]``.
        """
        x, attended = self._embedded(x, hidden, missing)
        cosine, sine = self.cosine[: x.shape[1]], self.sine[: x.shape[1]]
        for block in self.blocks:
            x = block(x, cosine, sine, attended)
        out: Tensor = self.norm(x)
        return out

    def layers(self, x: Tensor, *, missing: Tensor | None = None) -> dict[str, Tensor]:
        """Return the mean over patches of the output of each block (``block1``, ...) and of the last norm (``embedding``).

        Parameters
        ----------
        x : Tensor
            Windows ``[B, 3, patches * patch]``, g.
        missing : Tensor, optional
            Bool ``[B, patches]``, true for patches to leave out; by default those with a NaN.
        """
        if missing is None and bool(torch.isnan(x).any()):
            missing = missing_patches(x, self.patch)
        h, attended = self._embedded(x, None, missing)
        cosine, sine = self.cosine[: h.shape[1]], self.sine[: h.shape[1]]
        weight = (
            torch.ones_like(h[..., :1]) if missing is None else (~missing)[..., None].to(h.dtype)
        )  # [B, patches, 1]
        total = weight.sum(1)  # [B, 1]; 0, and a mean of NaN, where nothing was measured
        layers: dict[str, Tensor] = {}
        for number, block in enumerate(self.blocks, 1):
            h = block(h, cosine, sine, attended)  # [B, patches, width]
            layers[f"block{number}"] = (h * weight).sum(1) / total
        layers["embedding"] = (self.norm(h) * weight).sum(1) / total
        return layers

    def _embedded(self, x: Tensor, hidden: Tensor | None, missing: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return the input ``[B, patches, width]`` of the first block, and the attention mask ``[B, 1, 1, patches]``."""
        n, rest = divmod(x.shape[-1], self.patch)
        if x.ndim != 3 or x.shape[1] != self.n_axes or rest or not 1 <= n <= self.n_patches:
            raise ValueError(
                f"x: expected [B, {self.n_axes}, {self.patch} k] with k from 1 to {self.n_patches}, got {list(x.shape)}"
            )
        patches = (
            x.reshape(x.shape[0], self.n_axes, n, self.patch).transpose(1, 2).flatten(2)
        )  # [B, patches, axes * patch]
        attended = None
        if missing is not None:
            patches = patches.masked_fill(missing[..., None], 0.0)
            all_missing = missing.all(1, keepdim=True)  # [B, 1]
            attended = (~missing | all_missing)[:, None, None, :]  # [B, 1, 1, patches]
        h = self.embed(patches).to(self.mask_token.dtype)  # the residual sum stays float32 under autocast
        if hidden is not None:
            h = torch.where(hidden[..., None], self.mask_token, h)
        return h, attended
