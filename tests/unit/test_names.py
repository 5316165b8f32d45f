"""Unknown names: one message for all of them, with the names there are, the closest first."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from imuspec.errors import unknown_name
from imuspec.recipe import PretrainRecipe, ProbeRecipe, Recipe
from imuspec.recipe.grid import expand
from imuspec.recipe.registry import Registry

ONE_FORM = re.compile(
    r"^(?P<option>[^:]+): expected one of ('[^']+'(, )?)+( \(closest of \d+.*\))?( or .+)?, got '.+'$"
)


def test_of_few_names_all_are_listed_the_closest_first() -> None:
    assert unknown_name("recipe", "ukbb", ["actipy", "ukb"]) == "recipe: expected one of 'ukb', 'actipy', got 'ukbb'"


def test_of_many_names_the_closest_five_are_listed_and_how_to_see_all() -> None:
    known = [f"name{number:02}" for number in range(30)] + ["moco"]
    message = unknown_name("set", "objective.moc", known, listing="`imuspec recipe`", other="a path")
    assert message.startswith("set: expected one of 'moco', ")
    assert message.count("'name") == 4
    assert message.endswith(" (closest of 31; `imuspec recipe` lists all) or a path, got 'objective.moc'")


def _experiment() -> object:
    pytest.importorskip("pandas")
    from imuspec import experiments

    return experiments.describe("lmm-table11")


def _encoder() -> object:
    pytest.importorskip("torch")
    from imuspec import encoders

    return encoders.build("resnet19")


def _setting_of_encoder() -> object:
    pytest.importorskip("torch")
    from imuspec import encoders

    return encoders.build("tpn", drop=0.1)


def _objective() -> object:
    torch = pytest.importorskip("torch")
    from imuspec import objectives

    return objectives.build("mocco", torch.nn.Identity())


def _views() -> object:
    pytest.importorskip("torch")
    from imuspec import views

    return views.build("imu2img")


def _model() -> object:
    pytest.importorskip("torch")
    from imuspec.run.pretrained import find_model

    return find_model("harnet15")


def _set() -> object:
    from imuspec.datasets.catalogue import find_set

    return find_set("wisdmm")


def _setting_of_set() -> object:
    from imuspec.datasets.reference import DatasetReference

    return DatasetReference.parse("hapt=.,window=2").windows()


def _engine() -> object:
    from imuspec.cluster.opening import open_engine

    return open_engine("dusk", workers=1)


def _damage() -> object:
    from imuspec import simulation

    return simulation.simulate(Path("week.cwa"), damage=["losst"])


@pytest.mark.parametrize(
    ("use", "closest"),
    [
        (lambda: Recipe.load("ukbb"), "ukb"),
        (lambda: PretrainRecipe.load("simsaim"), "simsiam"),
        (lambda: ProbeRecipe.load("lineer"), "linear"),
        (lambda: PretrainRecipe.load("moco").set("objective.queu=3"), "objective.queue"),
        (lambda: Recipe.load("ukb").set("min_windows=3"), "calibration.min_windows"),
        (lambda: expand("moco", "baseline"), "baselines"),
        (_experiment, "lmm-table1"),
        (_encoder, "resnet18"),
        (_setting_of_encoder, "dropout"),
        (_objective, "moco"),
        (_views, "img2imu"),
        (_model, "harnet5"),
        (_set, "wisdm"),
        (_setting_of_set, "window_s"),
        (_engine, "dask"),
        (_damage, "lost"),
    ],
)
def test_every_unknown_name_gets_the_one_message_with_the_closest_name_first(
    use: Callable[[], object], closest: str
) -> None:
    with pytest.raises(ValueError, match="expected one of") as caught:
        use()
    message = str(caught.value)
    assert ONE_FORM.match(message), message
    assert f"expected one of {closest!r}" in message


def test_a_registry_imports_a_maker_when_it_is_used_and_checks_its_settings() -> None:
    registry: Registry[object] = Registry("number", {"fraction": "fractions:Fraction", "broken": "no.such:Module"})
    assert registry.names() == ["broken", "fraction"]
    assert registry.build("fraction", 3, denominator=4) == 0.75
    with pytest.raises(
        ValueError, match=r"settings of number fraction: expected one of 'denominator', .*got 'nominator'"
    ):
        registry.build("fraction", 3, nominator=4)
    with pytest.raises(ModuleNotFoundError):
        registry.build("broken")
