"""A rate that the caller states for tables without usable times, and words that refusals do not repeat."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import imuspec
from imuspec.errors import RecordingError
from imuspec.recipe import Recipe

N = 3000
XYZ = np.stack([np.zeros(N), 0.1 * np.sin(np.arange(N) / 10), np.ones(N)], 1).round(4)


def timeless(folder: Path, kind: str) -> Path:
    path = folder / f"rows.{kind.partition('-')[0]}"
    rows = [f"{x},{y},{z}" for x, y, z in XYZ.tolist()]
    if kind == "npz":
        np.savez(path, xyz=XYZ.astype(np.float32))
    elif kind == "npz-counter":
        np.savez(path, time=np.arange(N), xyz=XYZ.astype(np.float32))
    elif kind == "parquet":
        pq.write_table(pa.table(dict(zip("xyz", XYZ.T.astype(np.float32), strict=True))), path)
    elif kind == "csv":
        path.write_text("x,y,z\n" + "\n".join(rows) + "\n")
    elif kind == "csv-rows":
        path.write_text("\n".join(rows) + "\n")
    else:
        path.write_text("index,x,y,z\n" * (kind == "csv-index") + "time,x,y,z\n" * (kind == "csv-counter"))
        with path.open("a") as file:
            file.writelines(f"{i},{row}\n" for i, row in enumerate(rows))
    return path


KINDS = ["npz", "npz-counter", "parquet", "csv", "csv-rows", "csv-index", "csv-counter", "csv-number"]


@pytest.mark.parametrize("kind", KINDS)
def test_rows_without_times_are_refused_unless_the_caller_states_their_rate(kind: str, tmp_path: Path) -> None:
    path = timeless(tmp_path, kind)
    with pytest.raises(RecordingError):
        imuspec.read(path)
    recording = imuspec.read(path, rate=50)
    assert (len(recording), recording.sample_rate) == (N, 50)
    assert recording.quality.counts == {"no_date": 1}
    np.testing.assert_allclose(recording.acceleration, XYZ.T, atol=1e-6)
    assert recording.time[-1] == (N - 1) * 20_000_000
    recipe = Recipe.load("capture24").set("calibration.required=false", "segments.min_wear_h=0", "reading.rate_hz=50")
    prepared = imuspec.prepare(path, recipe)
    assert prepared.status == "ok", prepared.reason
    assert prepared.figures["duration_h"] == pytest.approx(60 / 3600, rel=0.01)


@pytest.mark.parametrize(
    ("kind", "hint"), [("npz", "rate="), ("csv-index", "rate"), ("csv-counter", "give their rate")]
)
def test_the_refusal_says_that_a_rate_can_be_stated(kind: str, hint: str, tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=hint):
        imuspec.read(timeless(tmp_path, kind))


def test_times_win_over_a_stated_rate_and_it_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("unix_time,x,y,z\n" + "".join(f"{1_583_402_400 + i / 50:.2f},0,0,1\n" for i in range(N)))
    assert imuspec.read(path, rate=50).quality.counts == {}
    recording = imuspec.read(path, rate=100)
    assert recording.quality.counts == {"stated_rate_disagrees": 1}
    assert recording.sample_rate == pytest.approx(50)


@pytest.mark.parametrize("rate", [0, -1, float("inf"), float("nan")])
def test_a_rate_that_is_none_is_refused(rate: float, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="rate: expected a positive number of Hz"):
        imuspec.read(timeless(tmp_path, "csv"), rate=rate)


@pytest.mark.parametrize(
    "line", ["Jane Doe,1960-01-02,f,x", "Subject: Jane Doe", "time,Doe,y,z", "Jane Doe;1;2;3", "05. Jane 2020,0,0,1"]
)
def test_a_refusal_does_not_repeat_a_line_that_may_name_a_person(line: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"{line}\n" + "1,2,3,4\n" * 50)
    with pytest.raises(RecordingError, match="expected") as refused:
        imuspec.read(tmp_path / "a.csv")
    assert not {"Jane", "Doe", "1960"} & set(str(refused.value).replace("-", " ").split())
    assert "Doe" not in str(refused.value)
    assert "Doe" not in imuspec.prepare(tmp_path / "a.csv").reason
