"""Promises of `prepare` about outcomes, memory and interrupted runs."""

from __future__ import annotations

import errno
import gzip
import sys
from pathlib import Path

import numpy as np
import pytest

import imuspec
from imuspec import cli
from imuspec.cluster import prepare_cohort
from imuspec.cohort import lock, parts
from imuspec.recipe import Recipe
from imuspec.simulation import simulate
from peak_memory import PREPARE, READ, peak

BEGIN = np.datetime64("2024-03-04T09:00:00", "ns")
RECIPE = Recipe.load("capture24").set("calibration.required=false", "segments.min_wear_h=0")


def stored(path: Path, xyz: np.ndarray, rate: float = 30.0) -> Path:
    time_ns = np.round(np.arange(len(xyz)) * (1e9 / rate)).astype("int64")
    np.savez(path, time=BEGIN + time_ns.astype("timedelta64[ns]"), xyz=xyz.astype(np.float32))
    return path


def test_a_device_that_lay_on_a_desk_for_three_days_was_never_worn(tmp_path: Path) -> None:
    xyz = np.random.default_rng(1).normal(0, 0.002, (72 * 3600 * 30, 3)).astype(np.float32)
    xyz[:, 2] += 1
    prepared = imuspec.prepare(stored(tmp_path / "desk.npz", xyz), RECIPE)
    assert prepared.status == "excluded"
    assert prepared.reason == "never worn: the device lay still for 72.0 h of 72.0 h (--set checks.worn_min_share=0)"


