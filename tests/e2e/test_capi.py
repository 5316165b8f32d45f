"""The C library: its example is compiled as a user compiles it, and draws the bits that Python draws."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import imuspec
from code_blocks import blocks
from imuspec.spectral import ImageSettings
from recorded_windows import hapt
from reference_data import needs_data

ROOT = Path(__file__).parents[2]
Windows = NDArray[np.float32]


def compiled(source: Path, library: Path, program: Path) -> Path:
    strict = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-std=c99", f"-I{ROOT / 'include'}"]
    libraries = [library / "libimuspec.a", "-lm", "-lpthread", "-ldl"]
    subprocess.run(["cc", *strict, source, *libraries, "-o", program], check=True)
    return program


@pytest.fixture(scope="session")
def example(c_library: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(ROOT / "examples/c/pictures.c", c_library, tmp_path_factory.mktemp("example") / "pictures")


def simulated() -> Windows:
    """Windows of a wrist that moves, lies still, and is silent."""
    rng, t = np.random.default_rng(0), np.arange(300) / 30
    moving = np.sin(2 * np.pi * rng.uniform(0.5, 4, (12, 3, 1)) * t) + rng.normal(0, 0.05, (12, 3, 300))
    still = np.broadcast_to([[0.0], [0.6], [0.8]], (1, 3, 300))
    return np.concatenate([moving, still, np.zeros((1, 3, 300)), 1e-4 * moving[:1]]).astype(np.float32)


@pytest.mark.parametrize(
    ("windows", "nfft", "hop", "size"),
    [
        (simulated, 64, 8, ()),
        (simulated, 60, 7, (24, 32)),
        pytest.param(lambda: hapt(20), 128, 8, (), marks=needs_data),
    ],
    ids=["simulated", "simulated, no power of two", "HAPT"],
)
def test_the_example_draws_what_python_draws(
    example: Path, tmp_path: Path, windows: Callable[[], Windows], nfft: int, hop: int, size: tuple[int, ...]
) -> None:
    x = windows()
    n, _, n_samples = x.shape
    assert n > 10
    x.tofile(tmp_path / "windows.f32")
    numbers = [str(n_samples), str(nfft), str(hop)]
    subprocess.run([example, tmp_path / "windows.f32", *numbers, tmp_path / "out", *map(str, size)], check=True)

    def written(suffix: str, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
        return np.fromfile(tmp_path / f"out.{suffix}", dtype).reshape(shape)

    settings = ImageSettings(nfft=nfft, noverlap=nfft - hop, size=size or (96, 128))
    picture = (3, *(size or (96, 128)))
    np.testing.assert_array_equal(written("u8", "u1", (n, *picture)), imuspec.rgb_image(x, settings))
    tensors = imuspec.rgb_image(x, settings, dtype="float32")
    np.testing.assert_array_equal(written("f32", "u4", (n, *picture)), tensors.view(np.uint32))
    features = imuspec.log_mean_magnitude(x, nfft=nfft)
    np.testing.assert_array_equal(written("lmm", "u4", (n, 3, nfft // 2 + 1)), features.view(np.uint32))
    stream = imuspec.ImageStream(settings=settings, window=n_samples, hop=5 * hop)
    pictures = stream.push(np.concatenate(list(x), axis=1))
    assert len(pictures) > n
    np.testing.assert_array_equal(written("stream", "u1", (-1, *picture)), pictures)


def test_the_example_says_what_is_wrong(example: Path, tmp_path: Path) -> None:
    np.full((1, 3, 300), np.nan, np.float32).tofile(tmp_path / "windows.f32")

    def run(*numbers: str) -> str:
        done = subprocess.run(
            [example, tmp_path / "windows.f32", *numbers, tmp_path / "out"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        return done.stderr

    assert run("300", "64", "8") == "u8: samples: expected finite numbers, got NaN or infinity\n"
    assert run("300", "4", "1") == "picture: nfft: expected 8 (of a feature 2) to 1048576\n"


def test_the_lines_of_the_page_compile_and_draw(c_library: Path, tmp_path: Path) -> None:
    page = blocks((ROOT / "docs/how-to/c-library.md").read_text("utf-8"))
    (lines,) = [block.text for block in page if block.language == "c"]
    source = tmp_path / "page.c"
    source.write_text(f'#include <stdio.h>\n#include "imuspec.h"\nint main(void) {{\n{lines}\nreturn code;\n}}\n')
    subprocess.run([compiled(source, c_library, tmp_path / "page")], check=True)


_WORDS = (
    *("struct_size", "n_axes", "n_samples", "nfft", "noverlap", "levels", "norm", "resize", "height", "width"),
    *("precision", "preset", "missing", "reserved"),
)
_REALS = ("range_low_db", "range_high_db", "floor_db")


class Settings(ctypes.Structure):
    """ImuspecPictureSettings, field by field as the header has it."""

    _fields_ = [(name, ctypes.c_uint32) for name in _WORDS] + [(name, ctypes.c_double) for name in _REALS]


@pytest.mark.parametrize(
    ("fields", "options"),
    [
        ({}, {}),
        ({"levels": 1, "norm": 1}, {"levels": "linear", "norm": "joint-window"}),
        ({"norm": 2, "range_low_db": -40.0}, {"norm": "fixed", "range_db": (-40.0, 40.0)}),
        ({"resize": 1, "height": 40, "width": 50}, {"resize": "antialias", "size": (40, 50)}),
        ({"resize": 2, "precision": 1}, {"resize": "bilinear", "precision": "float64"}),
        ({"height": 0, "width": 0, "precision": 2}, {"size": None, "precision": "float32"}),
        ({"floor_db": 30.0}, {"floor_db": 30.0}),
        ({"preset": 1}, {"preset": "android"}),
        ({"missing": 1}, {"nan": "mask"}),
    ],
)
def test_a_setting_of_the_shared_library_means_what_it_means_in_python(
    c_library: Path, fields: dict[str, Any], options: dict[str, Any]
) -> None:
    shared = ctypes.CDLL(str(c_library / "libimuspec.so"))
    settings, picture = Settings(), ctypes.c_void_p()
    assert shared.imuspec_picture_defaults(ctypes.byref(settings), ctypes.sizeof(settings)) == 0
    settings.n_samples, settings.nfft, settings.noverlap = 300, 64, 48
    for name, value in fields.items():
        setattr(settings, name, value)
    assert shared.imuspec_picture_new(ctypes.byref(settings), ctypes.byref(picture)) == 0
    for window in simulated():
        x = window.copy()
        if "nan" in options:
            x[1, 100] = np.nan
        expected = imuspec.rgb_image(x, nfft=64, noverlap=48, **options)
        out = np.empty_like(expected)
        pointers = (x.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(x.size), out.ctypes.data_as(ctypes.c_void_p))
        assert shared.imuspec_picture_u8(picture, *pointers, ctypes.c_size_t(out.size)) == 0
        np.testing.assert_array_equal(out, expected)
    shared.imuspec_picture_free(picture)
