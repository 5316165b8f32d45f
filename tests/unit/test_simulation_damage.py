"""Damage done on purpose: each kind is what its name says, where the truth says, and nowhere else."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import numpy as np
import pytest

from cwa_blocks import blocks_of, times_by_stamp
from imuspec.simulation import DAMAGE_KINDS, Truth, simulate

SHORT = 0.01  # days: some 700 packed blocks at 100 Hz


@pytest.mark.parametrize("kind", ["checksum", "zeroed", "blank", "bad_date", "bad_rate", "bad_count", "one_axis"])
def test_a_corrupted_block_is_wrong_where_the_truth_says_and_nowhere_else(tmp_path: Path, kind: str) -> None:
    truth = simulate(tmp_path / "a.cwa", days=SHORT, seed=8, damage=[kind])
    simulate(tmp_path / "b.cwa", days=SHORT, seed=8)
    harmed, whole = (blocks_of((tmp_path / name).read_bytes()) for name in ("a.cwa", "b.cwa"))
    raw, clean = ((tmp_path / name).read_bytes() for name in ("a.cwa", "b.cwa"))
    differing = [k for k in range(len(whole)) if raw[1024 + 512 * k :][:512] != clean[1024 + 512 * k :][:512]]
    assert differing == truth.corrupted.tolist()
    assert 0 < len(differing) < 40
    assert set(truth.corrupted_kind) == {kind}
    signs = {
        "checksum": lambda b: b.sum_of_words != 0 and b.tag == b"AX",
        "zeroed": lambda b: b.tag == b"\0\0" and not b.samples.any(),
        "blank": lambda b: b.tag == b"\xff\xff" and b.count == 0xFFFF,
        "bad_date": lambda b: b.stamp is None and b.sum_of_words == 0,
        "bad_rate": lambda b: b.rate == 0 and b.offset <= 0 and b.sum_of_words == 0,
        "bad_count": lambda b: b.count == 4000 and b.sum_of_words == 0,
        "one_axis": lambda b: b.axes == 0x12 and b.sum_of_words == 0,
    }
    assert all(signs[kind](harmed[k]) for k in differing)


def test_lost_blocks_leave_jumps_of_the_sequence_and_the_truth_counts_them(tmp_path: Path) -> None:
    truth = simulate(tmp_path / "a.cwa", days=SHORT, seed=9, damage=["lost"])
    sequence = np.array([block.sequence for block in blocks_of((tmp_path / "a.cwa").read_bytes())])
    jumps = {int(k) + 1: int(n) - 1 for k, n in enumerate(np.diff(sequence)) if n != 1}
    assert jumps == {event["block"]: event["blocks"] for event in truth.events}
    assert {event["kind"] for event in truth.events} == {"lost"}
    np.testing.assert_array_equal(sequence, truth.block_index)


def test_repeated_and_swapped_blocks_are_where_the_truth_says(tmp_path: Path) -> None:
    truth = simulate(tmp_path / "a.cwa", days=SHORT, seed=9, damage=["repeated", "swapped"])
    sequence = np.array([block.sequence for block in blocks_of((tmp_path / "a.cwa").read_bytes())])
    step = np.diff(sequence)
    result = {kind: [e["block"] for e in truth.events if e["kind"] == kind] for kind in ("repeated", "swapped")}
    assert result["repeated"] == (np.flatnonzero(step == 0) + 1).tolist() != []
    assert result["swapped"] == np.flatnonzero(step == -1).tolist() != []
    assert len(truth.corrupted) == 0


def test_a_restart_counts_from_zero_after_its_gap(tmp_path: Path) -> None:
    truth = simulate(tmp_path / "a.cwa", days=SHORT, seed=10, damage=["restart"])
    blocks = blocks_of((tmp_path / "a.cwa").read_bytes())
    (event,) = truth.events
    at = event["block"]
    assert (blocks[at].sequence, blocks[at].events) == (0, 1)
    assert [k for k, block in enumerate(blocks) if block.events] == [0, at]
    gap = (truth.block_time_ns[at] - truth.block_time_ns[at - 1]) / 1e9 - 120 / truth.device_rate
    assert abs(gap - event["gap_s"]) < 1e-3 < event["gap_s"]
    error = times_by_stamp(blocks, truth.device_rate, 100) - truth.block_time_ns / 1e9
    assert np.abs(error).max() < 0.012


@pytest.mark.parametrize(("kind", "jump"), [("clock_back", -3600), ("clock_forward", 3600)])
def test_a_clock_that_is_set_shows_in_the_stamps_alone(tmp_path: Path, kind: str, jump: int) -> None:
    truth = simulate(tmp_path / "a.cwa", days=SHORT, seed=11, damage=[kind])
    blocks = blocks_of((tmp_path / "a.cwa").read_bytes())
    (event,) = truth.events
    assert (event["kind"], event["jump_s"]) == (kind, jump)
    assert (truth.clock_offset_ns == np.where(np.arange(len(blocks)) >= event["block"], jump * 10**9, 0)).all()
    error = times_by_stamp(blocks, truth.device_rate, 100) - (truth.block_time_ns + truth.clock_offset_ns) / 1e9
    assert np.abs(error).max() < 0.012
    assert [block.sequence for block in blocks] == list(range(len(blocks)))


def test_a_rate_change_halves_rate_and_code(tmp_path: Path) -> None:
    truth = simulate(tmp_path / "a.cwa", days=SHORT, seed=12, damage=["rate_change"])
    blocks = blocks_of((tmp_path / "a.cwa").read_bytes())
    at = truth.events[0]["block"]
    assert {block.rate for block in blocks[:at]} == {0x4A}
    assert {block.rate for block in blocks[at:]} == {0x49}
    spans = np.diff(truth.block_time_ns) / 1e9
    np.testing.assert_allclose(spans[at:], 240 / truth.device_rate, rtol=1e-4)
    error = times_by_stamp(blocks[at:], truth.device_rate / 2, 50) - truth.block_time_ns[at:] / 1e9
    assert np.abs(error).max() < 0.021


def test_six_axis_blocks_inside_keep_sequence_and_time(tmp_path: Path) -> None:
    truth = simulate(tmp_path / "a.cwa", days=SHORT, seed=13, damage=["ax6_inside"])
    blocks = blocks_of((tmp_path / "a.cwa").read_bytes())
    at = truth.events[0]["block"]
    assert [k for k, block in enumerate(blocks) if block.axes == 0x62] == list(range(at, at + 5))
    assert [block.count for block in blocks] == truth.block_samples.tolist()
    assert [block.sequence for block in blocks] == list(range(len(blocks)))
    np.testing.assert_allclose(
        np.diff(truth.block_time_ns) / 1e9, truth.block_samples[:-1] / truth.device_rate, rtol=1e-3
    )


def test_damage_to_the_file_itself(tmp_path: Path) -> None:
    def bytes_of(kind: str, name: str = "a.cwa") -> tuple[bytes, Truth]:
        truth = simulate(tmp_path / name, days=SHORT, seed=14, damage=[kind])
        return (tmp_path / name).read_bytes(), truth

    simulate(tmp_path / "whole.cwa", days=SHORT, seed=14)
    whole = (tmp_path / "whole.cwa").read_bytes()
    assert bytes_of("empty")[0] == b""
    assert bytes_of("no_header")[0] == whole[1024:]
    torn, truth = bytes_of("truncated")
    assert whole.startswith(torn)
    assert (len(torn) - 1024) // 512 == len(truth.block_time_ns)
    assert (len(torn) - 1024) % 512 == truth.events[-1]["bytes"] > 0
    garbage, truth = bytes_of("garbage")
    assert garbage[:2] != b"MD"
    assert len(set(garbage)) == 256
    assert len(truth.block_time_ns) == 0
    late, _ = bytes_of("year_2040")
    assert {block.stamp.year for block in blocks_of(late) if block.stamp} == {2040}
    short, truth = bytes_of("gzip_truncated", "a.cwa.gz")
    assert len(truth.block_time_ns) == len(blocks_of(whole))
    with pytest.raises(EOFError):
        gzip.decompress(short)
    with gzip.open(io.BytesIO(short)) as file:
        assert file.read(5000) == whole[:5000]


def test_all_kinds_of_damage_at_once_leave_a_truth_that_fits_the_file(tmp_path: Path) -> None:
    kinds = [
        kind for kind in DAMAGE_KINDS if kind not in {"empty", "garbage", "gzip_truncated", "truncated", "no_header"}
    ]
    truth = simulate(tmp_path / "a.cwa", days=SHORT, seed=15, damage=kinds)
    blocks = blocks_of((tmp_path / "a.cwa").read_bytes())
    assert len(blocks) == len(truth.block_time_ns) == len(truth.block_samples)
    assert set(truth.corrupted_kind) == {
        "checksum", "zeroed", "blank", "bad_date", "bad_rate", "bad_count", "one_axis",
    }  # fmt: skip
    sound = np.setdiff1d(np.arange(len(blocks)), truth.corrupted)
    assert all(blocks[k].count == truth.block_samples[k] and blocks[k].sum_of_words == 0 for k in sound)
    for run, about in enumerate(truth.runs):
        mine = [k for k in sound if truth.block_run[k] == run]
        stamped = times_by_stamp([blocks[k] for k in mine], about["device_rate"], int(about["nominal_rate"]))
        expected = (truth.block_time_ns[mine] + truth.clock_offset_ns[mine]) / 1e9
        assert np.abs(stamped - expected).max() < 1.1 / about["device_rate"]
    required = {"lost", "repeated", "swapped", "restart", "clock_back", "clock_forward", "rate_change", "ax6_inside"}
    assert {event["kind"] for event in truth.events} == required


def test_every_kind_of_damage_is_described_and_can_be_had_alone(tmp_path: Path) -> None:
    for kind, text in DAMAGE_KINDS.items():
        truth = simulate(tmp_path / f"{kind}.cwa.gz", days=0.005, seed=1, damage=[kind])
        assert truth.damage == (kind,)
        assert len(text) > 10
