"""Spectrograms and RGB images of windows as PyTorch modules."""

from __future__ import annotations

import warnings
from typing import Literal, Unpack

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from imuspec.nn.resizing import device_halves, device_matrix, traced_matrix
from imuspec.nn.transform import Exact, FramedTransform, hann, in_full_precision, magnitude
from imuspec.spectral.settings import ImageOptions, ImageSettings, settings_of, shows_settings

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
CANVAS = (480, 640)
_COMPARED = 64  # windows that are drawn both ways
_NOT_FINITE = "x: expected finite samples for uint8 levels, got NaN or infinity"
_FIXED_DB = (-60.0, 40.0)  # of the norm "fixed", dB re 1 g**2
# Red channel of the nine colours, from white to black, between which matplotlib's Greys map interpolates.
_GREYS_ANCHORS = (255, 240, 217, 189, 150, 115, 82, 37, 0)


class Spectrogram(Exact):
    """:func:`imuspec.spectrogram` as a module: one-sided, without detrending.

    Parameters
    ----------
    nperseg : int
        Samples of a frame.
    noverlap : int, optional
        Samples that neighbouring frames share; by default ``nperseg // 8``, as in SciPy.
    fs : float, default 1
        Sample rate, Hz.
    window : {"hann", "hann_symmetric"}, default "hann"
        Periodic Hann window, as in SciPy, or the symmetric one of the IMG2IMU paper.
    scaling : {"density", "spectrum"}, default "density"
        Power in unit**2 / Hz, or in unit**2.
    mode : {"psd", "magnitude"}, default "psd"
        Power, or its square root.
    db : bool, default False
        Whether to return the power in decibels, ``10 log10(power)``.

    Raises
    ------
    ValueError
        If `nperseg` is below 8, `noverlap` is negative or at least `nperseg`, or `window` is not a known window.

    Examples
    --------
    >>> import torch
    >>> Spectrogram(nperseg=64, noverlap=60)(torch.zeros(2, 3, 500)).shape
    torch.Size([2, 3, 33, 110])
    """

    def __init__(
        self,
        *,
        nperseg: int,
        noverlap: int | None = None,
        fs: float = 1.0,
        window: Literal["hann", "hann_symmetric"] = "hann",
        scaling: Literal["density", "spectrum"] = "density",
        mode: Literal["psd", "magnitude"] = "psd",
        db: bool = False,
    ) -> None:
        super().__init__()
        noverlap = nperseg // 8 if noverlap is None else noverlap
        if nperseg < 8 or not 0 <= noverlap < nperseg:
            raise ValueError(f"nperseg, noverlap: expected 8 or more and less than it, got {nperseg}, {noverlap}")
        if window not in ("hann", "hann_symmetric"):
            raise ValueError(f'window: expected "hann" or "hann_symmetric", got {window!r}')
        taps = hann(nperseg, periodic=window == "hann")
        scale = 1 / (fs * (taps**2).sum()) if scaling == "density" else 1 / taps.sum() ** 2
        self.mode, self.db = mode, db
        self.transform = FramedTransform(taps * np.sqrt(scale), nperseg - noverlap, padded=False)
        factor = np.full(
            nperseg // 2 + 1, 2.0 if mode == "psd" else 1.0
        )  # power is one-sided, magnitude is not doubled
        factor[0] = 1.0
        if nperseg % 2 == 0:
            factor[-1] = 1.0
        self.register_exact("factor", factor)

    def forward(self, x: Tensor) -> Tensor:
        """Return the spectrograms.

        Parameters
        ----------
        x : Tensor
            Signals ``[..., time]``.

        Returns
        -------
        Tensor
            ``[..., freq, frame]``, float64 for float64 signals, else float32.
        """
        with torch.autocast(x.device.type, enabled=False):
            x = in_full_precision(x)
            power = (self.transform(x) * self.exact("factor", x.dtype)).transpose(-1, -2)  # [..., freq, frame]
            if self.db:
                return 10 * torch.log10(power)
            return power if self.mode == "psd" else magnitude(power)


