"""The native extension. Arguments are checked and documented by the public functions that call it."""

from os import PathLike
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "GridPieces",
    "ImagePlan",
    "ImageStreamCore",
    "SpectrogramPlan",
    "Table",
    "__version__",
    "after_fork",
    "apply_calibration",
    "butterworth_sos",
    "check_image_settings",
    "cpu_path",
    "fit_calibration",
    "get_threads",
    "lmm_loss_into",
    "log_magnitudes_into",
    "lowpass",
    "prepare",
    "prepare_table",
    "read",
    "read_shard",
    "read_table",
    "resample_grid",
    "resample_polyphase",
    "resample_rows",
    "set_threads",
    "stream_length",
    "wear_episodes",
    "window_by_name",
    "window_statistics",
    "write_shard",
]
__version__: str

def set_threads(n: int) -> None: ...
def get_threads() -> int: ...
def after_fork() -> None: ...

# --- device -----------------------------------------------------------------------------------------------------------

def read(path: str, timestamps: str, date_order: str, unit: str, rate: float | None) -> dict[str, Any]: ...

@final
class Table:
    def __new__(cls, path: str, folder: str | PathLike[str] | None = None) -> Table: ...
    def append(self, name: str, values: NDArray[Any]) -> None: ...
    def append_texts(self, texts: list[str]) -> None: ...
    def recode(self, codes: list[int]) -> None: ...

def read_table(
    path: str,
    table: Table,
    names: list[str],
    labels: list[str],
    *,
    timestamps: str,
    date_order: str,
    unit: str,
    rate: float | None,
) -> dict[str, Any]: ...
def stream_length(path: str, timestamps: str) -> int: ...

# --- store ------------------------------------------------------------------------------------------------------------

def read_shard(
    path: str | PathLike[str],
    out: NDArray[np.int16] | NDArray[np.float32],
    *,
    n_chunks: int,
    chunk: int,
    first: int,
    stop: int,
    step: float,
) -> None: ...
def write_shard(
    path: str | PathLike[str], x: NDArray[np.float32], *, chunk: int, step_g: float, level: int
) -> tuple[int, int]: ...

# --- signal -----------------------------------------------------------------------------------------------------------

def lowpass(
    x: NDArray[np.float32], out: NDArray[np.float32], sample_rate: float, cutoff: float, order: int
) -> None: ...
def butterworth_sos(sample_rate: float, cutoff: float, order: int) -> NDArray[np.float64]: ...
def resample_grid(first: int, last: int, rate: float, method: str) -> NDArray[np.int64]: ...
def resample_rows(
    x: NDArray[np.float32],
    time: NDArray[np.int64],
    out: NDArray[np.float32],
    *,
    count: int,
    rate: float,
    method: str,
    max_gap_s: float,
    sample_rate: float,
) -> None: ...
def resample_polyphase(x: NDArray[np.float32], out: NDArray[np.float32], up: int, down: int) -> None: ...
def window_statistics(
    x: NDArray[np.float32],
    time: NDArray[np.int64],
    temperature: NDArray[np.float32] | None,
    *,
    length_ns: int,
    fill: bool,
    slide_by: int,
) -> tuple[NDArray[np.int64], NDArray[np.uint32], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]: ...
def apply_calibration(
    fitted: Any, x: NDArray[np.float32], temperature: NDArray[np.float64] | None, out: NDArray[np.float32]
) -> None: ...
def fit_calibration(
    start: NDArray[np.int64],
    mean: NDArray[np.float64],
    sd: NDArray[np.float64],
    temperature: NDArray[np.float64] | None,
    options: dict[str, Any],
) -> dict[str, Any]: ...
def wear_episodes(
    start: NDArray[np.int64],
    mean: NDArray[np.float64],
    sd: NDArray[np.float64],
    runs: NDArray[np.int64],
    options: dict[str, Any],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]: ...

# --- preparation ------------------------------------------------------------------------------------------------------

def prepare_table(
    path: str,
    table: Table,
    names: list[str],
    labels: list[str],
    recipe: dict[str, Any],
    pieces_in: str | PathLike[str] | None = None,
) -> dict[str, Any]: ...
def prepare(path: str, recipe: dict[str, Any], pieces_in: str | PathLike[str] | None = None) -> dict[str, Any]: ...

@final
class GridPieces:
    def write_shard(self, path: str | PathLike[str], *, chunk: int, step_g: float, level: int) -> tuple[int, int]: ...

# --- spectral ---------------------------------------------------------------------------------------------------------

@final
class ImagePlan:
    def __new__(cls, length: int, settings: Any) -> ImagePlan: ...
    @property
    def size(self) -> list[int]: ...
    def draw(self, x: NDArray[Any], out: NDArray[Any]) -> None: ...

@final
class SpectrogramPlan:
    def __new__(
        cls,
        window: NDArray[np.float64],
        nfft: int,
        hop: int,
        *,
        single: bool,
        power: float,
        double: bool,
        two_sided: bool,
        detrend: str | None,
        mode: str,
    ) -> SpectrogramPlan: ...
    def run(self, x: NDArray[Any], out: NDArray[Any]) -> None: ...

def window_by_name(name: str, n: int) -> list[float]: ...
def cpu_path() -> str: ...

@final
class ImageStreamCore:
    def __new__(cls, length: int, settings: Any, hop: int, n_axes: int) -> ImageStreamCore: ...
    @property
    def size(self) -> list[int]: ...
    @property
    def aligned(self) -> bool: ...
    def pictures(self, more: int) -> int: ...
    def push(self, x: NDArray[np.float64], out: NDArray[Any]) -> None: ...

def check_image_settings(settings: Any) -> None: ...

# --- magnitude --------------------------------------------------------------------------------------------------------

def log_magnitudes_into(
    x: NDArray[Any],
    triples: list[tuple[int, int, float]],
    literal_min: bool,
    moment: str,
    out: list[NDArray[Any]],
) -> None: ...
def lmm_loss_into(
    prediction: NDArray[Any],
    target: NDArray[Any],
    triples: list[tuple[int, int, float]],
    literal_min: bool,
    weights: tuple[float | None, float | None, float | None],
    unbiased: bool,
    terms: NDArray[Any],
    gradient: NDArray[Any] | None = None,
) -> None: ...
