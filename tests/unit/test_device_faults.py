"""Device files whose records repeat, change places, lie or belong to somebody else: what is made of each."""

from __future__ import annotations

import gzip
import io
import os
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import imuspec
from device_files import DAY, SECOND, START, cwa, geneactiv, gt3x, participant, record, seal
from imuspec.errors import RecordingError
from imuspec.recording.recording import Recording


def minute(n: int = 60, rate: int = 30) -> list[bytes]:
    return [record(START + i, rate=rate) for i in range(n)]


def whole(recording: Recording, n: int = 60, rate: int = 30) -> bool:
    """Whether a recording is n seconds from START on without a gap, its seconds in order."""
    step = np.diff(recording.time)
    return bool(
        len(recording) == n * rate
        and recording.time[0] == START * SECOND
        and np.abs(step - SECOND / rate).max() < 2
        and np.array_equal(np.unique(np.diff(recording.acceleration[1]) != 0).astype(int), [0, 1])
    )


def repeat(records: list[bytes]) -> list[bytes]:
    return [*records[:20], records[19], *records[20:30], records[28], *records[30:]]


def swap(records: list[bytes]) -> list[bytes]:
    records[10], records[12] = records[12], records[10]
    records[0], records[1] = records[1], records[0]
    return records


def wild(location: int, second: int) -> Callable[[list[bytes]], list[bytes]]:
    def alter(records: list[bytes]) -> list[bytes]:
        records[location] = record(second)
        return records

    return alter


@pytest.mark.parametrize(
    ("alter", "counts"),
    [
        (lambda records: records, {}),
        (repeat, {"repeated_record": 2}),
        (swap, {"out_of_order": 3}),
        (wild(0, 0), {"wild_stamp": 1}),
        (wild(30, START + 400 * DAY), {"wild_stamp": 1}),
        (wild(30, 3), {"wild_stamp": 1}),
    ],
    ids=["sound", "repeated", "swapped", "first of 1970", "one in a year", "one of 1970"],
)
def test_seconds_of_a_gt3x_come_once_and_in_order(
    alter: Callable[[list[bytes]], list[bytes]], counts: dict[str, int], tmp_path: Path
) -> None:
    path = gt3x(tmp_path / "a.gt3x", *alter(minute()))
    recording = imuspec.read(path)
    assert recording.quality.counts == counts
    assert whole(recording)
    by_actipys_rule = imuspec.read(path, timestamps="actipy").quality.counts
    assert by_actipys_rule.get("repeated_record", 0) == counts.get("repeated_record", 0)


def test_the_records_of_a_gt3x_decide_its_rate(tmp_path: Path) -> None:
    path = gt3x(tmp_path / "a.gt3x", *minute(rate=100))
    recording = imuspec.read(path)
    assert recording.quality.counts == {"rate_differs": 1}
    assert (recording.nominal_rate, recording.sample_rate) == (100, pytest.approx(100))
    assert recording.quality.table[0].value == 100
    assert whole(recording, rate=100)
    last = [*minute(59), record(START + 59, rate=12)]  # a last second cut short is no other rate
    assert imuspec.read(gt3x(tmp_path / "b.gt3x", *last)).quality.counts == {}


def test_idle_sleep_ends_with_its_wake_event(tmp_path: Path) -> None:
    events = [record(START + 60, 8, kind=3), record(START + 70, 9, kind=3)]
    late = [record(START + 3600 + i) for i in range(60)]
    recording = imuspec.read(gt3x(tmp_path / "a.gt3x", *minute(), *events, *late))
    (sleep,) = recording.quality.events("idle_sleep")
    assert (sleep.time, sleep.value) == ((START + 60) * SECOND, 10)
    assert recording.runs.tolist() == [[0, 1800], [1800, 3600]]


