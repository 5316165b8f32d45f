"""What a table leaves open, the caller states: the order of its dates and the unit of its acceleration."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import imuspec
from imuspec.preparation import prepare

BEGIN = dt.datetime(2024, 3, 5, 10)
Writer = Callable[[Path, list[str], np.ndarray], Path]


def _csv(folder: Path, times: list[str], xyz: np.ndarray) -> Path:
    rows = (f"{time},{x:.4f},{y:.4f},{z:.4f}\n" for time, (x, y, z) in zip(times, xyz, strict=True))
    (folder / "a.csv").write_text("time,x,y,z\n" + "".join(rows))
    return folder / "a.csv"


def _npz(folder: Path, times: list[str], xyz: np.ndarray) -> Path:
    np.savez(folder / "a.npz", time=np.array(times), xyz=xyz)
    return folder / "a.npz"


def _parquet(folder: Path, times: list[str], xyz: np.ndarray) -> Path:
    pq.write_table(pa.table({"time": times, **dict(zip("xyz", xyz.T, strict=True))}), folder / "a.parquet")
    return folder / "a.parquet"


def _times(form: str, begin: dt.datetime = BEGIN, n: int = 3000) -> list[str]:
    return [(begin + dt.timedelta(milliseconds=20 * i)).strftime(form)[:-3] for i in range(n)]


def _values(scale: float = 1.0, n: int = 3000) -> np.ndarray:
    xyz = np.random.default_rng(1).normal([0.1, 0.2, 0.97], 0.02, (n, 3)) * scale
    return xyz.astype(np.float32)


def _date(time: int | np.int64) -> str:
    return str(np.datetime64(int(time), "ns"))[:10]


SLASHES = "%m/%d/%Y %H:%M:%S.%f"
WRITERS = [_csv, _npz, _parquet]


@pytest.mark.parametrize("write", WRITERS)
def test_dates_in_two_orders_are_assumed_unless_the_caller_states_theirs(write: Writer, tmp_path: Path) -> None:
    path = write(tmp_path, _times(SLASHES), _values())
    for order, date, counts in (
        ("auto", "2024-03-05", {"assumed_date_order": 1}),
        ("month_first", "2024-03-05", {}),
        ("day_first", "2024-05-03", {}),
    ):
        recording = imuspec.read(path, date_order=order)  # type: ignore[arg-type]  # from a table
        assert (_date(recording.time[0]), recording.quality.counts) == (date, counts)
        prepared = prepare(path, imuspec.Recipe.load("capture24").set(f"reading.date_order={order}"))
        assert _date(prepared.start_time or 0) == date
        assert prepared.quality.counts.get("assumed_date_order", 0) == counts.get("assumed_date_order", 0)


@pytest.mark.parametrize("write", WRITERS)
def test_dates_that_tell_their_order_win_over_the_caller_and_it_is_counted(write: Writer, tmp_path: Path) -> None:
    path = write(tmp_path, _times(SLASHES, dt.datetime(2024, 3, 25, 10)), _values())
    recording = imuspec.read(path, date_order="day_first")
    assert _date(recording.time[0]) == "2024-03-25"
    assert recording.quality.counts == {"date_order_disagrees": 1}
    assert imuspec.read(path, date_order="month_first").quality.counts == {}


@pytest.mark.parametrize("write", WRITERS)
def test_a_later_midnight_wins_over_the_caller_and_agrees_without_a_word(write: Writer, tmp_path: Path) -> None:
    path = write(tmp_path, _times(SLASHES, dt.datetime(2024, 3, 5, 23, 59, 10), 6000), _values(n=6000))
    assert imuspec.read(path).quality.counts == {"date_order_derived": 1}
    assert imuspec.read(path, date_order="month_first").quality.counts == {}
    against = imuspec.read(path, date_order="day_first")
    assert against.quality.counts == {"date_order_derived": 1, "date_order_disagrees": 1}
    assert len(against.runs) == 1


def test_the_start_of_a_heading_that_names_no_order_is_assumed_or_stated(tmp_path: Path) -> None:
    heading = (
        "------------ Data File Created By ActiGraph GT3X+ ActiLife v6.13.3 Firmware v3.2.1 {form}at 50 Hz  Filter Normal "
        "-----------\nSerial Number: NEO1D00000000\nStart Time 10:00:00\nStart Date {date}\nEpoch Period (hh:mm:ss) 00:00:00\n"
        "Download Time 10:00:00\nDownload Date {date}\nCurrent Memory Address: 0\n"
        "Current Battery Voltage: 4.00     Mode = 12\n--------------------------------------------------\n"
    )
    rows = "".join(f"{x:.4f},{y:.4f},{z:.4f}\n" for x, y, z in _values())

    def read(date: str, form: str = "", order: str = "auto") -> tuple[str, dict[str, int]]:
        (tmp_path / "a.csv").write_text(heading.format(date=date, form=form) + rows)
        recording = imuspec.read(tmp_path / "a.csv", date_order=order)  # type: ignore[arg-type]  # from a table
        return _date(recording.time[0]), dict(recording.quality.counts)

    assert read("3/5/2024") == ("2024-03-05", {"assumed_date_order": 1})
    assert read("3/5/2024", order="day_first") == ("2024-05-03", {})
    assert read("25/3/2024") == ("2024-03-25", {})
    assert read("3/5/2024", form="date format dd/MM/yyyy ") == ("2024-05-03", {})


@pytest.mark.parametrize("write", WRITERS)
def test_the_unit_that_the_caller_states_wins(write: Writer, tmp_path: Path) -> None:
    times = _times("%Y-%m-%d %H:%M:%S.%f")
    path = write(tmp_path, times, _values(9.80665))
    derived, stated = imuspec.read(path), imuspec.read(path, unit="m/s2")
    assert derived.quality.counts == {"unit_derived": 1}
    assert stated.quality.counts == {}
    np.testing.assert_array_equal(derived.acceleration, stated.acceleration)
    against = imuspec.read(path, unit="g")
    assert against.quality.counts == {"unit_disagrees": 1, "unusual_norm": 1}
    np.testing.assert_allclose(against.acceleration, stated.acceleration * 9.80665, rtol=1e-5)
    prepared = prepare(path, imuspec.Recipe.load("capture24").set("reading.unit=g"))
    assert prepared.status == "excluded"
    assert prepared.reason.startswith("gravity: expected 0.5 to 2 g at rest, got 9.")


def test_the_unit_that_the_caller_states_wins_over_a_header(tmp_path: Path) -> None:
    path = _csv(tmp_path, _times("%Y-%m-%d %H:%M:%S.%f"), _values(1000))
    path.write_text(path.read_text().replace("time,x,y,z", "time,x (g),y (g),z (g)", 1))
    assert imuspec.read(path).quality.counts == {"unit_disagrees": 1, "unusual_norm": 1}
    stated = imuspec.read(path, unit="mg")
    assert stated.quality.counts == {}
    assert stated.metadata["acceleration_unit"] == "mg (as the caller says)"
    assert 0.8 < stated.still_norm < 1.2


@pytest.mark.parametrize("name", ["timestamps", "date_order", "unit"])
def test_another_word_is_refused_with_those_that_are_known(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"^{name}: expected 'auto', .* or .*, got 'x'$|^{name}: expected 'device' or"):
        imuspec.read(tmp_path / "a.csv", **{name: "x"})  # type: ignore[arg-type]  # that is the point
