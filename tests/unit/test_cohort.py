"""The store and its reader: what goes in comes out whole, and faults are reported."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
import zarr
from zarr.codecs import ZstdCodec

import stub_native
from imuspec import Cohort, Recipe
from imuspec.cohort.arrays import MISSING
from imuspec.cohort.parts import read_part, sealed
from imuspec.cohort.store import CohortStore
from imuspec.cohort.tables import TABLES, schemas_of_parts
from imuspec.preparation import prepare
from imuspec.recording.inputs import find_sources
from imuspec.simulation import simulate

RECIPE = Recipe.load("ukb").set("segments.min_wear_h=0.1", "store.chunk_h=0.1")


@pytest.fixture
def cohort(tmp_path) -> Cohort:
    """Two recordings that are ok, one excluded, one failed; written without tables."""
    folder = tmp_path / "in"
    folder.mkdir()
    for name, message in {"a": {"hours": 0.5}, "b": {"hours": 0.3, "seed": 1}, "c": {"hours": 0.01}}.items():
        (folder / f"{name}.cwa").write_text(json.dumps(message))
    (folder / "d.cwa").write_text("nonsense")
    store = CohortStore(tmp_path / "cohort")
    store.create(RECIPE)
    for source in find_sources([folder]):
        store.write(source, stub_native.prepare_stub(source.path, RECIPE))
    store.close()
    return Cohort(tmp_path / "cohort")


def test_values_come_back_within_half_a_step_and_missing_as_nan(cohort: Cohort, tmp_path) -> None:
    expected = stub_native.prepare_stub(str(tmp_path / "in" / "a.cwa"), RECIPE).acceleration
    result = cohort.read("a")
    assert expected is not None
    assert result.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(result), np.isnan(expected))
    assert np.nanmax(np.abs(result - expected)) <= RECIPE.store.step_g / 2 * 1.001


def test_an_array_with_another_codec_is_read_alike(cohort: Cohort) -> None:
    folder = cohort.path / "acceleration" / "a"
    metadata = json.loads((folder / "zarr.json").read_text())
    (sharding,) = metadata["codecs"]
    assert [codec["name"] for codec in sharding["configuration"]["codecs"]] == ["bytes", "blosc"]
    before = cohort.read("a")

    stored = zarr.open_array(folder, mode="r")
    values, attributes, chunks = stored[:], dict(stored.attrs), stored.chunks
    zarr.create_array(
        folder, data=values, chunks=chunks, shards=stored.shards, compressors=ZstdCodec(level=3), fill_value=-32768,
        attributes=attributes, overwrite=True,
    )  # fmt: skip
    np.testing.assert_array_equal(Cohort(cohort.path).read("a"), before)


def test_a_prepared_recording_comes_back_with_its_quality_and_metadata(tmp_path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    simulate(folder / "ok.cwa", days=0.1, seed=1, damage=("lost", "clock_back"))
    simulate(folder / "short.cwa", days=0.01, seed=2, damage=("lost",))
    store = CohortStore(tmp_path / "cohort")
    recipe = RECIPE.set("segments.min_wear_h=0.4", "calibration.required=false")
    store.create(recipe)
    made = {}
    for source in find_sources([folder]):
        made[source.id] = prepare(source.path, recipe)
        store.write(source, made[source.id])
    store.close()
    assert [made[identity].status for identity in ("ok", "short")] == ["ok", "excluded"]
    for identity, before in made.items():
        after = Cohort(tmp_path / "cohort").prepared(identity)
        for name in ("id", "status", "reason", "start_time", "quality", "figures"):
            assert repr(getattr(after, name)) == repr(getattr(before, name)), name
        assert after.quality.counts["lost_blocks"] > 0
        header = {key: value for key, value in before.header.items() if key != "labels"}
        header["metadata"] = dict(sorted(header["metadata"].items()))
        assert header["metadata"]
        assert repr(sorted(after.header.items())) == repr(sorted(header.items()))
        assert repr(after.calibration) == repr(before.calibration)  # NaN equals NaN in words
        np.testing.assert_array_equal(after.segments, before.segments)
        np.testing.assert_array_equal(after.nonwear, before.nonwear)
    back = Cohort(tmp_path / "cohort").prepared("ok")
    np.testing.assert_array_equal(back.shifts, made["ok"].shifts)
    assert len(back.shifts)
    assert Cohort(tmp_path / "cohort").prepared("short").acceleration is None


def test_a_recording_without_an_outcome_cannot_be_restored(cohort: Cohort) -> None:
    assert cohort.prepared("d").status == "failed"
    assert cohort.prepared("d").reason.startswith("expected a recording")
    with pytest.raises(KeyError, match="expected an id of its outcomes, got 'nobody'"):
        cohort.prepared("nobody")


def test_a_stretch_is_the_same_as_that_part_of_the_whole(cohort: Cohort) -> None:
    whole = cohort.read("a")
    np.testing.assert_array_equal(cohort.read("a", 350.0, 20.0), whole[:, 10500:11100])
    np.testing.assert_array_equal(cohort.read("a", start_s=1790), whole[:, 53700:])


def test_a_stretch_outside_and_an_unknown_id_are_refused(cohort: Cohort) -> None:
    for start, length in ((-1, 2), (1790, 20), (1900, None)):
        with pytest.raises(ValueError, match="expected a stretch inside"):
            cohort.read("a", start, length)
    for name in ("c", "nobody", "", "../a"):
        with pytest.raises(KeyError, match="ids"):
            cohort.read(name)


def test_ids_are_those_with_data_and_every_input_has_a_row(cohort: Cohort) -> None:
    assert cohort.ids == ["a", "b"]
    assert len(cohort) == 2
    assert cohort.outcomes["status"].to_pylist() == ["ok", "ok", "excluded", "failed"]
    recordings = cohort.recordings.to_pylist()
    assert recordings[0]["calibration_error_after_mg"] == 1.5
    assert recordings[0]["quality_gap"] == 1
    assert recordings[3]["quality_gap"] is None
    assert json.loads(recordings[0]["metadata"]) == {"subject": "s"}
    assert cohort.quality.to_pylist()[0]["kind"] == "gap"
    assert cohort.segments.to_pandas().groupby("id")["hours"].sum()["a"] == pytest.approx(0.5, abs=1e-3)
    assert cohort.status()["reasons"]["expected a recording, got other bytes (byte 0)"] == 1


def test_tables_are_the_same_from_parts_and_from_files(cohort: Cohort) -> None:
    before = {name: getattr(cohort, name) for name in ("recordings", "outcomes", "segments", "nonwear", "quality")}
    CohortStore(cohort.path).write_tables()
    assert (cohort.path / "recordings.parquet").exists()
    after = Cohort(cohort.path)
    for name, table in before.items():
        assert getattr(after, name).equals(table), name


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ((True, None), "bool"),
        ((True, 2), "int64"),
        ((2,), "int64"),
        ((True, 2, 2.5), "double"),
        ((None,), "double"),
        ((2, "two"), "string"),
    ],
)
def test_a_figure_has_the_narrowest_type_that_fits_all_recordings(values: tuple[object, ...], kind: str) -> None:
    parts = [{"recording": {"figure": value}} for value in values]
    assert str(schemas_of_parts(parts)["recordings"].field("figure").type) == kind


def test_a_column_that_every_cohort_has_keeps_its_type_and_appears_once() -> None:
    fixed = {**TABLES["outcomes"], **TABLES["recordings"]}
    schema = schemas_of_parts([{"recording": dict.fromkeys(fixed, "text")}])["recordings"]
    assert {field.name: field.type for field in schema} == dict(TABLES["recordings"])


def test_manifest_and_tables_are_removed_before_parts_change(cohort: Cohort) -> None:
    files = [cohort.path / name for name in ("manifest.json", *(f"{name}.parquet" for name in TABLES))]
    for file in files[:3]:  # a run that was stopped has written only some
        file.touch()
    CohortStore(cohort.path).drop_tables()
    assert [file for file in files if file.exists()] == []


def test_start_times_are_the_device_clock(cohort: Cohort) -> None:
    assert cohort.start_time("a") == np.datetime64("2019-02-26T10:55:07.215000000")


def test_random_windows_lie_in_wear_and_depend_on_seed_epoch_and_recording_alone(cohort: Cohort) -> None:
    first = list(cohort.random_windows(0.1, seed=1))
    assert {window.id for window in first} == {"a", "b"}
    for window in first:
        assert window.acceleration.shape == (3, 10800)
        assert not np.isnan(window.acceleration).any()
    starts = {window.id: window.start_s for window in first}
    alone = next(iter(cohort.random_windows(0.1, seed=1, ids=["b"])))
    assert alone.start_s == starts["b"]
    assert {w.id: w.start_s for w in cohort.random_windows(0.1, seed=1, epoch=1)} != starts
    assert {w.id: w.start_s for w in Cohort(cohort.path).random_windows(0.1, seed=1)} == starts


def test_random_starts_reach_both_segments(cohort: Cohort) -> None:
    starts = [next(iter(cohort.random_windows(0.1, seed=s, ids=["a"]))).start_s for s in range(30)]
    assert min(starts) < 500
    assert max(starts) > 1000
    assert all(s + 360 <= 900 or s >= 27005 / 30 for s in starts)


def test_recordings_without_so_long_a_segment_are_left_out_or_given_whole(cohort: Cohort) -> None:
    assert [window.id for window in cohort.random_windows(0.2, seed=0)] == ["a"]
    windows = {w.id: w.acceleration.shape[1] for w in cohort.random_windows(0.2, seed=0, shorter="whole")}
    assert windows == {"a": 21600, "b": 16200}


def test_a_cohort_can_be_sent_to_another_process(cohort: Cohort) -> None:
    cohort.read("a", 0, 1)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(cohort)).read("a", 5, 1), cohort.read("a", 5, 1))


def test_verify_finds_what_is_damaged_missing_left_over_or_too_much(cohort: Cohort) -> None:
    assert cohort.verify() == []
    shard = cohort.path / "acceleration" / "a" / "c" / "0" / "0"
    content = bytearray(shard.read_bytes())
    content[100] ^= 1
    shard.write_bytes(content)
    (cohort.path / "acceleration" / "b").rename(cohort.path / "acceleration" / "stranger")
    (cohort.path / "acceleration" / "c").mkdir()
    problems = dict(cohort.verify())
    assert "checksum" in problems["a"]
    assert "missing" in problems["b"]
    assert "excluded" in problems["c"]
    assert "unfinished" in problems["stranger"]


def test_other_folders_and_other_versions_are_refused(tmp_path, cohort: Cohort) -> None:
    for path, message in ((tmp_path / "none", "none"), (tmp_path / "in", "prepare"), (__file__, "a file")):
        with pytest.raises(ValueError, match=message):
            Cohort(path)
    marker = cohort.path / "zarr.json"
    for version, message in ((99, "newer: update"), (0, "older")):
        described = json.loads(marker.read_text())
        described["attributes"]["version"] = version
        marker.write_text(json.dumps(described))
        with pytest.raises(ValueError, match=message):
            Cohort(cohort.path)
    with pytest.raises(ValueError, match=r"a\.cwa"):
        CohortStore(tmp_path / "in").create(RECIPE)


def test_another_recipe_is_refused_and_names_what_differs(cohort: Cohort) -> None:
    with pytest.raises(ValueError, match=r"segments_min_wear_h: 0.1, 24.0"):
        CohortStore(cohort.path).create(RECIPE.set("segments.min_wear_h=24"))


def test_other_readers_of_zarr_see_a_plain_array(cohort: Cohort) -> None:
    import zarr

    group = zarr.open_group(cohort.path, mode="r")
    array = group["acceleration/a"]
    assert array.shape == (3, 54000)
    assert array.attrs["step_g"] == RECIPE.store.step_g
    assert array.fill_value == MISSING


def test_tables_do_not_depend_on_how_many_parts_are_in_memory(cohort: Cohort, monkeypatch) -> None:
    """A figure that only the last recording has, and one whose kind differs, are columns all the same."""
    part = cohort.path / "parts" / "b.json"
    stored = json.loads(part.read_text())
    stored["recording"] |= {"quality_late": 3, "odd": 1.5}
    part.write_bytes(sealed({k: v for k, v in stored.items() if k != "sealed"}))
    first = cohort.path / "parts" / "a.json"
    stored = json.loads(first.read_text())
    stored["recording"]["odd"] = 2
    first.write_bytes(sealed({k: v for k, v in stored.items() if k != "sealed"}))
    expected = {name: getattr(Cohort(cohort.path), name) for name in ("recordings", "segments", "quality")}
    assert expected["recordings"]["quality_late"].to_pylist() == [0, 3, 0, None]
    assert expected["recordings"]["odd"].to_pylist() == [2.0, 1.5, None, None]
    monkeypatch.setattr("imuspec.cohort.parts._BATCH", 1)
    CohortStore(cohort.path).write_tables()
    for name, table in expected.items():
        assert getattr(Cohort(cohort.path), name).equals(table), name


@pytest.mark.parametrize("batch", [1, 500])
def test_tables_are_written_with_each_part_read_once(cohort: Cohort, monkeypatch, batch: int) -> None:
    read: list[str] = []
    monkeypatch.setattr("imuspec.cohort.parts._BATCH", batch)
    monkeypatch.setattr(
        "imuspec.cohort.parts.read_part",
        lambda folder, identity: (read.append(identity), read_part(folder, identity))[1],
    )
    CohortStore(cohort.path).write_tables()
    assert read == ["a", "b", "c", "d"]


@pytest.mark.skipif(sys.platform != "linux", reason="counts the threads that Linux lists")
def test_reading_tables_starts_no_thread_of_arrow(cohort: Cohort) -> None:
    """A process that ends while Arrow starts a thread is aborted: exit code 134 after a complete answer."""
    CohortStore(cohort.path).write_tables()
    script = (
        "import os, sys, pyarrow.parquet, imuspec\n"
        "before = len(os.listdir('/proc/self/task'))\n"
        "cohort = imuspec.Cohort(sys.argv[1])\n"
        "cohort.recordings, cohort.segments, cohort.nonwear, cohort.quality, cohort.inputs\n"
        "print(len(os.listdir('/proc/self/task')) - before)\n"
    )
    command = [sys.executable, "-c", script, str(cohort.path)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "0"


def test_verify_names_each_damaged_file_once(cohort: Cohort) -> None:
    store = CohortStore(cohort.path)
    store.write_tables()
    store.close()
    assert Cohort(cohort.path).verify() == []
    (cohort.path / "parts" / "a.json").write_text("{}")
    with (cohort.path / "recordings.parquet").open("ab") as file:
        file.write(b"x")
    assert sorted(name for name, _ in Cohort(cohort.path).verify()) == ["a", "recordings.parquet"]
