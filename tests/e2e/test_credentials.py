"""What opens a store stays out of messages, logs and tables."""

from __future__ import annotations

import functools
import http.server
import json
import os
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

import stub_native
from imuspec import Cohort
from imuspec.errors import without_credentials
from imuspec.storage import local_copy
from run_stub_cohort import RECIPE
from stub_files import environment

for needed in ("s3fs", "upath"):
    pytest.importorskip(needed, reason=f"{needed} is not installed")

KEY_ID, SECRET, SESSION, SIGNATURE = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMIsecret", "FwoGZXIvYXdsession", "fe21deadbeef"
SECRETS = (KEY_ID, SECRET, SESSION, SIGNATURE, "hunter2")
QUERY = f"X-Amz-Credential={KEY_ID}%2F20260101&X-Amz-Signature={SIGNATURE}"


@pytest.fixture
def presigned(tmp_path: Path) -> Iterator[str]:
    """A web server; the URL of a recording on it, with a signature."""
    folder = tmp_path / "web"
    folder.mkdir()
    (folder / "p1.cwa").write_text(json.dumps({"hours": 0.2}))

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            begun = (tmp_path / "out" / "inputs.parquet").exists()  # the files are listed before
            if "broken=1" in self.path or ("broken=later" in self.path and begun):
                self.send_error(403, f"Forbidden: {self.path}")
            else:
                super().do_GET()

        do_HEAD = http.server.SimpleHTTPRequestHandler.do_HEAD

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/p1.cwa?{QUERY}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _stored(folder: Path) -> str:
    """Everything that a cohort says: names and contents of its files, and its tables."""
    cohort = Cohort(folder)
    tables = [table.to_pylist() for table in (cohort.inputs, cohort.outcomes, cohort.recordings)]
    texts = [path.read_bytes().decode("latin1") for path in folder.rglob("*") if path.is_file()]
    return "\n".join([*map(str, folder.rglob("*")), *map(str, tables), *texts])


def test_a_presigned_url_is_prepared_and_its_signature_is_in_no_table(presigned: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    summary = stub_native.prepare_stub_cohort([presigned], out, recipe=RECIPE, workers=1)
    assert [(o.id, o.name, o.status) for o in summary.outcomes] == [("p1", "p1.cwa", "ok")]
    assert [secret for secret in SECRETS if secret in _stored(out)] == []
    again = stub_native.prepare_stub_cohort([presigned], out, recipe=RECIPE, workers=1, resume=True)
    assert again.outcomes == []


def test_a_store_that_refuses_is_quoted_without_credentials(presigned: str, tmp_path: Path) -> None:
    out, url = tmp_path / "out", presigned.replace("?", "?broken=later&")
    summary = stub_native.prepare_stub_cohort([url], out, recipe=RECIPE, workers=1)
    [outcome] = summary.outcomes
    assert outcome.status == "failed"
    assert [secret for secret in SECRETS if secret in _stored(out) + repr(summary)] == []
    with pytest.raises(OSError, match="403") as refused:
        stub_native.prepare_stub_cohort([presigned.replace("?", "?broken=1&")], tmp_path / "other", recipe=RECIPE)
    assert [secret for secret in SECRETS if secret in "".join(traceback.format_exception(refused.value))] == []


def test_a_url_that_does_not_exist_is_an_error_without_credentials(presigned: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    gone = presigned.replace("p1.cwa", "p2.cwa")
    nobody = f"http://127.0.0.1:9/p1.cwa?{QUERY}"
    for url, reason in ((gone, "does not exist|404"), (nobody, "127.0.0.1")):
        with pytest.raises(OSError, match=reason) as missing, local_copy(url):
            pass
        with pytest.raises(OSError, match=reason) as unlisted:
            stub_native.prepare_stub_cohort([url], out, recipe=RECIPE, workers=1)
        for error in (missing.value, unlisted.value):
            assert [secret for secret in SECRETS if secret in "".join(traceback.format_exception(error))] == []


@pytest.mark.parametrize("debug", [(), ("--debug",)], ids=["line", "debug"])
@pytest.mark.parametrize(
    "url",
    [
        f"http://127.0.0.1:9/p1.cwa?{QUERY}",  # nothing listens there
        "https://me:hunter2@127.0.0.1:9/p1.cwa",
        f"s3://{KEY_ID}:hunter2@bucket/p1.cwa",
        "s3://bucket/p1.cwa",
    ],
)
def test_an_error_of_the_command_line_names_no_credentials(url: str, debug: tuple[str, ...], tmp_path: Path) -> None:
    secrets = {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_SESSION_TOKEN": SESSION}
    store = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_DEFAULT_REGION": "us-east-1", "AWS_MAX_ATTEMPTS": "1"}
    store |= {"AWS_CONFIG_FILE": os.devnull, "AWS_EC2_METADATA_DISABLED": "true"}
    command = [sys.executable, "-m", "imuspec.cli", "prepare", url, "--out", str(tmp_path / "out"), "--workers", "1"]
    done = subprocess.run(
        [*command, *debug], env=environment(**secrets, **store), capture_output=True, text=True, check=False
    )
    assert done.returncode in (1, 2)
    assert "error: " in done.stderr
    assert [secret for secret in SECRETS if secret in done.stdout + done.stderr] == []


def test_credentials_are_left_out_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_TOKEN", "0123456789abc")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/token")
    for text, expected in {
        f"https://h/p.cwa?{QUERY} is gone": "https://h/p.cwa?... is gone",
        "s3://me:hunter2@bucket/x": "s3://...@bucket/x",
        f"the key {KEY_ID} is not known": "the key ... is not known",
        f"Forbidden: /p1.cwa?{QUERY}'": "Forbidden: /p1.cwa?X-Amz-Credential=...&X-Amz-Signature=...'",
        "bearer 0123456789abc": "bearer ...",
        "no file matches s3://bucket/a?.cwa": "no file matches s3://bucket/a?.cwa",
        "/data/a=b?c=d.cwa: no such file": "/data/a=b?c=d.cwa: no such file",
        "/var/run/token: no such file": "/var/run/token: no such file",
    }.items():
        assert without_credentials(text) == expected
