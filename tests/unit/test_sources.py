"""Inputs: what is found, what it is called, and which share takes it."""

from __future__ import annotations

import os

import pytest

from imuspec.recording.inputs import find_sources, recording_id, share


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("P001.cwa.gz", "P001"),
        ("P001.CWA", "P001"),
        ("a/b/neo.gt3x", "neo"),
        ("left wrist_043.bin", "left_wrist_043"),
        ("62161.tar.bz2", "62161"),
        ("x.sensor.csv.gz", "x.sensor"),
        ("v1.2.cwa", "v1.2"),
        (".hidden.cwa", "hidden"),
        ("__init__.csv", "init__"),
        ("no_ending", "no_ending"),
        ("../../etc.cwa", "etc"),
    ],
)
def test_an_id_is_the_name_without_endings(name: str, expected: str) -> None:
    assert recording_id(name) == expected


@pytest.mark.parametrize("name", ["...cwa", "???.cwa", "zarr.json.cwa"])
def test_a_name_that_the_store_cannot_take_becomes_a_digest(name: str) -> None:
    assert recording_id(name).startswith("recording-")


def _touch(folder, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def test_a_folder_is_searched_for_recordings_alone(tmp_path) -> None:
    _touch(
        tmp_path,
        "b.cwa",
        "A.CWA.GZ",
        "sub/c.bin",
        "notes.txt",
        "x.pdf",
        ".d.cwa",
        "._e.cwa",
        ".git/f.bin",
        "g.zip",
        "b.truth.npz",
    )
    assert [source.name for source in find_sources([tmp_path])] == ["A.CWA.GZ", "b.cwa", "sub/c.bin", "g.zip"]


def test_a_participant_of_hourly_files_is_one_recording(tmp_path) -> None:
    hour = "GT3XPLUS-AccelerationCalibrated-2x5x0.NEO1.2000-01-08-{:02d}-00-00-000-P0000.sensor.csv"
    _touch(tmp_path, *(f"62161/{hour.format(n)}" for n in range(3)), "62161/x_log.csv", "62162.tar.bz2")
    sources = find_sources([tmp_path])
    assert [source.id for source in sources] == ["62161", "62162"]
    assert sources[0].n_bytes > 3 * len(hour)
    assert [source.id for source in find_sources([tmp_path / "62161"])] == ["62161"]


def test_files_globs_and_lists_mean_the_same(tmp_path, monkeypatch) -> None:
    _touch(tmp_path, "in/a.cwa", "in/b.cwa")
    (tmp_path / "list.txt").write_text("# two\nin/a.cwa\n\nin/b.cwa\n")
    monkeypatch.chdir(tmp_path)
    wanted = find_sources(["in"])
    assert [source.id for source in wanted] == ["a", "b"]
    assert find_sources(["in/a.cwa", "in/b.cwa"]) == wanted
    assert find_sources(["in/*.cwa"]) == wanted
    assert find_sources(["list.txt"]) == wanted
    assert find_sources(["@list.txt"]) == wanted
    assert find_sources(["in", "in/a.cwa"]) == wanted


def test_a_file_named_outright_is_taken_whatever_its_ending(tmp_path) -> None:
    _touch(tmp_path, "odd.dat")
    assert [source.id for source in find_sources([tmp_path / "odd.dat"])] == ["odd.dat"]


def test_names_that_clash_get_the_same_ids_in_any_order(tmp_path) -> None:
    _touch(tmp_path, "p/x.cwa", "q/x.cwa.gz", "q/X.bin", "q/y.cwa")
    ids = {source.name: source.id for source in find_sources([tmp_path])}
    assert len(set(ids.values())) == 4
    assert ids["q/y.cwa"] == "y"
    assert all("-" in ids[name] for name in ("p/x.cwa", "q/x.cwa.gz", "q/X.bin"))
    turned = find_sources([tmp_path / "q", tmp_path / "p"])
    assert {source.id for source in turned} == set(ids.values())


def test_what_is_nothing_is_named(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        find_sources([tmp_path / "nowhere.cwa"])
    with pytest.raises(FileNotFoundError, match="match"):
        find_sources([str(tmp_path / "*.cwa")])
    with pytest.raises(ValueError, match="got none"):
        find_sources([tmp_path])


def test_a_list_that_lists_itself_is_refused(tmp_path) -> None:
    (tmp_path / "list.txt").write_text("list.txt\n")
    with pytest.raises(ValueError, match="lists itself"):
        find_sources([tmp_path / "list.txt"])


def test_shares_are_disjoint_and_whole(tmp_path) -> None:
    _touch(tmp_path, *(f"r{n}.cwa" for n in range(11)))
    sources = find_sources([tmp_path])
    parts = [share(sources, number, 4) for number in range(1, 5)]
    assert sorted((source for part in parts for source in part), key=lambda source: source.id) == sources
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    for number, of in ((0, 4), (5, 4), (1, 0)):
        with pytest.raises(ValueError, match="shard"):
            share(sources, number, of)


def test_the_order_of_the_file_system_does_not_matter(tmp_path, monkeypatch) -> None:
    _touch(tmp_path, "a.cwa", "b.cwa", "sub/c.cwa")
    wanted = find_sources([tmp_path])
    walk = os.walk
    monkeypatch.setattr(os, "walk", lambda top: ((root, dirs[::-1], files[::-1]) for root, dirs, files in walk(top)))
    assert find_sources([tmp_path]) == wanted
