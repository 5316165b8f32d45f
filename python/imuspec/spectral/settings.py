"""The settings of a picture, as `rgb_image`, `ImageStream` and `nn.RGBImage` share them."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal, TypedDict, TypeVar, Unpack

from imuspec import _core
from imuspec.arrays import as_integer

Levels = Literal["greys", "linear"]
Norm = Literal["axis-window", "joint-window", "fixed", "dataset"]
Resize = Literal["canvas", "antialias", "bilinear"]
Precision = Literal["auto", "float64", "float32"]
Preset = Literal["android"]
Missing = Literal["raise", "mask"]

_MAX_PIXELS = 1 << 16  # rows or columns


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ImageSettings:
    """Every choice of a picture; :func:`imuspec.rgb_image` says what each means.

    Raises
    ------
    ValueError
        If a setting is outside its domain, or two do not go together.
    TypeError
        If a length is no whole number.

    Examples
    --------
    >>> ImageSettings(nfft=64).overlap
    60
    """

    nfft: int = 128
    noverlap: int | None = None
    levels: Levels = "greys"
    norm: Norm = "axis-window"
    range_db: tuple[float, float] | None = None
    resize: Resize = "canvas"
    size: tuple[int, int] | None = (96, 128)
    floor_db: float | None = None
    precision: Precision = "auto"
    preset: Preset | None = None
    nan: Missing = "raise"

    def __post_init__(self) -> None:
        """Bring the numbers to Python's own and check every setting."""
        nfft = as_integer(self.nfft, "nfft", 8)
        object.__setattr__(self, "nfft", nfft)
        if self.noverlap is not None:
            object.__setattr__(self, "noverlap", as_integer(self.noverlap, "noverlap", 0, nfft - 1))
        if self.range_db is not None:
            object.__setattr__(self, "range_db", tuple(float(edge) for edge in self.range_db))
        if self.size is not None:
            size = tuple(as_integer(n, "size", 1, _MAX_PIXELS) for n in self.size)
            if len(size) != 2:
                raise ValueError(f"size: expected (rows, columns), got {self.size}")
            object.__setattr__(self, "size", size)
        _core.check_image_settings(self)

    @property
    def overlap(self) -> int:
        """Samples that neighbouring frames share: `noverlap`, or all but a sixteenth of a frame."""
        return self.nfft - max(1, self.nfft // 16) if self.noverlap is None else self.noverlap


class ImageOptions(TypedDict, total=False):
    """The fields of `ImageSettings` as keywords."""

    nfft: int
    noverlap: int | None
    levels: Levels
    norm: Norm
    range_db: tuple[float, float] | None
    resize: Resize
    size: tuple[int, int] | None
    floor_db: float | None
    precision: Precision
    preset: Preset | None
    nan: Missing


def settings_of(settings: ImageSettings | None, options: ImageOptions) -> ImageSettings:
    """Return `settings` with `options` in place of its fields; of None the defaults.

    Raises
    ------
    TypeError
        If `settings` is no `ImageSettings`.
    """
    if settings is None:
        settings = _DEFAULTS
    elif not isinstance(settings, ImageSettings):
        raise TypeError(f"settings: expected ImageSettings, got {settings!r}")
    return dataclasses.replace(settings, **options) if options else settings


def plan_of(
    length: int, settings: ImageSettings | None, options: ImageOptions
) -> tuple[_core.ImagePlan, int, tuple[int, ...]]:
    """Return the plan of pictures of windows of `length` samples, its nfft and its size; equal settings share one plan."""
    if _PLAIN.issuperset(map(type, options.values())) and (settings is None or type(settings) is ImageSettings):
        return _known_plan(length, settings, **options)
    return _plan(length, settings_of(settings, options))


_DEFAULTS = ImageSettings()
_PLAIN = {int, float, str, type(None)}  # their types are part of a typed key; those within a tuple are not


@lru_cache(maxsize=64, typed=True)
def _known_plan(
    length: int, settings: ImageSettings | None, **options: Unpack[ImageOptions]
) -> tuple[_core.ImagePlan, int, tuple[int, ...]]:
    """Check settings once for many calls: a single picture takes less time than that."""
    return _plan(length, settings_of(settings, options))


@lru_cache(maxsize=64)
def _plan(length: int, settings: ImageSettings) -> tuple[_core.ImagePlan, int, tuple[int, ...]]:
    plan = _core.ImagePlan(length, settings)
    return plan, settings.nfft, tuple(plan.size)


_Function = TypeVar("_Function", bound=Callable[..., Any])


def shows_settings(function: _Function) -> _Function:
    """Show the fields of `ImageSettings` in the signature of a function in place of its `**options`."""
    signature = inspect.signature(function)
    named = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    fields = [
        inspect.Parameter(f.name, inspect.Parameter.KEYWORD_ONLY, default=f.default, annotation=f.type)
        for f in dataclasses.fields(ImageSettings)
    ]
    setattr(function, "__signature__", signature.replace(parameters=[*named, *fields]))  # noqa: B010  (mypy knows no such attribute of a Callable)
    return function
