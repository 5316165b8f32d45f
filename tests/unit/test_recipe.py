"""Recipes: every number stated, validated, changed by name, and kept."""

from __future__ import annotations

import tomllib
from importlib import resources

import pytest
from pydantic import BaseModel, ValidationError

from imuspec import Recipe


def test_the_named_recipes_are_there() -> None:
    assert Recipe.names() == ["actipy", "capture24", "nhanes", "ukb"]


@pytest.mark.parametrize("name", Recipe.names())
def test_a_named_recipe_states_every_number_itself(name: str) -> None:
    stated = tomllib.loads((resources.files("imuspec") / "recipes" / f"{name}.toml").read_text())
    resolved = Recipe.load(name).model_dump()
    assert resolved.pop("name") == name
    assert stated == resolved


def test_ukb_has_the_numbers_of_the_paper() -> None:
    recipe = Recipe.load("ukb")
    assert (recipe.lowpass.cutoff_hz, recipe.lowpass.order, recipe.resample.rate_hz) == (15, 8, 30)
    assert (recipe.nonwear.tolerance_g, recipe.nonwear.min_minutes, recipe.segments.min_wear_h) == (0.013, 90, 24)
    assert not recipe.calibration.temperature
    assert recipe.order == "paper"


def test_capture24_differs_from_ukb_in_the_length_of_wear_alone() -> None:
    assert Recipe.load("capture24").differences(Recipe.load("ukb")) == ["segments_min_wear_h: 1.0, 24.0"]


def test_actipy_keeps_what_does_not_calibrate_and_filters_across_gaps() -> None:
    recipe = Recipe.load("actipy")
    assert recipe.order == "actipy"
    assert recipe.reading.timestamps == "actipy"
    assert recipe.lowpass.across_gaps
    assert not recipe.calibration.required


def _descriptions(model: type[BaseModel]) -> list[tuple[str, str | None]]:
    result: list[tuple[str, str | None]] = []
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            result += _descriptions(inner)
        else:
            result.append((name, field.description))
    return result


def test_every_number_says_what_it_is_and_its_unit() -> None:
    fields = _descriptions(Recipe)
    assert len(fields) > 25
    units = {"_hz": "Hz", "_s": " s", "_g": "g", "_mg": "mg", "_h": " h", "_minutes": "min"}
    for name, description in fields:
        assert description, name
        for ending, unit in units.items():
            if name.endswith(ending):
                assert unit in description, name


def test_set_changes_a_copy() -> None:
    recipe = Recipe.load("ukb")
    changed = recipe.set("calibration.min_windows=10", " segments.min_wear_h = 0.1 ", "resample.method=nearest")
    assert (changed.calibration.min_windows, changed.segments.min_wear_h) == (10, 0.1)
    assert changed.resample.method == "nearest"
    assert recipe.calibration.min_windows == 50


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("calibration.min_window=10", "'calibration.min_windows'"),
        ("min_windows=10", "'calibration.min_windows'"),
        ("segments.min_wear=10", "'segments.min_wear_h'"),
        ("qqqqqq=1", "closest of .* `imuspec recipe NAME` lists all"),
        ("calibration.min_windows", "section.field=value"),
        ("calibration.min_windows=many", r"calibration\.min_windows: .*integer"),
        ("resample.rate_hz=-1", r"resample\.rate_hz: .*greater than 0"),
        ("name=other", "expected"),
    ],
)
def test_a_wrong_assignment_says_what_was_expected(assignment: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Recipe.load("ukb").set(assignment)


def test_a_misspelt_name_suggests_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"expected one of 'capture24', .* or the path of a TOML file, got 'capture'"):
        Recipe.load("capture")


def test_a_file_may_state_only_what_differs(tmp_path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[segments]\nmin_wear_h = 2\n")
    recipe = Recipe.load(path)
    assert recipe.name == "mine"
    assert recipe.differences(Recipe.load("ukb")) == ["segments_min_wear_h: 2.0, 24.0"]


def test_a_file_with_misspelt_fields_lists_all_of_them(tmp_path) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text("colour = 1\n[segments]\nmin_wear = 2\n")
    with pytest.raises(ValidationError) as caught:
        Recipe.load(path)
    assert {item["loc"] for item in caught.value.errors()} == {("colour",), ("segments", "min_wear")}


def test_text_that_is_no_toml_is_a_value_error(tmp_path) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text("[segments\n")
    with pytest.raises(ValueError, match="expected TOML"):
        Recipe.load(path)


def test_the_resolved_json_gives_the_recipe_back(tmp_path) -> None:
    recipe = Recipe.load("nhanes").set("lowpass.cutoff_hz=12")
    path = tmp_path / "recipe.json"
    path.write_text(recipe.to_json())
    assert Recipe.load(path) == recipe


def test_the_flat_form_has_every_number_once() -> None:
    flat = Recipe.load("ukb").flat()
    assert flat["calibration_min_windows"] == 50
    assert flat["order"] == "paper"
    assert all(isinstance(value, (bool, int, float, str)) for value in flat.values())


def test_the_step_of_the_store_reaches_past_16_g_with_margin() -> None:
    assert 32767 * Recipe.load("ukb").store.step_g > 16 * 1.25


@pytest.mark.parametrize("text", ["[64, 128]", "64,128", "64, 128"])
def test_a_list_may_be_set_without_brackets(text: str) -> None:
    from imuspec.recipe import PretrainRecipe, ProbeRecipe

    probe = ProbeRecipe().set(f"pictures.nfft={text}", "split.seeds=3")
    assert (probe.pictures.nfft, probe.split.seeds) == ((64, 128), (3,))
    views = PretrainRecipe.load("img2imu").set("views.operations=translate_x,jitter").views
    assert views.model_dump()["operations"] == ("translate_x", "jitter")
    with pytest.raises(ValueError, match=r"pictures\.nfft\.1: Input should be a valid integer"):
        ProbeRecipe().set("pictures.nfft=64,x")
