"""Inputs: what is found, what it is called, and which share takes it."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imuspec.cli.app import share_of
from imuspec.recording.identity import check_id, recording_id, source_id
from imuspec.recording.inputs import find_inputs, find_sources, irregular, share


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("P001.cwa.gz", "P001"),
        ("P001.CWA", "P001"),
        ("a/b/neo.gt3x", "neo"),
        ("62161.tar.bz2", "62161"),
        ("x.sensor.csv.gz", "x.sensor"),
        ("v1.2.cwa", "v1.2"),
        ("no_ending", "no_ending"),
        ("../../etc.cwa", "etc"),
    ],
)
def test_an_id_is_the_name_without_endings(name: str, expected: str) -> None:
    assert recording_id(name) == expected


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("...cwa", "recording-"),
        ("???.cwa", "recording-"),
        ("zarr.json.cwa", "zarr.json-"),
        ("left wrist_043.bin", "left_wrist_043-"),
        (".hidden.cwa", "hidden-"),
        ("__init__.csv", "init__-"),
        ("caf\udce9.cwa", "caf_-"),
        ("x" * 240 + ".cwa", "x" * 80 + "-"),
        ("x-0123456789ab.cwa", "x-0123456789ab-"),
        ("a\nb.cwa", "a_b-"),
    ],
)
def test_a_name_that_is_no_id_is_made_safe_and_gets_a_digest(name: str, start: str) -> None:
    assert re.fullmatch(re.escape(start) + "[0-9a-f]{12}", recording_id(name))
    assert check_id(recording_id(name), "here") == recording_id(name)


@given(st.lists(st.text(min_size=1).filter(lambda t: "/" not in t), min_size=1, max_size=4))
def test_every_path_comes_to_a_valid_id_of_its_own(parts: list[str]) -> None:
    name = "/".join(parts).encode("utf-8", "replace").decode()
    other = name + "x"
    assert check_id(source_id(name), "here") == source_id(name) != source_id(f"sub/{name}")
    assert source_id(name, with_digest=True) != source_id(other, with_digest=True)


@pytest.mark.parametrize(
    "identity", ["../x", "a/b", "", ".", "..", "/etc", "a\\b", "a\n", "zarr.json", "é", "x" * 101, None, 7, "-x"]
)
def test_what_is_no_id_is_refused(identity: object) -> None:
    with pytest.raises(ValueError, match="part p1: expected an id"):
        check_id(identity, "part p1")


def test_adding_files_changes_no_id(tmp_path) -> None:
    _touch(tmp_path, "a/left.bin", "top.cwa")
    before = {source.name: source.id for source in find_sources([tmp_path])}
    _touch(tmp_path, "b/left.bin", "left.bin", "a/right.bin", "c/a/left.bin", "left wrist.bin", "left_wrist.bin")
    after = {source.name: source.id for source in find_sources([tmp_path])}
    assert len(set(after.values())) == len(after) == 8
    assert {name: after[name] for name in before} == before


def test_a_link_names_no_file(tmp_path) -> None:
    _touch(tmp_path, "in/p01.cwa", "elsewhere/x.cwa")
    (tmp_path / "in" / "a_link.cwa").symlink_to("p01.cwa")
    (tmp_path / "in" / "z_link.cwa").symlink_to("p01.cwa")
    (tmp_path / "in" / "outside.cwa").symlink_to(tmp_path / "elsewhere" / "x.cwa")
    assert [source.id for source in find_sources([tmp_path / "in"])] == ["outside", "p01"]


def test_readable_files_are_found_and_others_are_named_with_the_reason(tmp_path) -> None:
    readable = ("a.cwa.bz2", "b.csv.bz2", "c.tar.gz", "_d.cwa", "_dir/e.cwa", "g.gt3x.zip", "h.tgz")
    _touch(tmp_path, *readable, "notes.txt", "x.pdf", ".h.cwa", "__MACOSX/g.cwa", "t.truth.npz", "cohort/zarr.json")
    _touch(tmp_path, "cohort/recordings.parquet")
    (tmp_path / "f.txt").write_text("time,x,y,z\n" + "1733938900.000,0.003,0.5,0.8\n" * 9)
    (tmp_path / "one.txt").write_text("1733938900.000\t0.003\t0.5\t0.8\n")
    result = find_inputs([tmp_path])
    assert {source.name for source in result.sources} == {*readable, "f.txt", "one.txt"}
    assert {name: reason.split()[0] for name, reason in result.passed_over} == {
        ".h.cwa": "hidden",
        "__MACOSX": "a",
        "cohort": "a",
        "notes.txt": "text",
        "t.truth.npz": "the",
        "x.pdf": "not",
    }


def test_a_text_table_given_as_an_argument_is_a_recording_and_not_a_list(tmp_path) -> None:
    (tmp_path / "rec.txt").write_text("1733938900.000\t0.0035\t0.5\t0.8\n1733938900.010\t0.0035\t0.5\t0.8\n")
    assert [source.id for source in find_sources([tmp_path / "rec.txt"])] == ["rec"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_list_may_begin_with_a_byte_order_mark_and_name_what_is_missing(tmp_path, encoding: str) -> None:
    _touch(tmp_path, "a.cwa", "b.cwa")
    (tmp_path / "list.txt").write_bytes("a.cwa\r\nmissing.cwa\r\nb.cwa\r\n".encode(encoding))
    sources = find_sources([tmp_path / "list.txt"])
    assert [(source.id, source.n_bytes > 0) for source in sources] == [("a", True), ("b", True), ("missing", False)]


def test_names_are_printed_without_what_steers_a_terminal(tmp_path) -> None:
    _touch(tmp_path, "a\nb.cwa", "c\x1b[31m.cwa")
    (Path(os.fsdecode(bytes(tmp_path) + b"/caf\xe9.cwa"))).write_bytes(b"x")
    assert [source.name for source in find_sources([tmp_path])] == ["a\\nb.cwa", "c\\x1b[31m.cwa", "caf\\xe9.cwa"]


def test_a_path_that_is_not_a_regular_file_is_named_by_its_kind(tmp_path) -> None:
    os.mkfifo(tmp_path / "x.cwa")
    _touch(tmp_path, "y.cwa")
    assert irregular(str(tmp_path / "x.cwa")) == "expected a regular file, got a FIFO"
    assert irregular("/dev/null") == "expected a regular file, got a device"
    assert irregular(str(tmp_path / "y.cwa")) == irregular(str(tmp_path)) == ""
    (tmp_path / "y.cwa").unlink()
    os.mkfifo(tmp_path / "t.txt")  # not even looked into to see whether it is a table
    assert [source.n_bytes for source in find_sources([tmp_path])] == [0]


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
    assert [source.name for source in find_sources([tmp_path])] == ["A.CWA.GZ", "b.cwa", "g.zip", "sub/c.bin"]


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
    expected = find_sources(["in"])
    assert [source.id for source in expected] == ["a", "b"]
    assert find_sources(["in/a.cwa", "in/b.cwa"]) == expected
    assert find_sources(["in/*.cwa"]) == expected
    assert find_sources(["list.txt"]) == expected
    assert find_sources(["@list.txt"]) == expected
    assert find_sources(["in", "in/a.cwa"]) == expected


def test_a_file_named_outright_is_taken_whatever_its_ending(tmp_path) -> None:
    _touch(tmp_path, "odd.dat")
    assert [source.id for source in find_sources([tmp_path / "odd.dat"])] == ["odd.dat"]


def test_names_that_clash_get_the_same_ids_in_any_order(tmp_path) -> None:
    _touch(tmp_path, "p/x.cwa", "q/x.cwa.gz", "q/X.bin", "q/y.cwa")
    ids = {source.name: source.id for source in find_sources([tmp_path])}
    assert len(set(ids.values())) == 4
    assert all("-" in identity for identity in ids.values())
    turned = find_sources([tmp_path / "q", tmp_path / "p"])
    assert len({source.id for source in turned}) == 4


def test_what_is_nothing_is_named(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        find_sources([tmp_path / "nowhere.cwa"])
    with pytest.raises(FileNotFoundError, match="match"):
        find_sources([str(tmp_path / "*.cwa")])
    with pytest.raises(ValueError, match="no recordings"):
        find_sources([tmp_path])


def test_a_list_that_lists_itself_is_refused(tmp_path) -> None:
    (tmp_path / "list.txt").write_text("list.txt\n")
    with pytest.raises(ValueError, match="contains itself"):
        find_sources([tmp_path / "list.txt"])


def test_shares_take_every_nth_recording_in_their_order(tmp_path) -> None:
    _touch(tmp_path, *(f"r{n}.cwa" for n in range(11)))
    sources = find_sources([tmp_path])
    parts = [share(sources, number, 4) for number in range(1, 5)]
    assert sorted((source for part in parts for source in part), key=lambda source: source.id) == sources
    assert [[source.id for source in part] for part in parts] == [
        ["r0", "r3", "r7"],
        ["r1", "r4", "r8"],
        ["r10", "r5", "r9"],
        ["r2", "r6"],
    ]
    for number, total in ((0, 4), (5, 4), (1, 0)):
        with pytest.raises(ValueError, match="shard"):
            share(sources, number, total)


def test_a_share_is_its_number_then_their_count() -> None:
    assert (share_of("3/16"), share_of("1/1")) == ((3, 16), (1, 1))
    for text in ("3", "3/", "/16", "3-16", "a/16", "-1/3"):
        with pytest.raises(ValueError, match="shard: expected I/N"):
            share_of(text)


def test_the_order_of_the_file_system_does_not_matter(tmp_path, monkeypatch) -> None:
    _touch(tmp_path, "a.cwa", "b.cwa", "sub/c.cwa")
    expected = find_sources([tmp_path])
    walk = os.walk
    monkeypatch.setattr(os, "walk", lambda top: ((root, dirs[::-1], files[::-1]) for root, dirs, files in walk(top)))
    assert find_sources([tmp_path]) == expected
