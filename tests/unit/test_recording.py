"""What a reader's user holds in hand: `Recording`, its views and its slices."""

from __future__ import annotations

import gzip
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

import imuspec
from imuspec import Recording
from imuspec.simulation import simulate

START = np.datetime64("2023-05-15T10:00:00", "ns")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half an hour of an AX6 with a restart in it."""
    path = tmp_path_factory.mktemp("recording") / "a.cwa"
    simulate(path, days=0.02, seed=4, device="ax6", damage=["restart"])
    return path


@pytest.fixture(scope="module")
def recording(file: Path) -> Recording:
    return imuspec.read(file)


def test_arrays_have_the_stated_types_shapes_and_units(recording: Recording) -> None:
    n = len(recording)
    assert (recording.acceleration.dtype, recording.acceleration.shape) == (np.float32, (3, n))
    assert (recording.time.dtype, recording.time.shape) == (np.int64, (n,))
    assert (recording.runs.dtype, recording.runs.shape) == (np.int64, (2, 2))
    assert recording.runs.ravel().tolist() == [0, recording.runs[0, 1], recording.runs[0, 1], n]
    assert np.median(np.linalg.norm(recording.acceleration, axis=0)) == pytest.approx(1, abs=0.1)
    for slow in (recording.temperature, recording.light):
        assert slow is not None
        assert (slow.dtype, slow.shape) == (np.float32, (n,))
    assert recording.gyroscope is not None
    assert recording.gyroscope.shape == (3, n)
    assert recording.annotation is None
    assert recording.nominal_rate == 100
    assert 98 < recording.sample_rate < 99.5
    assert abs(recording.time[0] - START.astype(np.int64)) < 50_000_000
    assert recording.device == "Axivity AX6"
    assert recording.metadata["_p"]


def test_a_slice_is_the_samples_from_one_time_to_before_another(recording: Recording) -> None:
    part = recording["2023-05-15 10:01":"2023-05-15 10:03"]  # type: ignore[misc]
    inside = (recording.time >= (START + np.timedelta64(60, "s")).astype(np.int64)) & (
        recording.time < (START + np.timedelta64(180, "s")).astype(np.int64)
    )
    np.testing.assert_array_equal(part.time, recording.time[inside])
    np.testing.assert_array_equal(part.acceleration, recording.acceleration[:, inside])
    assert recording.temperature is not None
    assert part.temperature is not None
    np.testing.assert_array_equal(part.temperature, recording.temperature[inside])
    assert part.runs.tolist() == [[0, inside.sum()]]
    assert part.duration_s == pytest.approx(120, abs=0.03)


def test_a_slice_over_a_gap_keeps_the_gap_and_one_without_samples_is_empty(recording: Recording) -> None:
    edge = int(recording.time[recording.runs[1, 0]])
    last = int(recording.time[recording.runs[0, 1] - 1])
    part = recording[last - 10**9 : edge + 10**9]
    assert part.runs.shape == (2, 2)
    assert np.diff(part.time).max() == edge - last
    nothing = recording[last + 1 : edge]
    assert (len(nothing), nothing.runs.shape, nothing.acceleration.shape) == (0, (0, 2), (3, 0))
    assert "empty" in repr(nothing)
    assert "<table>" in nothing._repr_html_()
    np.testing.assert_array_equal(recording[:].time, recording.time)


@pytest.mark.parametrize("key", [3, "2023", slice(0, 10, 2), slice("tomorrow", None)])
def test_what_is_no_stretch_of_time_is_refused(recording: Recording, key: object) -> None:
    with pytest.raises(TypeError, match=r"recording\[\.\.\.\]: expected"):
        recording[key]  # type: ignore[index]


def test_a_data_frame_has_a_row_for_each_sample(recording: Recording) -> None:
    frame = recording.to_pandas()
    assert list(frame.columns) == ["x", "y", "z", "gyro_x", "gyro_y", "gyro_z", "temperature", "light"]
    np.testing.assert_array_equal(frame[["x", "y", "z"]].to_numpy().T, recording.acceleration)
    np.testing.assert_array_equal(frame.index.to_numpy().astype(np.int64), recording.time)
    assert frame.index.name == "time"


def test_annotations_are_a_category_of_the_frame(tmp_path: Path) -> None:
    rows = (f"2016-10-17 03:53:{i // 10:02d}.{i % 10}00000,0,0,1,{'sleeping' if i < 50 else ''}\n" for i in range(100))
    (tmp_path / "P001.csv").write_text("time,x,y,z,annotation\n" + "".join(rows))
    recording = imuspec.read(tmp_path / "P001.csv")
    assert recording.annotation_labels == ("sleeping",)
    assert recording.annotation is not None
    assert recording.annotation.tolist() == [0] * 50 + [-1] * 50
    column = recording.to_pandas()["annotation"]
    assert (column.iloc[0], column.isna().sum()) == ("sleeping", 50)


def test_the_table_of_losses_becomes_a_frame_and_html(recording: Recording) -> None:
    frame = recording.quality.to_pandas()
    assert list(frame.columns) == ["kind", "offset", "block", "time", "count", "value"]
    assert [kind for kind in frame["kind"] if kind != "stamp_snapped"] == ["restart", "gap"]
    assert set(frame["time"].dt.year) == {2023}
    assert len(recording.quality) == len(frame)
    html = recording._repr_html_()
    for part in ("Axivity AX6", "100", "2023-05-15 09:59:59", "restart"):
        assert part in html
    assert "2 runs" in repr(recording)


def test_names_from_a_file_are_escaped_in_html(recording: Recording) -> None:
    from dataclasses import replace

    assert "<script>" not in replace(recording, device="<script>")._repr_html_()


def test_a_plot_shows_the_recording(recording: Recording, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra report")
    imuspec.plot(recording, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 10_000


@pytest.mark.parametrize("name", ["A.CWA", "a.bin", "a", "a.cwa.gz", "a.CWA.ZIP", "a.dat"])
def test_content_decides_and_not_the_name(file: Path, recording: Recording, name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name.endswith("gz"):
        path.write_bytes(gzip.compress(file.read_bytes(), 1))
    elif name.endswith("ZIP"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.write(file, "inside/a.cwa")
    else:
        shutil.copy(file, path)
    got = imuspec.read(path)
    np.testing.assert_array_equal(got.acceleration, recording.acceleration)
    np.testing.assert_array_equal(got.time, recording.time)


def test_a_missing_file_and_an_unknown_rule_are_the_callers_mistakes(file: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        imuspec.read(tmp_path / "nowhere.cwa")
    with pytest.raises(ValueError, match="timestamps: expected 'device' or 'actipy', got 'ggir'"):
        imuspec.read(file, timestamps="ggir")  # type: ignore[arg-type]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_child_forked_after_the_pool_was_used_reads_and_filters_as_its_parent(
    file: Path, recording: Recording
) -> None:
    x = np.ascontiguousarray(np.broadcast_to(recording.acceleration[:, :3000], (64, 3, 3000)))
    want = imuspec.lowpass(x, sample_rate=100, cutoff=15)  # the parent's threads are at work
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of forks beside threads
        child = os.fork()
    if child == 0:
        same = np.array_equal(imuspec.lowpass(x, sample_rate=100, cutoff=15), want)
        os._exit(0 if same and len(imuspec.read(file)) == len(recording) else 1)
    assert os.waitpid(child, 0)[1] == 0
