"""The commands that show an installation and the settings of a recipe."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement

from imuspec import cli
from imuspec.cli.doctor import EXTRAS, REQUIRED
from imuspec.recipe import FitRecipe, PretrainRecipe, ProbeRecipe, Recipe
from imuspec.recipe.settings import LABELS

FAMILIES = (Recipe, PretrainRecipe, ProbeRecipe, FitRecipe)
NAMES = [name for family in FAMILIES for name in family.names()]


def run(*arguments: str) -> int:
    """Exit code of the command line."""
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    return int(ended.value.code or 0)


def test_doctor_shows_the_installation_and_tests_every_kernel(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("doctor", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["system"]["instruction_set"] in {"avx512", "avx2", "sse2", "neon", "plain"}
    assert set(facts["extras"]) == {"cluster", "train", "report", "export", "phone", "imagenet"}
    assert len(facts["kernels"]) == 5
    assert set(facts["kernels"].values()) == {"ok"}


def _packages(requirements: list[str]) -> set[str]:
    """Names of the packages that requirements bring: those of `dask[distributed]` are dask and distributed."""
    parsed = [Requirement(text) for text in requirements]
    return {name for r in parsed if r.name != "imuspec" for name in (r.name, *r.extras)}


def test_doctor_looks_for_every_package_that_the_project_requires() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))["project"]
    assert set(REQUIRED) == _packages(project["dependencies"])
    extras = {
        name: packages for name, packages in project["optional-dependencies"].items() if name not in ("all", "dev")
    }
    assert {name: set(packages) for name, packages in EXTRAS.items()} == {
        name: _packages(packages) for name, packages in extras.items()
    }


def test_doctor_fails_when_a_kernel_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from imuspec.spectral import magnitude

    monkeypatch.setattr(magnitude, "log_mean_magnitude", lambda x, nfft: np.zeros((*x.shape[:-1], nfft // 2 + 1)))
    assert run("doctor") == 1
    text = capsys.readouterr().out
    assert "log mean magnitude     differs by" in text
    assert "kernels that fail: log mean magnitude" in text


def test_recipe_lists_all_names_without_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("recipe", "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_recipe_lists_settings_that_set_takes(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("recipe", name, "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    family = next(family for family in FAMILIES if name in family.names())
    recipe = family.load(name)
    for row in rows:
        section, _, field = row["setting"].rpartition(".")
        holder = getattr(recipe, section) if section else recipe
        assert holder.model_dump(mode="json")[field] == row["value"]
        assert row["meaning"] or field == "name", row["setting"]
    known = {row["setting"] for row in rows}
    with pytest.raises(ValueError, match="set: expected"):
        recipe.set("no.such_setting=1")
    assert len(known) == len(rows) > 3


def test_recipe_shows_a_changed_value_beside_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("recipe", "ukb", "--set", "segments.min_wear_h=4", "--json") == 0
    rows = {row["setting"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["segments.min_wear_h"]["value"] == 4
    assert rows["segments.min_wear_h"]["default"] == 24


def test_an_unknown_recipe_is_answered_with_the_closest_names_and_where_all_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("recipe", "ukbb") == 2
    error = capsys.readouterr().err
    assert "expected one of 'ukb', " in error
    assert "`imuspec recipe` lists all" in error
    assert "'ukbb'" in error


@pytest.mark.parametrize("flag", ["-V", "--version"])
def test_the_version_is_printed(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    import imuspec

    assert run(flag) == 0
    assert capsys.readouterr().out.strip() == imuspec.__version__


def test_recipe_lists_exactly_the_settings_that_set_takes(capsys: pytest.CaptureFixture[str]) -> None:
    for family in (Recipe, PretrainRecipe, ProbeRecipe):
        for name in family.names():
            assert run("recipe", name, "--json") == 0
            listed = {row["setting"] for row in json.loads(capsys.readouterr().out)}
            fields = family.load(name).model_dump()
            keys = {f"{s}.{k}" for s, inner in fields.items() if isinstance(inner, dict) for k in inner}
            keys |= {s for s, inner in fields.items() if not isinstance(inner, dict)}
            assert listed == keys - set(LABELS)


def test_the_unit_of_a_setting_stands_in_a_column_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("recipe", "ukb", "--json") == 0
    units = {row["setting"]: row["unit"] for row in json.loads(capsys.readouterr().out)}
    assert units["segments.min_wear_h"] == "h"
    assert units["calibration.max_error_mg"] == "mg"
    assert units["nonwear.min_minutes"] == "min"
    assert units["lowpass.order"] == ""
    assert run("recipe", "mae-lmm", "--json") == 0
    units = {row["setting"]: row["unit"] for row in json.loads(capsys.readouterr().out)}
    assert units["source.hours"] == "h"


def test_the_page_of_recipes_is_what_its_script_writes() -> None:
    script = Path(__file__).parents[2] / "docs" / "write_recipe.py"
    page = subprocess.run([sys.executable, script, "-"], env=environment(), capture_output=True, text=True, check=True)
    assert page.stdout == (script.parent / "reference" / "recipe.md").read_text("utf-8")


def environment() -> dict[str, str]:
    """The environment of a process that uses this checkout."""
    return {**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[2])}
