"""The page of a cohort: outcomes, search, distributions, recordings to check first, and links."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from imuspec.recipe import Recipe
from imuspec.report import cohort as cohort_pages
from report_inputs import HOSTILE, Tags, text_of


def cohort(n: int = 40) -> SimpleNamespace:
    """Recordings of which every fourth was not kept."""
    rows, outcomes = [], []
    for i in range(n):
        status = "ok" if i % 4 else ("failed", "excluded")[i // 4 % 2]
        known = status != "failed"
        rows.append(
            {"id": f"r{i:03d}", "status": status, "device": HOSTILE, "sample_rate": 99.0 + i / n if known else None,
             "duration_h": 168.0 if known else None, "wear_h": 100.0 + i if status == "ok" else None,
             "calibration_error_before_mg": 30.0 + i if known else None,
             "calibration_error_after_mg": 2.0 if known else None, "stored_bytes": 10**7, "quality_gap": i % 3}
        )  # fmt: skip
        reason = {"ok": "", "failed": f"bad byte {HOSTILE}", "excluded": f"too few still windows: {i} of at least 50"}
        outcomes.append({"id": f"r{i:03d}", "reason": reason[status]})
    tables = {"recordings": pa.Table.from_pylist(rows), "outcomes": pa.Table.from_pylist(outcomes)}
    return SimpleNamespace(path="cohort", recipe=Recipe.load("ukb"), **tables)


def packed(html: str) -> dict[str, Any]:
    """What the search of a page looks through."""
    result = re.search(r'id="data">([^<]*)<', html)
    assert result
    content: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(result[1])))
    return content


def test_a_cohort_page_counts_like_reasons_together(tmp_path: Path) -> None:
    tags = Tags(cohort_pages.cohort_page(cohort(), tmp_path / "cohort.html").read_text("utf-8"))
    text = " ".join(tags.text.split())
    assert "30 of 40 recordings are ok" in text
    assert "excluded : too few still windows: \u2026 of at least 50 5" in text
    assert f"bad byte {HOSTILE}" in text
    assert [attributes for tag, attributes in tags.tags if tag == "script"] == [
        {"type": "application/octet-stream", "id": "data"},
        {},
    ]


def test_a_cohort_page_runs_its_own_script_alone(tmp_path: Path) -> None:
    html = cohort_pages.cohort_page(cohort(), tmp_path / "cohort.html").read_text("utf-8")
    script = html[html.rindex("<script>") + 8 : html.rindex("</script>")]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in html.replace("&#39;", "'")
    assert "default-src 'none'" in html


def test_the_search_of_a_cohort_page_has_every_recording_and_reason(tmp_path: Path) -> None:
    content = packed(cohort_pages.cohort_page(cohort(600), tmp_path / "cohort.html").read_text("utf-8"))
    assert sorted(content["id"]) == [f"r{i:03d}" for i in range(600)]
    location = content["id"].index("r004")
    assert content["reasons"][content["reason"][location]] == "too few still windows: 4 of at least 50"
    assert content["wear"][location] is None


def test_a_cohort_page_of_many_shows_a_hundred_rows_and_says_so(tmp_path: Path) -> None:
    text = text_of(cohort_pages.cohort_page(cohort(600), tmp_path / "cohort.html"))
    assert "The first 100 of 600" in text
    assert "r599" not in text


def test_a_page_of_100000_recordings_stays_small(tmp_path: Path) -> None:
    many = cohort(1)
    n = 100_000
    g = np.random.default_rng(0)
    names = [f"{i:07d}_90001_0_0" for i in g.permutation(n)]
    status = np.array(["ok", "excluded", "failed"])[g.choice(3, n, p=[0.9, 0.08, 0.02])]
    many.recordings = pa.table(
        {
            "id": names,
            "status": status,
            "device": ["Axivity AX3"] * n,
            "nominal_rate": np.full(n, 100.0),
            **{
                name: g.gamma(9, 2, n) for name in ("sample_rate", "duration_h", "wear_h", "calibration_error_after_mg")
            },
            "quality_gap": g.poisson(1, n),
        }
    )
    reasons = [
        f"the longest stretch of wear is {x:.1f} h" if s != "ok" else ""
        for s, x in zip(status, g.random(n), strict=True)
    ]
    many.outcomes = pa.table({"id": names, "reason": reasons})
    out = cohort_pages.cohort_page(many, tmp_path / "cohort.html")
    assert out.stat().st_size < 4_000_000
    assert len(packed(out.read_text("utf-8"))["id"]) == n


def test_a_cohort_page_names_the_kept_recordings_at_the_bad_end_of_each_measure(tmp_path: Path) -> None:
    html = cohort_pages.cohort_page(cohort(), tmp_path / "cohort.html").read_text("utf-8")
    part = html[html.index("Recordings to check first") : html.index("All recordings")]
    assert "r001" in part  # least wear: 101 h
    assert "selected wear 101.0 h" in part
    assert "r000" not in part  # failed


@pytest.mark.parametrize("n", [1, 2, 5])
def test_a_cohort_of_few_has_a_page_without_histograms_or_a_list_of_the_worst(tmp_path: Path, n: int) -> None:
    html = cohort_pages.cohort_page(cohort(n), tmp_path / "cohort.html").read_text("utf-8")
    assert ("<svg" in html) == (n > 2)  # of two recordings one is ok, and of both rates one is known
    assert "Recordings to check first" not in html
    assert re.search(rf"of {n} recording{'' if n == 1 else 's'} (is|are) ok", html)


def test_an_empty_cohort_has_a_page(tmp_path: Path) -> None:
    empty = cohort(1)
    empty.recordings, empty.outcomes = empty.recordings.slice(0, 0), empty.outcomes.slice(0, 0)
    assert "The cohort is empty" in cohort_pages.cohort_page(empty, tmp_path / "empty.html").read_text("utf-8")


def test_a_cohort_page_links_to_the_pages_that_are_there(tmp_path: Path) -> None:
    folder = tmp_path / "cohort-recordings"
    folder.mkdir()
    (folder / "r002.html").write_text("x")
    html = cohort_pages.cohort_page(cohort(), tmp_path / "cohort.html").read_text("utf-8")
    assert {attributes.get("href") for tag, attributes in Tags(html).tags if tag == "a"} == {
        "cohort-recordings/r002.html"
    }
    content = packed(html)
    assert [content["id"][location] for location in content["page"]] == ["r002"]