@pytest.mark.parametrize(("gain", "accepted"), [(1.1, True), (1.3, False)])
def test_gains_beyond_the_bound_of_the_recipe_exclude(gain: float, accepted: bool, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    postures = rng.normal(size=(150, 3))
    postures /= gain * np.linalg.norm(postures, axis=1, keepdims=True)
    xyz = np.repeat(postures, 600, 0) + rng.normal(0, 0.002, (90_000, 3))
    path = stored(tmp_path / "postures.npz", xyz)
    prepared = imuspec.prepare(path, RECIPE)
    assert (prepared.status == "ok") == accepted, prepared.reason
    if not accepted:
        assert f"calibration: expected gains within 0.2 of 1, got {gain:.3g}" in prepared.reason
        assert imuspec.prepare(path, RECIPE.set("checks.gain_max=0.5")).status == "ok"


@pytest.mark.parametrize(("norm", "event"), [(0.75, True), (0.85, False), (1.15, False), (1.25, True)])
def test_a_norm_outside_of_0_8_to_1_2_g_is_an_event_and_a_recipe_can_exclude_it(
    norm: float, event: bool, tmp_path: Path
) -> None:
    xyz = np.zeros((9000, 3))
    xyz[:, 2] = norm
    path = stored(tmp_path / "a.npz", xyz)
    prepared = imuspec.prepare(path, RECIPE)
    assert prepared.status == "ok", prepared.reason
    assert ("unusual_norm" in prepared.quality.counts) == event
    strict = imuspec.prepare(path, RECIPE.set("checks.norm_min_g=0.8", "checks.norm_max_g=1.2"))
    assert (strict.status == "excluded") == event
    assert ("expected 0.8 to 1.2 g at rest" in strict.reason) == event


@pytest.mark.parametrize("rate", [30.0, 30.0000003, 30.01, 30.5])
def test_a_rate_near_twice_the_cutoff_is_prepared_and_the_low_pass_left_out_is_counted(
    rate: float, tmp_path: Path
) -> None:
    xyz = np.zeros((9000, 3))
    xyz[:, 2] = 1
    prepared = imuspec.prepare(stored(tmp_path / "a.npz", xyz, rate), RECIPE)
    assert prepared.status == "ok", prepared.reason
    assert prepared.figures["n_lowpass_skipped"] == int(rate < 30.06)
    assert "internal error" not in prepared.reason


def test_a_halved_file_fails_with_its_reason_and_its_healed_copy_is_taken_by_retry_failed(tmp_path: Path) -> None:
    inputs = tmp_path / "in"
    inputs.mkdir()
    simulate(tmp_path / "p1.cwa", days=0.1, seed=3)
    whole = gzip.compress((tmp_path / "p1.cwa").read_bytes(), 1)
    (inputs / "p1.cwa.gz").write_bytes(whole[: len(whole) // 2])
    out = tmp_path / "out"
    summary = prepare_cohort([inputs], out, recipe=RECIPE, workers=1)
    assert (summary.count("ok"), summary.count("failed")) == (0, 1)
    (row,) = imuspec.Cohort(out).recordings.to_pylist()
    assert row["status"] == "failed"
    assert summary.outcomes[0].reason.startswith(
        "damaged: an unknown part of the file could not be read; the recipe allows 10 %"
    )
    (inputs / "p1.cwa.gz").write_bytes(whole)
    summary = prepare_cohort([inputs], out, recipe=RECIPE, workers=1, resume=True, retry_failed=True)
    assert (summary.count("ok"), summary.count("failed")) == (1, 0)
    (row,) = imuspec.Cohort(out).recordings.to_pylist()
    assert row["status"] == "ok"


def test_a_file_system_without_locks_has_a_file_as_its_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class NoLocks(lock.FileLock):  # type: ignore[misc]  # a metaclass makes the class
        def acquire(self, *_: object, **__: object) -> None:  # type: ignore[override]
            raise OSError(errno.ENOSYS, "flock")

    monkeypatch.setattr(lock, "FileLock", NoLocks)
    with lock.lock_of(tmp_path):
        assert [path.name for path in tmp_path.rglob("*.soft")]
        with pytest.raises(lock.InUseError), lock.lock_of(tmp_path):
            pass
    assert not list(tmp_path.rglob("*.soft"))
    with lock.lock_of(tmp_path):
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("statement", [READ, PREPARE])
def test_a_large_file_of_mostly_nothing_takes_memory_by_its_samples(statement: str, tmp_path: Path) -> None:
    simulate(tmp_path / "a.cwa", days=0.01, seed=3)
    with (tmp_path / "a.cwa").open("r+b") as file:
        file.truncate(256 << 20)
    size, message = peak(statement, tmp_path / "a.cwa")
    assert message.startswith(("85200 rows", "failed: damaged", "ok")), message
    assert size < 64 << 20


def test_a_resumed_run_reads_each_part_twice_for_schema_and_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = tmp_path / "in"
    inputs.mkdir()
    for seed in range(3):
        simulate(inputs / f"p{seed}.cwa", days=0.01, seed=seed)
    prepare_cohort([inputs], tmp_path / "out", recipe=RECIPE, workers=1)
    opened: list[str] = []
    read = Path.read_bytes

    def counted(path: Path) -> bytes:
        opened.append(path.name)
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", counted)
    prepare_cohort([inputs], tmp_path / "out", recipe=RECIPE, workers=1, resume=True)
    identities = parts.part_ids(tmp_path / "out")
    assert len(identities) == 3
    for identity in identities:
        assert sum(name.startswith(identity) and name.endswith(".json") for name in opened) == 2


def test_info_of_a_folder_lists_its_recordings_and_what_is_passed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    simulate(tmp_path / "p1.cwa", days=0.01, seed=1)
    (tmp_path / "sub").mkdir()
    simulate(tmp_path / "sub" / "p2.cwa", days=0.01, seed=2)
    (tmp_path / "notes.pdf").write_bytes(b"%PDF")
    with pytest.raises(SystemExit) as ended:
        cli.main(["info", str(tmp_path)])
    assert ended.value.code == 0
    message = capsys.readouterr().out
    assert "p1.cwa" in message
    assert "sub/p2.cwa" in message
    assert "notes.pdf" in message