def test_two_recordings_in_one_archive_are_refused_and_clutter_is_passed_over(tmp_path: Path) -> None:
    path = gt3x(tmp_path / "a.gt3x", *minute(), more=("other/",))
    with pytest.raises(RecordingError, match="expected one recording in the archive, got 2"):
        imuspec.read(path)
    inner = gt3x(tmp_path / "b.gt3x", *minute()).read_bytes()
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        archive.writestr("b.gt3x", inner)
        archive.writestr("__MACOSX/._b.gt3x", b"\0\5\x16\7")
        archive.writestr("consent.pdf", b"%PDF-1.4 ...")
    assert whole(imuspec.read(tmp_path / "c.zip"))
    with zipfile.ZipFile(tmp_path / "c.zip", "a") as archive:
        archive.writestr("d.gt3x", inner)
    with pytest.raises(RecordingError, match="got several"):
        imuspec.read(tmp_path / "c.zip")


def test_fields_that_identify_a_person_stand_apart(tmp_path: Path) -> None:
    recording = imuspec.read(gt3x(tmp_path / "a.gt3x", *minute()))
    assert recording.identifying == {"Subject Name": "Jane"}
    assert "Jane" not in str(recording.metadata)
    assert recording.metadata["Firmware"] == "1.9.2"
    prepared = imuspec.prepare(gt3x(tmp_path / "b.gt3x", *minute()))
    assert "Jane" not in str(prepared.header)


def lose_clock(block: bytearray) -> None:
    """Set a block's clock to its minute and second of the first hour of 2000."""
    (bits,) = struct.unpack_from("<I", block, 14)
    struct.pack_into("<I", block, 14, 1 << 22 | 1 << 17 | bits & 0xFFF)
    seal(block)


@pytest.mark.parametrize(
    "lost", [range(20, 33), range(0, 30), [7], range(50, 60)], ids=["middle", "start", "one", "end"]
)
def test_blocks_whose_clock_lost_the_time_are_timed_by_their_neighbours(lost: range, tmp_path: Path) -> None:
    path = tmp_path / "a.cwa"
    parts = cwa(path)
    path.write_bytes(b"".join(parts))
    sound = imuspec.read(path)
    for i in lost:
        lose_clock(parts[1 + i])
    path.write_bytes(b"".join(parts))
    recording = imuspec.read(path)
    assert recording.quality.counts == {"clock_lost": len(lost)}
    assert len(recording.runs) == 1
    assert np.abs(recording.time - sound.time).max() < 60e6
    np.testing.assert_array_equal(recording.acceleration, sound.acceleration)


def test_a_clock_that_was_never_set_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "a.cwa"
    parts = cwa(path)
    for block in parts[1:]:
        lose_clock(block)
    path.write_bytes(b"".join(parts))
    assert imuspec.read(path).quality.counts == {"unlikely_date": 1}


@pytest.mark.parametrize("joined", [False, True])
def test_blocks_of_another_session_are_left_out_and_counted(joined: bool, tmp_path: Path) -> None:
    path = tmp_path / "a.cwa"
    parts = cwa(path)
    path.write_bytes(b"".join(parts))
    alone = imuspec.read(path)
    other = [bytearray(block) for block in parts[1:]]
    for block in other:
        struct.pack_into("<I", block, 6, 4711)
        seal(block)
    tail = b"".join([*([parts[0]] if joined else []), *other])
    path.write_bytes(b"".join(parts) + tail)
    recording = imuspec.read(path)
    assert recording.quality.counts["other_session"] == 60 + joined
    np.testing.assert_array_equal(recording.time, alone.time)
    (event,) = recording.quality.events("other_session")[-1:]
    assert event.block + event.count == 120 + 2 * joined
    assert len(imuspec.read(path, timestamps="actipy")) >= len(alone)


