"""What `read` makes of each kind of damage that a CWA file can have: a defined answer, and every loss listed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import imuspec
from imuspec.recording.recording import Recording
from imuspec.report.words import kind_meaning
from imuspec.simulation import DAMAGE_KINDS, Truth, simulate

DAYS = 0.03
# What each damaged block is listed as.
LISTED = {
    "checksum": "bad_checksum",
    "zeroed": "blank_block",
    "blank": "blank_block",
    "bad_date": "bad_date",
    "bad_rate": "bad_rate",
    "bad_count": "bad_count",
    "one_axis": "bad_axes",
}


def damaged(folder: Path, *kinds: str, timestamps: Any = "device", **options: Any) -> tuple[Recording, Truth]:
    truth = simulate(folder / "a.cwa", days=DAYS, seed=21, damage=kinds, **options)
    return imuspec.read(folder / "a.cwa", timestamps=timestamps), truth


def worst_ms(recording: Recording, truth: Truth) -> float:
    """Farthest that the first sample of a sound block lies from when it was taken, the clock's jumps put back."""
    assert recording.blocks is not None
    at = recording.blocks.index.astype(int)
    sound = ~np.isin(at, truth.corrupted)
    times = recording.time[recording.blocks.first.astype(int)]
    return float(np.abs(times - truth.block_time_ns[at] - truth.clock_offset_ns[at])[sound].max() / 1e6)


def blocks_of(recording: Recording, kind: str) -> list[int]:
    return [event.block + k for event in recording.quality.events(kind) for k in range(event.count)]


@pytest.mark.parametrize("kind", LISTED)
@pytest.mark.parametrize("unpacked", [False, True])
def test_a_block_that_cannot_be_trusted_is_listed_with_its_place_and_ends_the_run(
    kind: str, unpacked: bool, tmp_path: Path
) -> None:
    recording, truth = damaged(tmp_path, kind, unpacked=unpacked)
    assert blocks_of(recording, LISTED[kind]) == truth.corrupted.tolist() != []
    event = recording.quality.events(LISTED[kind])[0]
    assert event.offset == 1024 + 512 * event.block
    assert event.time is not None
    remaining = truth.block_samples.sum() - truth.block_samples[truth.corrupted].sum()
    assert len(recording) == remaining + (truth.block_samples[truth.corrupted].sum() if kind == "bad_count" else 0)
    stretches = 1 + np.count_nonzero(np.diff(truth.corrupted, prepend=-9) > 1)
    assert len(recording.runs) == (1 if kind == "bad_count" else stretches)  # a count is cut to what a block can hold
    assert worst_ms(recording, truth) < 12


def test_lost_blocks_leave_a_gap_over_which_nothing_is_stretched(tmp_path: Path) -> None:
    recording, truth = damaged(tmp_path, "lost", unpacked=True)  # 0.8 s a block, which actipy's rule smears over
    lost = [(event.block, event.count) for event in recording.quality.events("lost_blocks")]
    assert lost == [(event["block"], event["blocks"]) for event in truth.events] != []
    assert len(recording.runs) == 1 + len(lost)
    gaps = [event.value for event in recording.quality.events("gap")]
    assert gaps == pytest.approx([blocks * 80 / truth.device_rate for _, blocks in lost], abs=0.03)
    assert worst_ms(recording, truth) < 12


def test_a_block_written_twice_is_taken_once(tmp_path: Path) -> None:
    recording, truth = damaged(tmp_path, "repeated")
    copies = [event["block"] for event in truth.events]
    assert blocks_of(recording, "repeated_block") == copies != []
    assert all(event.time is not None for event in recording.quality)
    assert len(recording) == truth.block_samples.sum() - truth.block_samples[copies].sum()
    assert len(recording.runs) == 1
    assert (np.diff(recording.time) > 0).all()


def test_neighbours_in_the_wrong_order_are_put_right(tmp_path: Path) -> None:
    recording, truth = damaged(tmp_path, "swapped")
    assert blocks_of(recording, "out_of_order") == [event["block"] + 1 for event in truth.events] != []
    assert len(recording) == truth.block_samples.sum()
    assert len(recording.runs) == 1
    assert (np.diff(recording.time) > 0).all()
    simulate(tmp_path / "whole.cwa", days=DAYS, seed=21)
    np.testing.assert_array_equal(recording.acceleration, imuspec.read(tmp_path / "whole.cwa").acceleration)


def test_a_restart_begins_a_run_after_its_gap(tmp_path: Path) -> None:
    recording, truth = damaged(tmp_path, "restart")
    (event,) = truth.events
    assert blocks_of(recording, "restart") == [event["block"]]
    assert recording.quality.events("gap")[0].value == pytest.approx(event["gap_s"], abs=0.03)
    assert len(recording.runs) == 2
    assert worst_ms(recording, truth) < 12


@pytest.mark.parametrize(("kind", "jump"), [("clock_back", -3600), ("clock_forward", 3600)])
def test_a_clock_that_was_set_begins_a_run_and_loses_no_sample(kind: str, jump: float, tmp_path: Path) -> None:
    recording, truth = damaged(tmp_path, kind)
    (event,) = recording.quality.events("clock_jump")
    assert event.block == truth.events[0]["block"]
    assert event.value == pytest.approx(jump, abs=0.1)
    assert len(recording) == truth.block_samples.sum()
    assert len(recording.runs) == 2
    assert worst_ms(recording, truth) < 12


