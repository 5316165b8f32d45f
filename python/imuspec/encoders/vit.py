"""timm's vision transformers for pictures of 96 x 128 pixels, with the variants of MoCo v3 and MAE."""

from __future__ import annotations

import math
from typing import Any, Literal

import timm
import torch
from torch import Tensor, nn

from imuspec.encoders.encoder import Encoder

__all__ = ["Vit", "sincos_positions"]

_SIZES = {"tiny": "vit_tiny_patch16_224", "small": "vit_small_patch16_224", "base": "vit_base_patch16_224"}


class Vit(Encoder):
    """A transformer on a class token and 6 x 8 patches of 16 x 16 pixels. The embedding is the class token's last state.

    There are 21.6 million parameters for ``small`` and 85.7 million for ``base``.

    Parameters
    ----------
    size : {"tiny", "small", "base"}, default "small"
        Width of 192, 384 or 768. All sizes have 12 blocks.
    image : tuple of int, default (96, 128)
        Rows and columns of a picture, multiples of 16.
    positions : {"learned", "sincos"}, default "learned"
        Learned positions, or fixed sines and cosines of row and column, as in MoCo v3 and MAE.
    n_heads : int, optional
        Number of attention heads; by default timm's, 6 for ``small``. MoCo v3's ``small`` has 12.
    frozen_patches : bool, default False
        Whether the patch projection stays at its random weights, which makes MoCo v3 more stable.

    Raises
    ------
    ValueError
        If `size` or `positions` is not a known value.

    References
    ----------
    Dosovitskiy et al. 2021, An image is worth 16x16 words; Chen, Xie, He 2021 (MoCo v3); He et al. 2022 (MAE).

    Examples
    --------
    >>> import torch
    >>> from imuspec.encoders.vit import Vit
    >>> Vit(size="tiny").eval()(torch.zeros(1, 3, 96, 128)).shape
    torch.Size([1, 192])
    """

    kind = "image"

    def __init__(
        self,
        *,
        size: Literal["tiny", "small", "base"] = "small",
        image: tuple[int, int] = (96, 128),
        positions: Literal["learned", "sincos"] = "learned",
        n_heads: int | None = None,
        frozen_patches: bool = False,
    ) -> None:
        super().__init__()
        if size not in _SIZES:
            raise ValueError(f"size: expected one of {', '.join(_SIZES)}, got {size!r}")
        if positions not in ("learned", "sincos"):
            raise ValueError(f"positions: expected learned or sincos, got {positions!r}")
        heads: dict[str, Any] = {} if n_heads is None else {"num_heads": n_heads}
        trunk: Any = timm.create_model(_SIZES[size], pretrained=False, img_size=tuple(image), num_classes=0, **heads)
        self.trunk = trunk
        self.n_features = int(trunk.num_features)
        self.image = (int(image[0]), int(image[1]))
        self.grid = (image[0] // 16, image[1] // 16)
        if positions == "sincos":
            table = sincos_positions(self.grid, self.n_features)
            trunk.pos_embed = nn.Parameter(table[None], requires_grad=False)
        if frozen_patches:
            self._freeze_patches(trunk.patch_embed.proj)

    def _freeze_patches(self, projection: nn.Conv2d) -> None:
        """Give the patch projection MoCo v3's random weights, and exclude it from training."""
        bound = math.sqrt(6.0 / (projection.in_channels * math.prod(projection.kernel_size) + self.n_features))
        nn.init.uniform_(projection.weight, -bound, bound)
        if projection.bias is not None:
            nn.init.zeros_(projection.bias)
        for parameter in projection.parameters():
            parameter.requires_grad_(False)

    def input_shape(self, n_samples: int | None = None) -> tuple[int, ...]:
        """Return (channels, rows, columns). Pictures have a fixed size, so `n_samples` is ignored."""
        del n_samples
        return (3, *self.image)

    def tokens(self, x: Tensor, shown: Tensor | None = None) -> Tensor:
        """Return the states after the last norm.

        Parameters
        ----------
        x : Tensor
            Normalised pictures ``[B, 3, H, W]``.
        shown : Tensor, optional
            Indices ``[B, shown]`` of the patches that the transformer sees; by default all patches.

        Returns
        -------
        Tensor
            ``[B, 1 + shown, width]``, the class token first.
        """
        states: Tensor = self.trunk.norm(self.trunk.blocks(self._embedded(x, shown)))
        return states

    def _embedded(self, x: Tensor, shown: Tensor | None = None) -> Tensor:
        """Return the input ``[B, 1 + shown, width]`` of the first block."""
        trunk: Any = self.trunk
        patches = trunk.patch_embed(x) + trunk.pos_embed[:, 1:]  # [B, patches, width]
        if shown is not None:
            patches = patches.gather(1, shown[..., None].expand(-1, -1, patches.shape[-1]))  # [B, shown, width]
        token = (trunk.cls_token + trunk.pos_embed[:, :1]).expand(x.shape[0], -1, -1)  # [B, 1, width]
        return torch.cat([token, patches], 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the embeddings ``[B, width]`` of normalised pictures ``[B, 3, H, W]``."""
        return self.tokens(x)[:, 0]

    def layers(self, x: Tensor) -> dict[str, Tensor]:
        """Return the normalised class token after each block (``block1``, ...), and the mean patch after the last (``mean``).

        ``embedding`` is the class token after the last block.
        """
        trunk: Any = self.trunk
        h = self._embedded(x)  # [B, 1 + patches, width]
        layers: dict[str, Tensor] = {}
        for i, block in enumerate(trunk.blocks, 1):
            h = block(h)  # [B, 1 + patches, width]
            layers[f"block{i}"] = trunk.norm(h)[:, 0]
        layers["mean"] = trunk.norm(h)[:, 1:].mean(1)
        layers["embedding"] = layers[f"block{len(trunk.blocks)}"]
        return layers


def sincos_positions(grid: tuple[int, int], width: int) -> Tensor:
    """Return fixed two-dimensional positions.

    Each of the four quarters of the width is the sine or the cosine of the column, or the sine or the cosine of the row,
    times the frequencies ``10000^(-4 i / width)``. The position of the class token is zero.

    Parameters
    ----------
    grid : tuple of int
        Rows and columns of patches.
    width : int
        Width of a position, a multiple of 4.

    Returns
    -------
    Tensor
        float32 ``[1 + rows * columns, width]``.

    Raises
    ------
    ValueError
        If the width is no multiple of 4.

    Examples
    --------
    >>> from imuspec.encoders.vit import sincos_positions
    >>> sincos_positions((6, 8), 384).shape
    torch.Size([49, 384])
    """
    if width % 4:
        raise ValueError(f"width: expected a multiple of 4, got {width}")
    rows, columns = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in grid), indexing="ij")
    frequency = 10000.0 ** (-torch.arange(width // 4, dtype=torch.float64) / (width // 4))
    across, down = columns.reshape(-1, 1) * frequency, rows.reshape(-1, 1) * frequency  # [rows * columns, width / 4]
    patches = torch.cat([across.sin(), across.cos(), down.sin(), down.cos()], 1)
    return torch.cat([torch.zeros(1, width, dtype=torch.float64), patches]).float()