@pytest.mark.parametrize(("firmware", "n"), [(53, 128), (54, 1024), (56, 0)])
def test_what_an_ax6_exchanged_is_put_back_where_the_numbers_agree(firmware: int, n: int, tmp_path: Path) -> None:
    path = tmp_path / "a.cwa"
    parts = cwa(path, device="ax6")
    parts[0][41] = firmware
    path.write_bytes(b"".join(parts))
    sound = imuspec.read(path)
    assert "exchanged_sensors" not in sound.quality.counts
    for i, block in enumerate(parts[1:]):
        rows = np.frombuffer(block, "<i2", 240, 30).reshape(40, 6).copy()
        k = min(max(n - 40 * i, 0), 40)
        rows[:k] = rows[:k, [3, 4, 5, 0, 1, 2]]
        block[30:510] = rows.tobytes()
        seal(block)
    path.write_bytes(b"".join(parts))
    recording = imuspec.read(path)
    assert recording.quality.counts.get("exchanged_sensors", 0) == n
    np.testing.assert_array_equal(recording.acceleration, sound.acceleration)
    np.testing.assert_array_equal(recording.gyroscope, sound.gyroscope)


def test_a_file_too_short_for_its_name_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.cwa").write_bytes(b"MD")
    with pytest.raises(RecordingError, match=r"cwa: expected a header of 1024 bytes .* too short"):
        imuspec.read(tmp_path / "a.cwa")


@pytest.mark.parametrize("pack", ["w", "w:gz", "w:bz2"])
def test_one_recording_in_a_tar_is_read_and_two_are_refused(pack: str, tmp_path: Path) -> None:
    content = b"".join(cwa(tmp_path / "a.cwa"))

    def tar(names: list[str]) -> Path:
        with tarfile.open(tmp_path / "a.tar.gz", pack) as archive:  # type: ignore[call-overload]
            for name in names:
                data = content if name.endswith("cwa") else b"%PDF-1.4 of another kind"
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
        return tmp_path / "a.tar.gz"

    assert len(imuspec.read(tar(["x/consent.pdf", "x/._a.cwa", "x/a.cwa"]))) == 60 * 120
    with pytest.raises(RecordingError, match="got several"):
        imuspec.read(tar(["a.cwa", "b.cwa"]))
    with pytest.raises(RecordingError, match="got an archive without one"):
        imuspec.read(tar(["consent.pdf"]))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.cwa")
    with pytest.raises(RecordingError, match="expected a regular file, got a named pipe"):
        imuspec.read(tmp_path / "a.cwa")
    with pytest.raises(RecordingError, match="expected a regular file, got a device"):
        imuspec.read(os.devnull)