def test_actipys_rule_drops_what_comes_before_the_clock_that_was_set_back_and_says_so(tmp_path: Path) -> None:
    recording, truth = damaged(tmp_path, "clock_back", timestamps="actipy")
    assert (np.diff(recording.time) > 0).all()
    assert len(recording) + recording.quality.counts["rows_not_later"] == truth.block_samples.sum()


def test_a_rate_that_changes_begins_a_run_of_that_rate(tmp_path: Path) -> None:
    recording, truth = damaged(tmp_path, "rate_change")
    assert blocks_of(recording, "rate_change") == [truth.events[0]["block"]]
    assert len(recording) == truth.block_samples.sum()
    steps = [float(np.median(np.diff(recording.time[a:b]))) / 1e9 for a, b in recording.runs]
    assert steps == pytest.approx([1 / truth.device_rate, 2 / truth.device_rate], rel=1e-3)
    assert recording.nominal_rate == 100
    assert worst_ms(recording, truth) < 21  # one sample of the slower rate
    prepared = imuspec.prepare(tmp_path / "a.cwa", _loose())
    assert prepared.status == "ok", prepared.reason
    assert np.isfinite(prepared.acceleration).mean() > 0.99  # type: ignore[arg-type]


def test_six_axis_blocks_inside_a_three_axis_file_are_read_with_their_gyroscope(tmp_path: Path) -> None:
    recording, truth = damaged(tmp_path, "ax6_inside")
    assert len(recording) == truth.block_samples.sum()
    assert recording.quality.counts["layout_change"] == 2
    assert recording.gyroscope is not None
    turned = np.isfinite(recording.gyroscope).all(axis=0)
    assert turned.sum() == 5 * 40
    assert recording.blocks is not None
    first = int(recording.blocks.first[truth.events[0]["block"]])
    assert turned[first : first + 200].all()
    assert np.linalg.norm(recording.acceleration[:, turned], axis=0).mean() == pytest.approx(1, abs=0.2)
    assert worst_ms(recording, truth) < 12


def test_a_year_whose_top_bit_is_set_is_that_year(tmp_path: Path) -> None:
    for timestamps in ("device", "actipy"):
        recording, truth = damaged(tmp_path, "year_2040", timestamps=timestamps)
        assert str(recording.time[0].astype("datetime64[ns]")).startswith("2040-05-1")
        assert len(recording) == truth.block_samples.sum()
        assert set(recording.quality.counts) <= {"stamp_snapped"}


def test_a_file_without_its_header_tells_device_and_rate_by_its_blocks(tmp_path: Path) -> None:
    recording, truth = damaged(tmp_path, "no_header")
    assert (recording.device, recording.device_id, recording.nominal_rate) == ("Axivity AX3", "", 100.0)
    assert len(recording) == truth.block_samples.sum()
    assert worst_ms(recording, truth) < 12


def test_a_torn_last_block_is_left_out_and_counted(tmp_path: Path) -> None:
    recording, truth = damaged(tmp_path, "truncated")
    (event,) = recording.quality.events("partial_block")
    assert event.value == truth.events[-1]["bytes"]
    assert event.offset == 1024 + 512 * len(truth.block_samples)
    assert len(recording) == truth.block_samples.sum()


def test_a_compressed_file_that_ends_early_gives_what_came_before(tmp_path: Path) -> None:
    truth = simulate(tmp_path / "a.cwa.gz", days=DAYS, seed=21, damage=["gzip_truncated"])
    recording = imuspec.read(tmp_path / "a.cwa.gz")
    assert recording.quality.counts["damaged_compression"] == 1
    assert 0.3 * truth.block_samples.sum() < len(recording) < truth.block_samples.sum()
    assert imuspec.prepare(tmp_path / "a.cwa.gz", _loose()).quality.counts["damaged_compression"] == 1


@pytest.mark.parametrize(
    ("kind", "message"), [("empty", "expected a recording, got an empty file"), ("garbage", "expected")]
)
def test_bytes_that_are_no_recording_are_refused_with_path_offset_and_reason(
    kind: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.cwa"
    simulate(path, days=DAYS, seed=21, damage=[kind])
    with pytest.raises(imuspec.RecordingError, match=message) as refused:
        imuspec.read(path)
    assert (refused.value.path, refused.value.offset) == (str(path), 0)
    assert imuspec.prepare(path).status == "failed"


def test_all_damage_at_once_is_listed_where_it_is(tmp_path: Path) -> None:
    whole_file = {"empty", "garbage", "gzip_truncated", "truncated", "no_header"}
    kinds = [kind for kind in DAMAGE_KINDS if kind not in whole_file]
    recording, truth = damaged(tmp_path, *kinds)
    listed = sorted(location for kind in set(LISTED.values()) for location in blocks_of(recording, kind))
    assert listed == sorted(truth.corrupted.tolist())
    assert worst_ms(recording, truth) < 21
    assert [kind for kind in recording.quality.counts if not kind_meaning(kind)] == []
    inside = np.ones(len(recording), bool)
    inside[recording.runs[:, 0]] = False
    assert (np.diff(recording.time)[inside[1:]] > 0).all()


def _loose() -> imuspec.Recipe:
    return imuspec.Recipe.load("capture24").set("calibration.required=false", "segments.min_wear_h=0.1")
