"""What a header says of a person stays out of everything that is written, unless the recipe keeps it."""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import pyarrow.parquet as pq
import pytest

import imuspec
from imuspec import cli
from imuspec.simulation import Truth, simulate, wrist_motion, write_geneactiv, write_gt3x

SHORT = ["--recipe", "capture24", "--set", "segments.min_wear_h=0.1", "--set", "calibration.required=false"]
CWA = {
    key: f"Quokka{index:02}"
    for index, key in enumerate(
        ["_i", "_so", "_n", "_sc", "_se", "_h", "_w", "_ha", "_sn", "name", "dob", "firmware", "session_id", "odd key"]
    )
}
GT3X = {
    key: f"Wombat{index:02}"
    for index, key in enumerate(
        [
            "Subject Name",
            "Sex",
            "Height",
            "Weight",
            "Mass",
            "Age",
            "DateOfBirth",
            "Race",
            "Dominance",
            "Customer",
            "New",
        ]
    )
}
GENEACTIV = {
    key: f"Numbat{index:02}"
    for index, key in enumerate(
        [
            "Investigator ID",
            "Config Operator ID",
            "Config Notes",
            "Extract Operator ID",
            "Extract Notes",
            "Subject Code",
            "Date of Birth",
            "Sex",
            "Height",
            "Weight",
            "Handedness Code",
            "Subject Notes",
            "New field",
        ]
    )
}
RECORD = "Bilby0"  # in a record of log.bin
SECRETS = [*CWA.values(), *GT3X.values(), *GENEACTIV.values(), RECORD]


def _cwa(path: Path) -> None:
    simulate(path, days=0.02, seed=1)
    written = bytearray(path.read_bytes())
    written[64:512] = urlencode(CWA).encode().ljust(448)
    path.write_bytes(written)
    Truth.beside(path).unlink()


def _gt3x(path: Path) -> None:
    acceleration, time, _ = wrist_motion(days=0.02, seed=2, sample_rate=30)
    write_gt3x(path, acceleration, time)
    with zipfile.ZipFile(path) as archive:
        info, log = archive.read("info.txt").decode(), archive.read("log.bin")
    (size,) = struct.unpack_from("<H", log, 6)
    assert log[1] == 6  # the record of text comes first
    text = json.dumps({"SubjectName": RECORD}).encode()
    record = log[:6] + struct.pack("<H", len(text)) + text
    checksum = ~int(np.bitwise_xor.reduce(np.frombuffer(record, np.uint8))) & 0xFF
    info = info.replace("Subject Name: simulated\r\n", "") + "".join(f"{key}: {word}\r\n" for key, word in GT3X.items())
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("info.txt", info)
        archive.writestr("log.bin", record + bytes([checksum]) + log[8 + size + 1 :])


def _geneactiv(path: Path) -> None:
    acceleration, time, _ = wrist_motion(days=0.02, seed=3, sample_rate=50)
    write_geneactiv(path, acceleration, time)
    head, mark, pages = path.read_bytes().partition(b"Recorded Data")
    lines = [line for line in head.decode("latin-1").split("\r\n") if line.partition(":")[0] not in GENEACTIV]
    location = lines.index("Subject Info") + 1
    lines[location:location] = [f"{key}:{word}" for key, word in GENEACTIV.items()]
    path.write_bytes("\r\n".join(lines).encode("latin-1") + mark + pages)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three recordings full of a person, and pieces of them that fail."""
    folder = tmp_path_factory.mktemp("recordings")
    _cwa(folder / "a.cwa")
    _gt3x(folder / "b.gt3x")
    _geneactiv(folder / "c.bin")
    (folder / "d.cwa").write_bytes((folder / "a.cwa").read_bytes()[:1024])
    (folder / "e.bin").write_bytes((folder / "c.bin").read_bytes().partition(b"Calibration Data")[0])
    (folder / "f.gt3x").write_bytes((folder / "b.gt3x").read_bytes()[:3000])
    return folder


def _run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    with pytest.raises(SystemExit) as end:
        cli.main([str(argument) for argument in arguments])
    return int(end.value.code or 0), "".join(capsys.readouterr())


def _texts(folder: Path) -> Iterator[str]:
    """All that a folder's files say: their bytes, and the rows and schemas of its compressed tables."""
    for path in filter(Path.is_file, folder.rglob("*")):
        yield path.read_bytes().decode("latin-1")
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            yield str(table.schema) + str(table.to_pylist())


def _disclosed(texts: list[str]) -> list[str]:
    return [secret for secret in SECRETS if any(secret in text for text in texts)]


def test_the_readers_set_every_field_of_a_person_apart(recordings: Path) -> None:
    for name, expected in (("a.cwa", CWA), ("b.gt3x", GT3X), ("c.bin", GENEACTIV)):
        recording = imuspec.read(recordings / name)
        identifying = " ".join(recording.identifying.values())
        assert [word for word in expected.values() if word not in identifying] == [], name
        assert _disclosed([str(dict(recording.metadata)), repr(recording), recording._repr_html_()]) == [], name
    assert imuspec.read(recordings / "a.cwa").metadata["firmware"].isdigit()


def test_nothing_of_a_person_is_in_a_cohort_its_pages_or_its_logs(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    code, message = _run(capsys, "prepare", recordings, "--out", out, "--workers", 1, *SHORT)
    assert code == 0, message
    assert sorted(imuspec.Cohort(out).recordings["id"].to_pylist())[:3] == ["a", "b", "c"]
    texts = [message, *_texts(out)]
    assert any("052891" in text for text in texts), "the device's own fields are kept"
    pages = tmp_path / "pages"
    pages.mkdir()
    texts.append(_run(capsys, "report", out, "--out", pages / "cohort.html")[1])
    for name in ("a.cwa", "b.gt3x", "c.bin"):
        texts.append(_run(capsys, "report", recordings / name, "--out", pages / f"{name}.html", *SHORT)[1])
    for path in sorted(recordings.iterdir()):
        texts.append(_run(capsys, "info", path)[1])
        texts.append(_run(capsys, "info", path, "--json")[1])
    texts += _texts(pages)
    assert len(list(pages.iterdir())) == 4
    assert _disclosed(texts) == []


def test_a_recipe_that_keeps_them_puts_them_in_the_table_of_recordings(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    keep = ["--set", "metadata.identifying=keep"]
    assert _run(capsys, "prepare", recordings, "--out", out, "--workers", 1, *SHORT, *keep)[0] == 0
    remaining = " ".join(text or "" for text in imuspec.Cohort(out).recordings["metadata"].to_pylist())
    assert [secret for secret in SECRETS if secret not in remaining] == []


def test_info_shows_them_where_it_is_asked_to(recordings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, message = _run(capsys, "info", recordings / "c.bin", "--identifying")
    assert [word for word in GENEACTIV.values() if word not in message] == []
    facts = json.loads(_run(capsys, "info", recordings / "b.gt3x", "--identifying", "--json")[1])
    assert facts["identifying"]["subject_name"] == GT3X["Subject Name"]
