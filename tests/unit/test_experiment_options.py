"""Options and runs of experiments: each is read, and what has no effect is refused or named."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

pd = pytest.importorskip("pandas")
pytest.importorskip("matplotlib")
from imuspec import experiments  # noqa: E402
from imuspec.experiments.setup import Options  # noqa: E402


def _names_of(function: Any) -> set[str]:
    """Names that the code of a function, and of functions inside it, reads: variables, attributes and texts."""
    codes, names = [function.__code__], set()
    for code in codes:
        names |= {*code.co_names, *(text for text in code.co_consts if isinstance(text, str))}
        codes += [inner for inner in code.co_consts if inspect.iscode(inner)]
    return names


def _names_read(run: Any, options: type[Options]) -> set[str]:
    """Names that an experiment reads: in `run`, in what it calls in `imuspec.experiments`, and in properties of its options."""
    names, before = set(), -1
    functions: dict[Any, None] = {run: None}
    while (len(functions), len(names)) != before:
        before = (len(functions), len(names))
        for function in list(functions):
            names |= _names_of(function)
        modules = [
            vars(importlib.import_module(key)) for key in names if re.fullmatch(r"imuspec\.experiments\.\w+", key)
        ]
        tables = [
            *modules,
            *(function.__globals__ for function in list(functions)),
        ]  # modules are those of inner imports
        known = [value for table in tables for key, value in table.items() if key in names]
        for value in known:
            if not getattr(value, "__module__", "").startswith("imuspec.experiments."):
                continue
            if inspect.isfunction(value):
                functions[value] = None
            elif inspect.isclass(value) and not issubclass(value, Options):
                methods = {key: each for key, each in vars(value).items() if key in names or key == "__init__"}
                functions |= dict.fromkeys(each for each in methods.values() if inspect.isfunction(each))
        for key in names:
            attribute = inspect.getattr_static(options, key, None)
            if isinstance(attribute, property):
                functions[attribute.fget] = None
            elif inspect.isfunction(attribute) and attribute.__module__.startswith("imuspec.experiments."):
                functions[attribute] = None
    return names


@pytest.mark.parametrize("name", experiments.names())
def test_every_option_of_an_experiment_is_read_by_its_code(name: str) -> None:
    pytest.importorskip("torch")
    module = experiments.describe(name).module
    read = _names_read(module.run, module.OPTIONS)
    assert [option for option in module.OPTIONS.model_fields if option not in read] == []


def test_a_run_for_a_row_that_is_not_made_is_refused() -> None:
    pytest.importorskip("torch")
    table = experiments.describe("img2imu-table2")
    with pytest.raises(ValueError, match="runs: expected a run of a row that is made, IMG2IMU, got one of MoCo@wisdm"):
        table.setup(Path("x"), runs=["MoCo@wisdm=a"], assignments=["rows=IMG2IMU"])
    assert table.setup(Path("x"), runs=["IMG2IMU=a"], assignments=["rows=IMG2IMU"]).runs == {"IMG2IMU": ("a",)}


def test_a_tiny_trial_makes_every_row_that_a_run_is_given_for() -> None:
    pytest.importorskip("torch")
    from imuspec.experiments.masked_study import tiny_rows

    rows = {"LMM": 0.0, "MSE": 1.0, "LMM + MSE": 0.5}
    setup = experiments.describe("lmm-fig3").setup(Path("x"), runs=["MSE@capture24=a"], tiny=True)
    assert list(tiny_rows(setup, rows, ("LMM",))) == ["LMM", "MSE"]
    assert list(tiny_rows(setup.model_copy(update={"tiny": False}), rows, ("LMM",))) == list(rows)


def test_an_option_that_takes_one_value_refuses_two() -> None:
    pytest.importorskip("torch")
    with pytest.raises(ValueError, match="set: nfft: expected one value, got '64,32'"):
        experiments.describe("fine-tuning").options(["nfft=64,32"])


@pytest.mark.parametrize(
    ("name", "runs", "assignments", "expected"),
    [
        (
            "img2imu-table1",
            ["all four=a"],
            ["small=true"],
            "small: expected images, and a row without a run, got True wi",
        ),
        (
            "img2imu-table2",
            [],
            ["images=p", "rows=LIMU-BERT", "signals=s"],
            "images: expected images, and a row on pic",
        ),
        (
            "img2imu-table2",
            [],
            ["image_epochs=3", "rows=MoCo"],
            "image_epochs: expected images, and a row on pictures w",
        ),
        (
            "img2imu-table2",
            ["MoCo=a"],
            ["images=p", "rows=MoCo"],
            "images: expected images, and a row on pictures without",
        ),
        (
            "img2imu-table2",
            [],
            ["signal_limit=9", "rows=CPC (HAR)"],
            "signal_limit: expected signals, and a row on them",
        ),
        (
            "img2imu-table2",
            [],
            ["subjects=0.4", "rows=MoCo", "images=p"],
            "subjects: expected signals, got 0.4 without",
        ),
        (
            "img2imu-table2",
            ["MoCo=a"],
            ["pretrain_seeds=2", "rows=MoCo"],
            "pretrain_seeds: expected a row that is pre-tr",
        ),
        (
            "img2imu-table2",
            [],
            ["small=true", "rows=ImageNet-supervised", "images=p"],
            "small: expected a row with such",
        ),
        (
            "img2imu-table2",
            [],
            ["random_draws=2", "rows=MoCo", "images=p"],
            "random_draws: expected a row with random wei",
        ),
        (
            "img2imu-fig7",
            ["MoCo=a"],
            ["max_train=9", "rows=MoCo"],
            "max_train: expected a fully supervised row, got 9 with",
        ),
        (
            "img2imu-fig9",
            [],
            ["size=tiny"],
            "size: expected images, and a row on pictures without a run, got 'tiny' without",
        ),
        ("img2imu-grid", [], ["images=p"], "images: expected a recipe on pictures, got 'p' without"),
        (
            "img2imu-grid",
            [],
            ["recipes=moco-small", "signals=s"],
            "signals: expected a recipe on signals, got 's' without",
        ),
        (
            "single-axis",
            ["encoder=a"],
            ["images=p"],
            "images: expected images, and a row on pictures without a run, got",
        ),
        (
            "signal-objectives",
            ["HARNet=a"],
            ["rows=HARNet", "epochs=2"],
            "epochs: expected a row without a run, got 2 with",
        ),
        (
            "lmm-table1",
            ["MSE=a"],
            ["rows=MSE", "people=p.csv"],
            "people: expected a row without a run, got 'p.csv' witho",
        ),
        (
            "lmm-table6",
            ["LMM=a", "MSE=a", "LMM + MSE=a"],
            ["pretrain_seeds=3"],
            "pretrain_seeds: expected a row without",
        ),
        (
            "fine-tuning",
            ["IMG2IMU=a"],
            ["images=p"],
            "images: expected images, and IMG2IMU without a run, got 'p' with",
        ),
        ("fine-tuning", ["CPC=a"], ["signal_epochs=3"], "signal_epochs: expected CPC without a run, got 3 without"),
        (
            "fine-tuning",
            [],
            ["rows=statistics", "patience=3"],
            "patience: expected a row with an encoder, got 3 without",
        ),
        ("fine-tuning", [], ["rows=CPC", "norm=fixed"], "norm: expected a row on pictures, got 'fixed' without"),
    ],
)
def test_an_option_of_rows_that_are_not_made_is_refused(
    name: str, runs: list[str], assignments: list[str], expected: str
) -> None:
    pytest.importorskip("torch")
    with pytest.raises(ValueError, match=f"set: {re.escape(expected)}"):
        experiments.describe(name).setup(Path("x"), runs=runs, assignments=assignments)


def test_an_option_of_a_row_that_is_made_is_taken() -> None:
    pytest.importorskip("torch")
    for name, runs, assignments in (
        ("img2imu-table2", ["MoCo@wisdm=a"], ["images=p", "image_epochs=2", "rows=MoCo", "pretrain_seeds=2"]),
        ("fine-tuning", [], ["rows=random (1D)", "signal_epochs=3"]),
        ("lmm-table6", ["HARNet10=a"], ["pretrain_seeds=3"]),
        ("lmm-fig2", [], ["pretrain_seeds=4"]),
    ):
        setup = experiments.describe(name).setup(Path("x"), runs=runs, assignments=assignments)
        assert [key for key, value in setup.options if value != type(setup.options).model_fields[key].default]
