"""docs/results: a table of scores states test set, splits, draws, machine and date; no page tells stories of measuring."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RESULTS = sorted((ROOT / "docs" / "results").glob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]
SCORES = [page for page in RESULTS if re.search(r"^\|.*±.*\|$", page.read_text("utf-8"), re.MULTILINE)]
STORIES = (
    r"sittings|quiet machine|earlier machine|was tried|were tried|this page once|this evening|that nothing else used"
)


# A rank without figures, no difference in place of none that was shown, and equality that no bench checks.
OVERSTATED = (
    r"\b(is|are) better\b(?! than new code)|hard to beat|more than chance|of some use|found well|the difference is noise"
    r"|shows? no difference|differs? in none of|differs from [^.]* in none|form differs from|not apart from|give the same result"
)


@pytest.mark.parametrize("page", SCORES, ids=lambda page: page.stem)
def test_a_page_of_scores_states_how_they_were_measured(page: Path) -> None:
    text = page.read_text("utf-8")
    for fact in ("test sets?", "splits[^|]*", "[^|]*draws[^|]*", "numbers", "machine, date"):
        assert re.search(rf"^\| {fact} \| .+ \|$", text, re.MULTILINE), fact
    assert re.search(r"^\| machine, date \| .*20\d\d-\d\d-\d\d \|$", text, re.MULTILINE)


def test_where_no_encoder_of_pictures_passes_the_statistics_the_first_sentence_says_so() -> None:
    text = (ROOT / "docs" / "results" / "experiments.md").read_text("utf-8")
    rows = [re.split(r" *\| *", line)[1:-1] for line in text.splitlines() if line.startswith("| ")]
    scores = [(row[0], [float(cell.split(" ")[0]) for cell in row[-6:-3] if "±" in cell]) for row in rows]
    best = next(values for name, values in scores if name == "statistics of the window")
    others = [values for name, values in scores if values and name != "statistics of the window"]
    assert len(best) == 3
    assert len(others) > 30
    assert all(value < top for values in others for value, top in zip(values, best, strict=False))
    assert text.partition("\n\n")[2].startswith(
        "On WISDM, HAPT and UCI HAR, no encoder of pictures reaches the mean of the plain statistics"
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_claims_no_more_than_was_shown(page: Path) -> None:
    text = re.sub(r"\s+", " ", page.read_text("utf-8"))
    assert [match.group() for match in re.finditer(OVERSTATED, text, re.IGNORECASE)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_tells_no_story_of_measuring(page: Path) -> None:
    assert re.findall(STORIES, page.read_text("utf-8"), re.IGNORECASE) == []
