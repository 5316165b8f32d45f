"""The job scripts that users paste name commands and options that exist, and the shares of a batch become one cohort."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

import stub_native
from imuspec import Cohort
from imuspec.cli import app, main
from run_stub_cohort import RECIPE
from stub_files import tree, write_stub

PAGES = [Path(__file__).parents[2] / "docs" / "how-to" / name for name in ("many-recordings.md", "uk-biobank.md")]
SCRIPTS = [script for page in PAGES for script in re.findall(r"```sh\n(.*?)```", page.read_text("utf-8"), re.DOTALL)]


def _commands() -> list[str]:
    result = []
    for script in SCRIPTS:
        for line in script.replace("\\\n", " ").splitlines():
            part = re.search(r"(?:^|\s)(imuspec (?:prepare|cohort|embed|predict) [^&#]*)", line)
            if part and "pip install" not in part[1]:
                result.append(part[1].strip().rstrip('"'))
    return result


@pytest.mark.parametrize("command", _commands())
def test_a_command_of_the_page_is_one(command: str) -> None:
    tokens = shlex.split(re.sub(r"\$share|\$SLURM_\w+", "1", command))[1:]
    app.parse_args(tokens, exit_on_error=False, print_error=False)


def test_the_page_has_its_scripts() -> None:
    assert len(_commands()) >= 10
    for script in SCRIPTS:
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def test_shares_made_apart_become_the_cohort_of_one_run(tmp_path: Path) -> None:
    source = write_stub(tmp_path / "in", n=3)
    options = {"recipe": RECIPE, "workers": 1}
    stub_native.prepare_stub_cohort([source], tmp_path / "whole", **options)  # type: ignore[arg-type]
    for number in (1, 2):
        out = tmp_path / f"share{number}"
        stub_native.prepare_stub_cohort([source], out, shard=(number, 2), **options)  # type: ignore[arg-type]
        shutil.copytree(out, tmp_path / "cohort", dirs_exist_ok=True)
    with pytest.raises(SystemExit, match="0"):
        main(["cohort", "merge", str(tmp_path / "cohort")])
    assert Cohort(tmp_path / "cohort").verify() == []
    assert tree(tmp_path / "cohort") == tree(tmp_path / "whole")
