"""Grad-CAM of an encoder on pictures of motion, and numbers that summarise heat maps."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from imuspec.errors import unknown_name

__all__ = ["band_share", "grad_cam", "rank_correlation"]


def grad_cam(
    encoder: nn.Module,
    weight: ArrayLike,
    images: Tensor,
    label: ArrayLike,
    *,
    stage: str = "layer4",
) -> NDArray[np.float32]:
    """Return the heat of a linear head's class on a convolutional encoder, as large as the picture.

    ``a_k`` is the mean over rows and columns of d logit / d A_k, A the maps of the stage; the heat is
    ``ReLU(sum_k a_k A_k)``, enlarged bilinearly (half-pixel centres) and divided by its maximum.

    Parameters
    ----------
    encoder : nn.Module
        Encoder with ``maps``, as `imuspec.encoders.resnet`; it is put in eval mode.
    weight : array [classes, features]
        Weights of the head on the encoder's embedding, the mean of its last maps.
    images : Tensor [B, 3, rows, columns]
        Normalised pictures.
    label : array of int [B]
        Class whose logit is explained, for example the true one.
    stage : str, default "layer4"
        Name of the maps; by default the last residual stage.

    Returns
    -------
    array of float32 [B, rows, columns]
        0 to 1; all 0 where no map supports the class.

    Raises
    ------
    ValueError
        If the encoder lacks the stage, or the head has no weights for a label.

    References
    ----------
    Selvaraju et al., Grad-CAM, ICCV 2017, equations 1 and 2.
    """
    rows = torch.as_tensor(np.asarray(weight), dtype=images.dtype, device=images.device)
    labels = torch.as_tensor(np.asarray(label), dtype=torch.int64, device=images.device)
    if len(labels) != len(images) or (len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < len(rows)):
        raise ValueError(f"label: expected {len(images)} classes of 0 to {len(rows) - 1}, got {labels.tolist()}")
    encoder.eval()
    with torch.enable_grad():
        maps: dict[str, Tensor] = cast("Any", encoder).maps(images.detach().requires_grad_())
        if stage not in maps:
            raise ValueError(unknown_name("stage", stage, maps))
        embedding = list(maps.values())[-1].mean((2, 3))
        (gradient,) = torch.autograd.grad((embedding * rows[labels]).sum(), maps[stage])
    heat = (gradient.mean((2, 3), keepdim=True) * maps[stage]).sum(1, keepdim=True).relu().detach()
    heat = nn.functional.interpolate(heat, images.shape[2:], mode="bilinear", align_corners=False)[:, 0]
    top = heat.amax((1, 2), keepdim=True)
    return np.asarray(torch.where(top == 0, 0, heat / top).cpu().numpy())


def band_share(heat: ArrayLike, n_bands: int = 4) -> NDArray[np.float64]:
    """Return the share of the heat in bands of frequency of equal height, the lowest first.

    Parameters
    ----------
    heat : array [..., rows, columns]
        Heat of `grad_cam`; the last row is frequency 0.
    n_bands : int, default 4
        Number of bands, at most the number of rows; where it does not divide them, heights differ by one row.

    Returns
    -------
    array of float64 [..., n_bands]
        Sums to 1; NaN where there is no heat.
    """
    values = np.asarray(heat, np.float64)
    if not 1 <= n_bands <= values.shape[-2]:
        raise ValueError(f"n_bands: expected 1 to {values.shape[-2]}, got {n_bands}")
    per_row = values.sum(-1)[..., ::-1]
    bands = np.stack([part.sum(-1) for part in np.array_split(per_row, n_bands, axis=-1)], axis=-1)
    whole = bands.sum(-1, keepdims=True)
    return np.asarray(np.divide(bands, whole, out=np.full_like(bands, np.nan), where=whole > 0))


def rank_correlation(heat: ArrayLike, other: ArrayLike) -> NDArray[np.float64]:
    """Return Spearman's rank correlation of two heat maps over their pixels, ties by mean rank.

    Parameters
    ----------
    heat, other : array [..., rows, columns]
        Heat maps of the same shape.

    Returns
    -------
    array of float64 [...]
        NaN where a map is constant.
    """
    from scipy.stats import rankdata

    first, second = np.asarray(heat, np.float64), np.asarray(other, np.float64)
    if first.shape != second.shape:
        raise ValueError(f"other: expected shape {first.shape} as the first, got {second.shape}")
    ranks = [rankdata(values.reshape(*values.shape[:-2], -1), axis=-1) for values in (first, second)]
    centred = [rank - rank.mean(-1, keepdims=True) for rank in ranks]
    spread = np.sqrt((centred[0] ** 2).sum(-1) * (centred[1] ** 2).sum(-1))
    together = (centred[0] * centred[1]).sum(-1)
    return np.asarray(np.divide(together, spread, out=np.full_like(together, np.nan), where=spread > 0))