class RGBImage(Exact):
    """:func:`imuspec.rgb_image` as a module.

    Per axis of a window, with ``P[k, t] = |rfft(frame_t * hann)[k]|^2``, all bins but the edges doubled:
    ``D = 10 log10 P``, ``u = (D - min D) / (max D - min D)``, then grey levels of ``u``, flipped and resized. The norm decides
    what min and max span, as in :func:`imuspec.rgb_image`.

    Parameters
    ----------
    settings : ImageSettings, optional
        As in :func:`imuspec.rgb_image`. Only `nfft`, `noverlap`, `levels`, `norm`, `range_db`, `resize` and
        `size` may differ from the defaults.
    dtype : {"float32", "uint8"}, default "float32"
        "float32" for pictures normalised by ImageNet's mean and standard deviation, "uint8" for levels 0 to 255.
    fused : bool, default True
        Whether to draw in one kernel where that is possible: on a GPU, with Triton, float32 or int16 windows that need no
        gradient, and any norm but "joint-window". The first picture of each length is compared with that of the operators; a
        difference of more than two levels is a warning, and the operators draw.
    **options : object
        Fields of `ImageSettings` as keywords.

    Raises
    ------
    ValueError
        If a setting is outside its domain, or this module does not support it.

    Notes
    -----
    The smallest cell of a spectrogram sets the minimum of ``D``. In float32 that cell is mostly rounding noise of gravity.
    The module therefore subtracts the mean of the window before the transform, and adds the transform of the mean,
    ``mean * W[k]``, afterwards. float64 input is computed in float64.

    References
    ----------
    Yoon et al. 2025, IMG2IMU, IEEE Transactions on Mobile Computing.

    Examples
    --------
    >>> import torch
    >>> RGBImage(nfft=128, noverlap=116)(torch.rand(2, 3, 500)).shape
    torch.Size([2, 3, 96, 128])
    """

    grey: Tensor
    mean: Tensor
    std: Tensor

    @shows_settings
    def __init__(
        self,
        settings: ImageSettings | None = None,
        *,
        dtype: Literal["uint8", "float32"] = "float32",
        fused: bool = True,
        **options: Unpack[ImageOptions],
    ) -> None:
        super().__init__()
        settings = settings_of(settings, options)
        default = ImageSettings()
        for name in ("floor_db", "precision", "preset", "nan"):
            value = getattr(settings, name)
            if value != getattr(default, name):
                raise ValueError(
                    f"{name}: expected {getattr(default, name)!r}, as RGBImage supports no other, got {value!r}"
                )
        if dtype not in ("uint8", "float32"):
            raise ValueError(f"dtype: expected uint8 or float32, got {dtype!r}")
        self.nfft, self.levels, self.resize, self.size = settings.nfft, settings.levels, settings.resize, settings.size
        self.dtype, self.norm, self.fused = dtype, settings.norm, fused
        self._compared: dict[tuple[int, torch.dtype], bool] = {}  # length and type of windows -> fused is right
        self.range_db = (settings.range_db or _FIXED_DB) if settings.norm in ("fixed", "dataset") else None
        taps = hann(self.nfft, periodic=False)
        self.transform = FramedTransform(taps, self.nfft - settings.overlap, padded=False)
        leak = np.fft.rfft(taps)
        factor = np.full(len(leak), 2.0)  # power is one-sided
        factor[0] = 1.0
        if self.nfft % 2 == 0:
            factor[-1] = 1.0
        self.register_exact("leakage", np.stack([leak.real, leak.imag]))
        self.register_exact("factor", factor)
        self.register_buffer("grey", torch.from_numpy(greys_levels()), persistent=False)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).reshape(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).reshape(3, 1, 1), persistent=False)

    def forward(self, x: Tensor, *, scale: float | None = None) -> Tensor:
        """Return the pictures of windows.

        Parameters
        ----------
        x : Tensor
            Windows ``[..., 3, time]``. An axis with a NaN gives a channel of NaN. int16 windows are in steps of `scale`, and
            -32768 is missing, as in a cohort.
        scale : float, optional
            Size of a step of int16 windows.

        Returns
        -------
        Tensor
            ``[..., 3, rows, columns]``, 96 rows and 128 columns by default.

        Raises
        ------
        ValueError
            If `x` has another shape, it has NaN and the output is uint8, or `scale` is given for other windows than int16, or not
            for those.
        """
        if x.ndim < 2 or x.shape[-2] != 3:
            raise ValueError(f"x: expected [..., 3, time], got {tuple(x.shape)}")
        if (x.dtype == torch.int16) != (scale is not None):
            raise ValueError(f"scale: expected the size of a step for int16 windows alone, got {scale} for {x.dtype}")
        with torch.autocast(x.device.type, enabled=False):
            if self._draws_fused(x, scale):
                picture, missing = self._fused(x, scale, octets=self.dtype == "uint8")
                if self.dtype == "uint8" and bool(missing.any()):
                    raise ValueError(_NOT_FINITE)
                return picture
            picture = self.grey_levels(x if scale is None else _scaled(x, scale))
            if self.dtype == "uint8":
                if not torch.compiler.is_compiling() and bool(picture.isnan().any()):
                    raise ValueError(_NOT_FINITE)
                return picture.to(torch.uint8).contiguous()
            return self.normalised(picture)

    def _draws_fused(self, x: Tensor, scale: float | None) -> bool:
        """Return whether the kernel draws these windows. The first ones of a kind are drawn both ways."""
        if not (self.fused and x.is_cuda) or torch.compiler.is_compiling() or not self._can_fuse(x):
            return False
        kind = x.shape[-1], x.dtype
        if kind not in self._compared:
            few = x.reshape(-1, *x.shape[-2:])[:_COMPARED]
            drawn = self._fused(few, scale, octets=False)[0]
            expected = self.normalised(self.grey_levels(few if scale is None else _scaled(few, scale)))
            levels = ((drawn - expected) * self.std * 255).abs().nan_to_num(0.0)
            same = bool((levels.amax() < 2.5) & (drawn.isnan() == expected.isnan()).all())
            self._compared[kind] = same
            if not same:
                warnings.warn(
                    f"RGBImage: the fused kernel differs by {float(levels.amax()):.1f} levels, not used", stacklevel=3
                )
        return self._compared[kind]

    def _can_fuse(self, x: Tensor) -> bool:
        """Return whether the kernel has this kind of picture, and x needs no gradient."""
        from imuspec.nn.fused import fits_fused

        fitting_type = x.dtype in (torch.float32, torch.int16) and not (x.requires_grad and torch.is_grad_enabled())
        return (
            x.numel() > 0
            and fitting_type
            and self.norm != "joint-window"
            and fits_fused(x.shape[-1], self.nfft, self.transform.hop)
        )

    def _fused(self, x: Tensor, scale: float | None, *, octets: bool) -> tuple[Tensor, Tensor]:
        """Return the pictures of the kernel, and the axes with a missing sample."""
        from imuspec.nn.fused import PictureConstants, draw_fused

        bins = self.nfft // 2 + 1
        frames = (max(x.shape[-1], self.nfft) - self.nfft) // self.transform.hop + 1
        rows, columns = self.size or (bins, frames)
        resized = self.size is not None
        constants = PictureConstants(
            self.transform.exact("matrix", torch.float32),
            self.exact("leakage", torch.float32),
            self.exact("factor", torch.float32),
            self.grey,
            self.mean.float().flatten(),
            self.std.float().flatten(),
            device_halves(self.resize, frames, columns, CANVAS[1], x.device) if resized else None,
            device_halves(self.resize, bins, rows, CANVAS[0], x.device, flipped=True) if resized else None,
            (rows, columns),
            self.transform.hop,
            self.range_db,
            self.levels == "linear",
            self.resize != "bilinear",
        )
        return draw_fused(x, constants, octets=octets, scale=1.0 if scale is None else scale)

    def grey_levels(self, x: Tensor) -> Tensor:
        """Return the levels 0 to 255 of windows ``[..., 3, time]`` as whole numbers in floating point."""
        return self._resized(self._levels(self._power(in_full_precision(x))).flip(-1).transpose(-1, -2))

    def normalised(self, levels: Tensor) -> Tensor:
        """Return levels 0 to 255 ``[..., 3, rows, columns]``, normalised by ImageNet's mean and standard deviation."""
        return ((levels.float() / 255 - self.mean) / self.std).contiguous()

    def _power(self, x: Tensor) -> Tensor:
        """Return the power ``[..., frame, freq]`` of windows ``[..., time]``."""
        x = nn.functional.pad(x, (0, max(0, self.nfft - x.shape[-1])))
        mean = x.mean(-1, keepdim=True)  # [..., 1]
        real, imaginary = self.transform.parts(x - mean)  # [..., frame, freq]
        leakage = self.exact("leakage", x.dtype)  # [2, freq]
        real, imaginary = (v + mean.unsqueeze(-1) * w for v, w in ((real, leakage[0]), (imaginary, leakage[1])))
        power = real.square() + imaginary.square()
        return power * self.exact("factor", x.dtype)

    def _levels(self, power: Tensor) -> Tensor:
        """Return the grey levels 0 to 255 of power ``[..., frame, freq]``. Cells without power are black."""
        missing = (power.isnan() | power.isinf()).any(-1, keepdim=True).any(-2, keepdim=True)  # [..., 1, 1]
        positive = power > 0
        db = 10 * torch.log10(torch.where(positive, power, 1.0))
        if self.range_db is None:
            span = (-3, -2, -1) if self.norm == "joint-window" else (-2, -1)
            low = torch.where(positive, db, torch.inf).amin(span, keepdim=True)  # [..., 1 or 3, 1, 1]
            high = torch.where(positive, db, -torch.inf).amax(span, keepdim=True)
        else:
            low, high = (torch.full_like(db[..., :1, :1], edge) for edge in self.range_db)
        drawn = positive & (high > low)
        u = torch.where(drawn, (db - low) / torch.where(high > low, high - low, 1.0), 0.0)
        if self.range_db is not None:
            u = u.clamp(0, 1)
        if self.levels == "linear":
            levels = torch.floor(255 * u + 0.5)
        else:
            index = torch.floor(256 * torch.where(missing, 0.0, u)).clamp(max=255).long()
            levels = self.grey[index].to(power.dtype) * drawn
        return torch.where(missing, torch.nan, levels)

    def _resized(self, grid: Tensor) -> Tensor:
        """Return levels ``[..., freq, frame]`` at the size of the picture, rounded after each pass as in Pillow."""
        if self.size is None:
            return grid
        (rows, columns), (canvas_rows, canvas_columns) = self.size, CANVAS
        matrix = traced_matrix if torch.compiler.is_compiling() else device_matrix
        horizontal = matrix(self.resize, grid.shape[-1], columns, canvas_columns, grid.dtype, grid.device)
        vertical = matrix(self.resize, grid.shape[-2], rows, canvas_rows, grid.dtype, grid.device)
        wide = grid @ horizontal.T  # [..., freq, columns]
        if self.resize != "bilinear":
            wide = torch.floor(wide + 0.5)  # Pillow rounds to 8 bits between its two passes
        return torch.floor(vertical @ wide + 0.5).clamp(0, 255)


def greys_levels() -> NDArray[np.uint8]:
    """Return the 256 grey levels of the paper's pictures: 255 minus the red channel of matplotlib's Greys map."""
    red = np.interp(np.linspace(0, 1, 256), np.linspace(0, 1, len(_GREYS_ANCHORS)), _GREYS_ANCHORS)
    return (255 - np.floor(red + 1e-9)).astype(np.uint8)


def _scaled(x: Tensor, scale: float) -> Tensor:
    """Return int16 samples as float32, NaN where they are missing."""
    return torch.where(x == torch.iinfo(torch.int16).min, torch.nan, x.float() * scale)
