"""Every code block of README and of the pages runs, in its order; what a test cannot give is named above the block."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from code_blocks import NEEDS, PAGES, ROOT, RUN, SHOWN, Block, Reader, blocks, commands_of, parse
from imuspec.experiments.made_up import made_up_windows
from imuspec.simulation import simulate
from labelled_folder import write_folder

#: Options that make a command quick, by its first words.
SMALLER = {
    "prepare": ("--workers", "1"),
    "fit random": ("--folds", "3", "--set", "pictures.size=[24,32]"),
    "probe statistics --data folder=people/,window_s=3": ("--seeds", "2"),
}
#: The same for programs: the photographs of the tutorial.
FEWER = {"range(100)": "range(70)"}
#: Pages whose blocks another test runs, with assertions of its own.
ELSEWHERE = {
    "README.md": "tests/unit/test_readme.py",
    "docs/how-to/fit-a-model.md": "tests/e2e/test_models_page.py",
    "docs/how-to/from-labels-to-phone.md": "tests/e2e/test_labels_to_phone.py",
    "docs/how-to/scikit-learn.md": "tests/unit/test_sklearn.py",
}


def _week(folder: Path) -> None:
    simulate(folder / "week.cwa", days=0.05, seed=0)


def _recordings(folder: Path) -> None:
    (folder / "recordings").mkdir()
    for number in (1, 2):
        simulate(folder / "recordings" / f"p{number}.cwa", days=0.05, seed=number)


def _people(folder: Path) -> None:
    write_folder(folder / "people", n_people=6)


def _few_people(folder: Path) -> None:
    write_folder(folder / "people")
    write_folder(folder / "others", prefix="q", n_people=2)


def _mornings(folder: Path) -> None:
    """The people of the tutorial on scores, with twenty windows of each of four activities."""
    made = made_up_windows("mornings", n_subjects=6, n_windows=20, rate=30.0)
    (folder / "people").mkdir()
    for person in made.subjects.tolist():
        own = made.select(made.subject == person)
        x = np.concatenate(list(own.x), axis=1)
        time = 1_684_128_600_000_000_000 + np.arange(x.shape[1]) * 1_000_000_000 // 30
        activity = np.repeat(np.array(own.class_names)[own.label], own.n_samples)
        columns = {"time": time.view("datetime64[ns]"), **dict(zip("xyz", x, strict=True)), "activity": activity}
        pq.write_table(pa.table(columns), folder / "people" / f"p{person}.parquet")


#: What the reader of a page has.
GIVEN: dict[str, tuple[Callable[[Path], None], ...]] = {
    "docs/how-to/labelled-data.md": (_people,),
    "docs/how-to/many-recordings.md": (_recordings,),
    "docs/how-to/moving.md": (_week, _recordings),
    "docs/how-to/phone.md": (_few_people,),
    "docs/how-to/pytorch.md": (_recordings,),
    "docs/tutorials/activities.md": (_mornings,),
    "docs/tutorials/encoder.md": (_mornings,),
}


def runnable(page: Path) -> list[Block]:
    """The blocks of a page that need nothing that a test does not have."""
    return [block for block in blocks(page.read_text("utf-8")) if block.language in RUN and block.needs is None]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


FOLLOWED = [page for page in PAGES if runnable(page) and name_of(page) not in ELSEWHERE]


@pytest.mark.parametrize("page", FOLLOWED, ids=name_of)
def test_the_blocks_of_a_page_run_in_their_order(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for give in GIVEN.get(name_of(page), ()):
        give(tmp_path)
    monkeypatch.chdir(tmp_path)
    reader = Reader(SMALLER, FEWER)
    for block in runnable(page):
        reader.follow(block)
    assert reader.n_blocks == len(runnable(page)) > 0


def test_every_page_whose_blocks_run_elsewhere_is_read_by_that_test() -> None:
    for page, test in ELSEWHERE.items():
        assert (ROOT / page).is_file()
        assert Path(page).name in (ROOT / test).read_text("utf-8")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_block_has_a_known_language_and_names_what_it_needs(page: Path) -> None:
    text = page.read_text("utf-8")
    present = blocks(text)
    assert {block.language for block in present if block.language not in (*RUN, *SHOWN)} == set()
    assert {block.needs for block in present if block.needs is not None} <= set(NEEDS)
    assert re.findall(r"^[ \t>]+```|^~~~", text, re.MULTILINE) == []  # such a block would not be seen
    # A mark that is not directly above a block would mark nothing.
    assert len(re.findall(r"^<!-- needs:", text, re.MULTILINE)) == sum(block.needs is not None for block in present)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_commands_of_a_block_exist_with_their_options(page: Path) -> None:
    for block in blocks(page.read_text("utf-8")):
        if block.language == "sh":
            subprocess.run(["bash", "-n"], input=block.text, text=True, check=True)
        for words in commands_of(block):
            parse(words)


def test_a_block_that_fails_or_prints_something_else_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    reader = Reader({})
    right = "```python\nprint('a', 1.25)\n```\n\n```text\na ...\n```\n\n```console\n$ imuspec --version\n...\n$ echo b\nb\n```\n"
    assert [block.language for block in blocks(right)] == ["python", "text", "console"]
    for block in blocks(right)[::2]:
        reader.follow(block)
    assert reader.n_blocks == 2
    program, _, shell = blocks(right.replace("a ...", "b ...").replace("\nb\n", "\nc\n"))
    missing, failing = blocks("```sh\nimuspec info missing.cwa\n```\n\n```sh\nls missing\n```\n")
    for wrong in (program, shell, missing, failing):
        with pytest.raises(AssertionError):
            reader.follow(wrong)
    with pytest.raises(NameError):
        reader.follow(blocks("```python\nmissing\n```\n")[0])
