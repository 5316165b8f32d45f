"""Copies, disorder, rates and clocks that lie, in every format: each read as it is, refused, or marked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import imuspec
from device_files import START, cwa, geneactiv, gt3x, record, seal
from imuspec.errors import RecordingError
from imuspec.recipe import Recipe

RECIPE = Recipe.load("capture24").set("calibration.required=false", "segments.min_wear_h=0")
N = 12_000


def rows(rate: float = 100.0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return seconds since 1970 and acceleration [n, 3] of a slow turn with a vibration of 3 Hz."""
    passed = np.arange(N) / rate
    turn = 0.98 * np.sin(0.2 * passed)
    xyz = np.stack([turn, 0.3 * np.sin(2 * np.pi * 3 * passed), np.sqrt(1 - turn**2)], 1)
    return START + passed, np.round(xyz, 5)


def table(folder: Path, seconds: NDArray[np.float64], xyz: NDArray[np.float64], kind: str = "csv") -> Path:
    stamps = (np.round(seconds * 1e5).astype("int64") * 10_000).astype("datetime64[ns]")
    path = folder / f"rows.{kind}"
    if kind == "npz":
        np.savez(path, time=stamps, xyz=xyz.astype(np.float32))
    else:
        lines = [f"{stamp},{x:.5f},{y:.5f},{z:.5f}" for stamp, (x, y, z) in zip(stamps, xyz.tolist(), strict=True)]
        path.write_text("time,x,y,z\n" + "\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("kind", ["csv", "npz"])
@pytest.mark.parametrize(
    "copied", [slice(0, 9000), slice(0, 12_000), slice(0, 5000), slice(2000, 12_000), slice(7000, 12_000)]
)
def test_rows_that_follow_once_more_are_dropped_and_counted(kind: str, copied: slice, tmp_path: Path) -> None:
    seconds, xyz = rows()
    n = 9000 if copied.stop == 9000 else N
    again = np.r_[0:n, np.arange(n)[copied], np.arange(n)[copied]]
    recording = imuspec.read(table(tmp_path, seconds[again], xyz[again], kind))
    assert recording.quality.counts == {"repeated_row": 2 * len(range(n)[copied])}
    assert len(recording) == n
    assert (np.diff(recording.time) == 10_000_000).all()


def test_rows_that_come_three_times_each_are_one_row_each(tmp_path: Path) -> None:
    seconds, xyz = rows()
    recording = imuspec.read(table(tmp_path, np.repeat(seconds, 3), np.repeat(xyz, 3, 0), "npz"))
    assert recording.quality.counts == {"repeated_row": 2 * N}
    assert len(recording) == N


@pytest.mark.parametrize("length", [100, 500])
def test_stretches_of_rows_in_the_opposite_order_are_refused(length: int, tmp_path: Path) -> None:
    seconds, xyz = rows()
    order = np.arange(N).reshape(-1, length)
    order = order[:, ::-1] if length == 100 else order[::-1]
    with pytest.raises(RecordingError, match=r"expected a clock that goes on, got \d+ jumps in 120 s"):
        imuspec.read(table(tmp_path, seconds[order.ravel()], xyz[order.ravel()]))


def test_bundles_of_a_phone_are_rows_over_their_span(tmp_path: Path) -> None:
    _, xyz = rows()
    index = np.arange(N)
    recording = imuspec.read(table(tmp_path, START + index // 64 * 0.64 + index % 64 * 0.001, xyz))
    assert recording.sample_rate == pytest.approx(100, rel=0.001)
    assert recording.quality.counts == {"stamps_fitted": 1}
    assert len(recording.runs) == 1


def test_rows_of_a_lost_clock_are_not_sorted_to_the_front(tmp_path: Path) -> None:
    seconds, xyz = rows()
    seconds[4000:5000] -= START - 946_684_800
    recording = imuspec.read(table(tmp_path, seconds, xyz))
    assert recording.time[0] == START * 1_000_000_000
    assert recording.quality.counts == {"clock_jump": 1, "gap": 1}


@pytest.mark.parametrize("kind", ["csv", "npz", "gt3x"])
def test_a_recording_begins_when_its_clock_is_set(kind: str, tmp_path: Path) -> None:
    if kind == "gt3x":
        path = gt3x(tmp_path / "a.gt3x", *[record((START if i >= 20 else 0) + i) for i in range(120)])
        set_at = START + 20
    else:
        seconds, xyz = rows()
        seconds[:1000] -= START - 946_684_800
        path, set_at = table(tmp_path, seconds, xyz, kind), START + 10
    prepared = imuspec.prepare(path, RECIPE)
    (event,) = prepared.quality.events("clock_set")
    assert event.time == pytest.approx(set_at * 1e9, abs=0.05e9)
    assert prepared.clock(prepared.acceleration.shape[1] - 1) / 1e9 == pytest.approx(START + 120, abs=0.1)
    first = (prepared.start_time or 0) / 1e9
    assert set_at - 100 < first < set_at


@pytest.mark.parametrize("kind", ["csv", "npz"])
def test_times_without_a_date_are_reported(kind: str, tmp_path: Path) -> None:
    seconds, xyz = rows()
    since_boot = imuspec.read(table(tmp_path, seconds - START, xyz, kind))
    assert since_boot.quality.counts == {"no_date": 1}
    assert len(since_boot) == N
    unset = imuspec.read(table(tmp_path, seconds - START + 1_100_000_000, xyz, kind))
    assert unset.quality.counts == {"unlikely_date": 1}


def test_minutes_since_1970_are_not_6000_hz(tmp_path: Path) -> None:
    seconds, xyz = rows()
    path = tmp_path / "a.csv"
    path.write_text(
        "time,x,y,z\n" + "\n".join(f"{s / 60:.8f},{x},{y},{z}" for s, (x, y, z) in zip(seconds, xyz, strict=True))
    )
    with pytest.raises(RecordingError, match="expected times in s, ms, us, ns"):
        imuspec.read(path)


def test_zeros_alone_are_no_acceleration_and_zeros_among_others_are_counted(tmp_path: Path) -> None:
    seconds, xyz = rows()
    nothing = imuspec.prepare(table(tmp_path, seconds, 0 * xyz), RECIPE)
    assert (nothing.status, nothing.quality.counts["zero_values"]) == ("excluded", 1)
    assert "got 0" in nothing.reason
    xyz[:6000] = 0
    half = imuspec.read(table(tmp_path, seconds, xyz))
    (event,) = half.quality.events("zero_values")
    assert event.value == pytest.approx(0.5, abs=0.02)


def second(i: int, rate: int = 30) -> bytes:
    return record(START + i, value=230 + i % 30, rate=rate)


def test_seconds_of_a_gt3x_that_come_again_much_later_are_dropped(tmp_path: Path) -> None:
    sound = [second(i) for i in range(120)]
    for records, n in [([*sound[:50], *sound[10:12], *sound[50:]], 2), (sound + sound, 120), (sound + sound[:30], 30)]:
        recording = imuspec.read(gt3x(tmp_path / "a.gt3x", *records))
        assert recording.quality.counts == {"repeated_record": n}
        assert len(recording) == 3600
        assert len(recording.runs) == 1


def test_a_gt3x_whose_rate_changes_has_two(tmp_path: Path) -> None:
    records = [second(i) for i in range(60)] + [second(60 + i, rate=100) for i in range(60)]
    recording = imuspec.read(gt3x(tmp_path / "a.gt3x", *records))
    (event,) = recording.quality.events("rate_change")
    assert (event.value, event.time) == (100, (START + 60) * 1_000_000_000)
    assert recording.quality.counts == {"gap": 1, "rate_change": 1}
    assert np.median(np.diff(recording.time[-6000:])) == 10_000_000
    assert np.diff(recording.time).min() > 0


def test_the_last_second_of_a_gt3x_with_a_wild_stamp_stays_the_last(tmp_path: Path) -> None:
    recording = imuspec.read(gt3x(tmp_path / "a.gt3x", *[second(i) for i in range(119)], record(START + 500 * 86_400)))
    assert recording.quality.counts == {"wild_stamp": 1}
    assert recording.duration_s == pytest.approx(120, abs=0.05)


@pytest.mark.parametrize(("stated", "length"), [(50, 3), (50, 12), (100, 6)])
def test_the_times_of_geneactiv_pages_decide_their_rate(stated: int, length: int, tmp_path: Path) -> None:
    path = geneactiv(tmp_path / "a.bin", list(range(20)))
    text = path.read_bytes().decode()
    for page in range(20):
        now, then = (np.datetime64(START + s * page, "s").item().strftime("%H:%M:%S") for s in (6, length))
        text = text.replace(f"Page Time:2020-03-05 {now}:000\r\nU", f"Page Time:2020-03-05 {then}:000\r\nu", 1)
    path.write_text(text.replace("Frequency:50.0", f"Frequency:{stated}.0"), newline="")
    recording = imuspec.read(path)
    assert recording.quality.counts == {"rate_differs": 1}
    assert recording.sample_rate == pytest.approx(300 / length)
    assert recording.duration_s == pytest.approx(20 * length, rel=0.01)
    assert len(recording.runs) == 1


def test_pages_of_a_geneactiv_that_come_again_much_later_are_dropped(tmp_path: Path) -> None:
    sound = imuspec.read(geneactiv(tmp_path / "a.bin", list(range(20))))
    for order, n in [([*range(20), *range(20)], 20), ([*range(15), 2, 3, 4, *range(15, 20)], 3)]:
        recording = imuspec.read(geneactiv(tmp_path / "b.bin", order))
        assert recording.quality.counts == {"repeated_page": n}
        np.testing.assert_array_equal(recording.time, sound.time)


def test_pages_newest_first_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="geneactiv: time: expected a clock that goes on"):
        imuspec.read(geneactiv(tmp_path / "a.bin", list(range(20))[::-1]))


def test_blocks_of_a_cwa_that_come_again_much_later_are_dropped(tmp_path: Path) -> None:
    header, *blocks = cwa(tmp_path / "a.cwa", 120)
    (tmp_path / "a.cwa").write_bytes(header + b"".join(blocks))
    sound = imuspec.read(tmp_path / "a.cwa")
    for again, n in [
        ([*blocks[:50], *blocks[40:]], 10),
        (blocks + blocks, 120),
        ([*blocks[:100], *blocks[10:20], *blocks[100:]], 10),
    ]:
        (tmp_path / "b.cwa").write_bytes(header + b"".join(again))
        recording = imuspec.read(tmp_path / "b.cwa")
        assert recording.quality.counts == {"repeated_block": n}
        assert np.abs(recording.time - sound.time).max() < 50_000
        np.testing.assert_array_equal(recording.acceleration, sound.acceleration)


@pytest.mark.parametrize(("block", "year"), [(0, 2010), (-1, 2024)])
def test_the_first_or_last_block_of_a_cwa_with_a_wild_stamp_is_timed_by_the_others(
    block: int, year: int, tmp_path: Path
) -> None:
    header, *blocks = cwa(tmp_path / "a.cwa", 120)
    (tmp_path / "a.cwa").write_bytes(header + b"".join(blocks))
    sound = imuspec.read(tmp_path / "a.cwa")
    stamp = int.from_bytes(blocks[block][14:18], "little") & ~(63 << 26) | (year - 2000) << 26
    blocks[block][14:18] = stamp.to_bytes(4, "little")
    seal(blocks[block])
    (tmp_path / "b.cwa").write_bytes(header + b"".join(blocks))
    recording = imuspec.read(tmp_path / "b.cwa")
    assert recording.quality.counts == {"clock_lost": 1}
    assert np.abs(recording.time - sound.time).max() < 20_000_000


def test_blocks_whose_rate_does_not_fit_their_stamps_are_refused(tmp_path: Path) -> None:
    header, *blocks = cwa(tmp_path / "a.cwa", 120)
    for block in blocks:
        block[24] = block[24] & 0xF0 | 8
        seal(block)
    (tmp_path / "a.cwa").write_bytes(header + b"".join(blocks))
    with pytest.raises(RecordingError, match="their rate is not the one stated"):
        imuspec.read(tmp_path / "a.cwa")


def test_a_session_that_no_block_has_is_reported(tmp_path: Path) -> None:
    header, *blocks = cwa(tmp_path / "a.cwa", 60)
    header[7:11] = b"\x99\x00\x00\x00"
    (tmp_path / "a.cwa").write_bytes(header + b"".join(blocks))
    recording = imuspec.read(tmp_path / "a.cwa")
    assert recording.quality.counts == {"session_differs": 1}
    assert len(recording) == 60 * 120


@pytest.mark.parametrize("kind", ["cwa", "geneactiv"])
def test_a_device_that_begins_anew_ends_a_segment_though_no_time_is_missing(kind: str, tmp_path: Path) -> None:
    recipe = RECIPE.set("segments.max_gap_s=5")
    header, *blocks = cwa(tmp_path / "a.cwa", 120)

    def written(restart: bool) -> Path:
        if kind == "geneactiv":
            path = geneactiv(tmp_path / "a.bin", list(range(20)))
            text = path.read_text()
            for page in range(20):
                number = page - 10 if restart and page >= 10 else page
                text = text.replace(f"Sequence Number:{page}\n", f"Sequence Number: {number}\n", 1)
            path.write_text(text, newline="\r\n")
            return path
        for index in range(60, 120):
            blocks[index][10:14] = (index - 60 if restart else index).to_bytes(4, "little")
            seal(blocks[index])
        (tmp_path / "a.cwa").write_bytes(header + b"".join(blocks))
        return tmp_path / "a.cwa"

    whole, again = (imuspec.prepare(written(restart), recipe) for restart in (False, True))
    assert (len(whole.segments), len(again.segments)) == (1, 2)
    assert again.quality.counts["restart"] == 1
    assert again.segments[0, 1] == again.segments[1, 0]


def test_by_actipys_rule_moved_and_wild_seconds_of_a_gt3x_are_counted_and_stay(tmp_path: Path) -> None:
    sound = [second(i) for i in range(60)]
    moved = [*sound[:20], sound[21], sound[20], *sound[22:40], record(START + 400 * 86_400, value=240), *sound[41:]]
    recording = imuspec.read(gt3x(tmp_path / "a.gt3x", *moved), "actipy")
    counts = recording.quality.counts
    assert (counts["out_of_order"], counts["wild_stamp"]) == (1, 1)
    assert counts["rows_not_later"] == 30 + 30 * 19  # what is not later than the wild second, as actipy leaves it out
    assert recording.time[-1] > (START + 400 * 86_400) * 1_000_000_000
