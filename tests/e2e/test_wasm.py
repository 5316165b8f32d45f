"""The C library as WebAssembly draws the pictures of the plain path of Python, bit for bit."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from recorded_windows import hapt
from reference_data import needs_data

wasmtime = pytest.importorskip("wasmtime", reason="wasmtime, which runs WebAssembly, is not installed")

ROOT = Path(__file__).parents[2]
TARGET = "wasm32-unknown-unknown"
PAGE = 65536
PICTURE = (3, 96, 128)
NFFT, HOP, STREAM_HOP = 64, 8, 40

# ImuspecPictureSettings and ImuspecLmmSettings begin with their size, n_axes, n_samples, nfft, and noverlap or hop.
SIZES = 80, 32

#: What Python draws without vector instructions, which WebAssembly has none of that fuse a product and a sum.
PLAIN = f"""
import sys
import numpy as np
import imuspec
x = np.load(sys.argv[1])
settings = dict(nfft={NFFT}, noverlap={NFFT - HOP})
stream = imuspec.ImageStream(window=x.shape[2], hop={STREAM_HOP}, **settings)
np.savez(
    sys.argv[2],
    u8=imuspec.rgb_image(x, **settings),
    f32=imuspec.rgb_image(x, dtype="float32", **settings),
    lmm=imuspec.log_mean_magnitude(x, nfft={NFFT}),
    stream=stream.push(np.concatenate(list(x), axis=1)),
)
"""


@pytest.fixture(scope="module")
def module() -> tuple[Any, Any]:
    """An engine and the compiled module, which cargo builds where the sources have changed."""
    for tool in ("cargo", "rustup"):
        if shutil.which(tool) is None:
            pytest.skip(f"WebAssembly is built with {tool}, which is missing")
    installed = subprocess.run(["rustup", "target", "list", "--installed"], capture_output=True, text=True, check=True)
    if TARGET not in installed.stdout.split():
        pytest.skip(f"no standard library of {TARGET} (rustup target add {TARGET})")
    build = ["--locked", "--profile", "dev", "--no-default-features", "--features", "capi", "--lib"]
    command = ["cargo", "rustc", "--quiet", *build, "--crate-type", "cdylib", "--target", TARGET]
    flags = {"CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS": "-C target-feature=+simd128"}
    subprocess.run(command, cwd=ROOT, env={**os.environ, **flags}, check=True)
    folder = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    engine = wasmtime.Engine()
    return engine, wasmtime.Module.from_file(engine, str(folder / TARGET / "debug" / "imuspec.wasm"))


class Library:
    """An instance: its functions by name, and memory that the library does not use."""

    def __init__(self, module: tuple[Any, Any]) -> None:
        self.store = wasmtime.Store(module[0])
        self.exports = wasmtime.Instance(self.store, module[1], []).exports(self.store)
        self.memory = self.exports["memory"]
        self.end = self.capacity = 0

    def call(self, name: str, *given: int) -> None:
        code = self.exports[f"imuspec_{name}"](self.store, *given)
        assert code == 0, f"{name}: code {code}"

    def room(self, n: int) -> int:
        """Return the address of n bytes, in pages of our own."""
        if self.end + n > self.capacity:
            pages = -(-n // PAGE)
            self.end = self.memory.grow(self.store, pages) * PAGE
            self.capacity = self.end + pages * PAGE
        address, self.end = self.end, self.end + -(-n // 16) * 16
        return address

    def put(self, address: int, values: NDArray[Any]) -> None:
        self.memory.write(self.store, values.tobytes(), address)

    def get(self, address: int, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
        n = int(np.prod(shape)) * np.dtype(dtype).itemsize
        return np.frombuffer(bytes(self.memory.read(self.store, address, address + n)), dtype).reshape(shape)

    def handle(self, kind: str, settings: int, *given: int) -> int:
        pointer = self.room(4)
        self.call(f"{kind}_new", settings, *given, pointer)
        return int(self.get(pointer, "<u4", (1,))[0])


def simulated() -> NDArray[np.float32]:
    """Windows of a wrist that moves, lies still, and is silent."""
    rng, t = np.random.default_rng(0), np.arange(300) / 30
    moving = np.sin(2 * np.pi * rng.uniform(0.5, 4, (8, 3, 1)) * t) + rng.normal(0, 0.05, (8, 3, 300))
    still = np.broadcast_to([[0.0], [0.6], [0.8]], (1, 3, 300))
    return np.concatenate([moving, still, np.zeros((1, 3, 300)), 1e-4 * moving[:1]]).astype(np.float32)


def drawn(module: tuple[Any, Any], x: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    """What WebAssembly draws of windows [n, 3, time]."""
    library, n_samples = Library(module), x.shape[2]
    pixels, bins = int(np.prod(PICTURE)), NFFT // 2 + 1
    settings, lmm_settings, window, out, count = (
        library.room(size) for size in (*SIZES, 12 * n_samples, 4 * pixels, 4)
    )
    library.call("picture_defaults", settings, SIZES[0])
    words = library.get(settings, "<u4", (5,)).copy()
    words[2:] = n_samples, NFFT, NFFT - HOP
    library.put(settings, words)
    picture = library.handle("picture", settings)
    stream = library.handle("stream", settings, STREAM_HOP)
    library.call("lmm_defaults", lmm_settings, SIZES[1])
    words = library.get(lmm_settings, "<u4", (5,)).copy()
    words[2:] = n_samples, NFFT, NFFT // 2
    library.put(lmm_settings, words)
    features = library.handle("lmm", lmm_settings)
    result: dict[str, list[NDArray[Any]]] = {"u8": [], "f32": [], "lmm": [], "stream": []}
    for values in x:
        library.put(window, values)
        library.call("picture_u8", picture, window, values.size, out, pixels)
        result["u8"].append(library.get(out, "u1", PICTURE))
        library.call("picture_f32", picture, window, values.size, out, pixels)
        result["f32"].append(library.get(out, "<f4", PICTURE))
        library.call("lmm_f32", features, window, values.size, out, 3 * bins)
        result["lmm"].append(library.get(out, "<f4", (3, bins)))
        for sample in values.T:
            library.put(window, np.ascontiguousarray(sample))
            library.call("stream_push_u8", stream, window, 3, out, pixels, count)
            if library.get(count, "<i4", (1,))[0]:
                result["stream"].append(library.get(out, "u1", PICTURE))
    return {name: np.stack(parts) for name, parts in result.items()}


@pytest.mark.parametrize(
    "windows", [simulated, pytest.param(lambda: hapt(40)[:12], marks=needs_data)], ids=["simulated", "HAPT"]
)
def test_webassembly_draws_what_python_draws_without_vectors(
    module: tuple[Any, Any], windows: Callable[[], NDArray[np.float32]], tmp_path: Path
) -> None:
    x = windows()
    assert len(x) > 8
    np.save(tmp_path / "x.npy", x)
    command = [sys.executable, "-c", PLAIN, str(tmp_path / "x.npy"), str(tmp_path / "plain.npz")]
    subprocess.run(command, env={**os.environ, "IMUSPEC_CPU": "plain"}, check=True)
    expected = np.load(tmp_path / "plain.npz")
    result = drawn(module, x)
    assert len(result["stream"]) > len(x)
    for name in ("u8", "f32", "lmm", "stream"):
        got = result[name]
        np.testing.assert_array_equal(got.view(f"u{got.itemsize}"), expected[name].view(f"u{got.itemsize}"), name)


def test_a_module_imports_nothing(module: tuple[Any, Any]) -> None:
    assert [entry.name for entry in module[1].imports] == []