def test_a_compression_that_breaks_off_is_damage_of_the_share_that_is_missing(tmp_path: Path) -> None:
    content = b"".join(cwa(tmp_path / "a.cwa"))
    packed = gzip.compress(content)
    (tmp_path / "cut.cwa.gz").write_bytes(packed[: len(packed) // 2])
    assert imuspec.read(tmp_path / "cut.cwa.gz").damaged_share == 1  # nothing says how much is missing
    (tmp_path / "more.cwa.gz").write_bytes(packed + b"garbage")
    more = imuspec.read(tmp_path / "more.cwa.gz")
    assert more.quality.counts == {"damaged_compression": 1}
    assert more.damaged_share < 0.01
    spoiled = bytearray(content)
    for block in range(20):
        spoiled[1024 + 512 * block + 200] ^= 1
    (tmp_path / "b.cwa").write_bytes(spoiled)
    assert imuspec.read(tmp_path / "b.cwa").damaged_share == pytest.approx(20 / 60)


def test_an_hour_without_a_member_is_missing_and_not_slept_through(tmp_path: Path) -> None:
    recording = imuspec.read(participant(tmp_path / "1", {"10-P0000": 1.0, "12-P0000": 1.0}))
    (event,) = recording.quality.events("missing_member")
    assert (event.count, str(np.datetime64(event.time, "ns"))[:16]) == (1, "2000-01-03T11:00")
    assert not recording.quality.events("idle_sleep")
    assert recording.damaged_share == pytest.approx(1 / 3)
    assert recording.device_id == "NEO1D1"


def test_a_member_that_is_there_twice_is_read_once(tmp_path: Path) -> None:
    hours = {"10-P0000": 1.0, "11-P0000": 1.0, "11-P0001": 1.0}
    recording = imuspec.read(participant(tmp_path / "1", hours))
    assert recording.quality.counts["repeated_member"] == 1
    assert len(recording) == 3200
    assert (np.diff(recording.time) > 0).all()


def test_members_of_two_devices_are_refused(tmp_path: Path) -> None:
    folder = participant(tmp_path / "1", {"10-P0000": 1.0})
    participant(folder, {"11-P0000": 1.0}, serial="NEO1D2")
    with pytest.raises(RecordingError, match="expected one device's, got serial numbers NEO1D1 and NEO1D2"):
        imuspec.read(folder)
    with tarfile.open(tmp_path / "1.tar.bz2", "w:bz2") as archive:
        archive.add(folder, "1")
    with pytest.raises(RecordingError, match="serial numbers"):
        imuspec.read(tmp_path / "1.tar.bz2")


def test_pages_of_a_geneactiv_come_once_and_in_order(tmp_path: Path) -> None:
    sound = imuspec.read(geneactiv(tmp_path / "a.bin", list(range(20))))
    assert sound.quality.counts == {}
    for order, counts in [
        ([*range(8), 7, *range(8, 20)], {"repeated_page": 1}),
        ([*range(6), 7, 6, *range(8, 20)], {"out_of_order": 1}),
        ([*range(18), 19, 18], {"out_of_order": 1}),
    ]:
        recording = imuspec.read(geneactiv(tmp_path / "b.bin", order))
        assert recording.quality.counts == counts
        np.testing.assert_array_equal(recording.time, sound.time)
        np.testing.assert_array_equal(recording.acceleration, sound.acceleration)
        assert len(recording.runs) == 1


def test_a_geneactiv_with_decimal_commas_or_the_day_first_is_read(tmp_path: Path) -> None:
    sound = imuspec.read(geneactiv(tmp_path / "a.bin", list(range(20))))
    comma = imuspec.read(geneactiv(tmp_path / "b.bin", list(range(20)), comma=","))
    assert comma.quality.counts == {}
    np.testing.assert_array_equal(comma.acceleration, sound.acceleration)
    assert comma.temperature is not None
    assert comma.temperature[0] == 21.5
    day_first = imuspec.read(geneactiv(tmp_path / "c.bin", list(range(20)), form="%d/%m/%Y"))
    assert day_first.quality.counts == {"assumed_date_order": 1}
    np.testing.assert_array_equal(day_first.time, sound.time)
    stated = imuspec.read(geneactiv(tmp_path / "c.bin", list(range(20)), form="%d/%m/%Y"), date_order="day_first")
    assert stated.quality.counts == {}
    np.testing.assert_array_equal(stated.time, sound.time)
    month_first = imuspec.read(
        geneactiv(tmp_path / "d.bin", list(range(20)), form="%m/%d/%Y"), date_order="month_first"
    )
    assert month_first.quality.counts == {}
    np.testing.assert_array_equal(month_first.time, sound.time)
    assert sound.identifying == {"Subject Code": "JANE DOE", "Date of Birth": "1960-01-02"}


def test_a_geneactiv_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    path = geneactiv(tmp_path / "a.bin", [0, 1], form="%d. %b %Y")
    with pytest.raises(RecordingError, match=r"the first one's line 'Page Time:05\. Mar 2020 10:00:00:000' cannot"):
        imuspec.read(path)
    text = geneactiv(tmp_path / "a.bin", [0, 1]).read_text()
    (tmp_path / "a.bin").write_bytes(text.encode("utf-16"))
    with pytest.raises(RecordingError, match="got UTF-16"):
        imuspec.read(tmp_path / "a.bin")
    (tmp_path / "a.bin").write_text(text[text.index("Recorded Data") :])
    with pytest.raises(RecordingError, match="geneactiv: header: expected lines"):
        imuspec.read(tmp_path / "a.bin")
