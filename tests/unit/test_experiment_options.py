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
