"""docs/reference/columns.md has a row for every column of every table, and no other: the tables are written here and compared."""

from __future__ import annotations

import csv
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pyarrow.parquet as pq
import pytest

pd = pytest.importorskip("pandas", reason="the extra report is not installed")

from imuspec import Cohort  # noqa: E402
from imuspec.cohort.export import export_cohort  # noqa: E402
from imuspec.cohort.results import _OUTCOME, _summary_rows  # noqa: E402
from imuspec.datasets.folder import _NEEDED, _Interval  # noqa: E402
from imuspec.datasets.people import _REQUIRED, read_people  # noqa: E402
from imuspec.evaluation import paired_differences, score  # noqa: E402
from imuspec.experiments.evidence import splits_table  # noqa: E402
from imuspec.prediction.activities import Activities  # noqa: E402

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "columns.md").read_text("utf-8")
STORE = ROOT / "tests" / "data" / "stores" / "v1"
CLASSES = ("walking", "lying")


def rows(section: str) -> list[str]:
    """Return the columns that the table of a section names; capitals stand for any name."""
    part = re.split(r"^##+ ", PAGE.partition(f"\n### {section}\n")[2], flags=re.MULTILINE)[0]
    cells = [line.split(" | ")[0] for line in part.splitlines() if line.startswith("| `")]
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


def expect(section: str, columns: list[str]) -> None:
    """Assert that each column has a row and each row a column."""
    patterns = {row: re.compile(re.sub(r"(?<![a-z])[A-Z]+(?![a-z])", ".+", re.escape(row))) for row in rows(section)}
    fixed = {row for row, pattern in patterns.items() if ".+" not in pattern.pattern}
    loose = [pattern for row, pattern in patterns.items() if row not in fixed]
    assert patterns, section
    assert [name for name in columns if name not in fixed and not any(p.fullmatch(name) for p in loose)] == []
    missing = fixed - set(columns) | {p.pattern for p in loose if not any(p.fullmatch(name) for name in columns)}
    assert missing == set(), section


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    folder = tmp_path_factory.mktemp("tables") / "cohort"
    shutil.copytree(STORE, folder)
    return Cohort(folder)


def activities() -> Activities:
    probability = np.array([[0.75, 0.25], [np.nan, np.nan], [np.nan, np.nan]], np.float32)
    label = np.array([0, -1, -2])
    confusion = np.array([[[3, 1], [0, 4]]])
    sets = np.array([[True, True], [False, False], [False, False]])
    return Activities(np.arange(3) * 10**10, label, probability, CLASSES, confusion=confusion, sets=sets)


@pytest.mark.parametrize("name", ["recordings", "outcomes", "segments", "nonwear", "quality", "inputs"])
def test_every_column_of_a_cohort_has_a_row(name: str, cohort: Cohort) -> None:
    expect(f"`{name}`", getattr(cohort, name).column_names)


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_every_column_of_an_export_has_a_row(kind: Any, cohort: Cohort, tmp_path: Path) -> None:
    export_cohort(cohort, tmp_path, file_format=kind)
    for file, section in (("worn", "ID"), ("recordings", "recordings")):
        path = tmp_path / f"{file}.{kind}"
        if kind == "parquet":
            columns = pq.read_schema(path).names
        else:
            with path.open(newline="") as lines:
                columns = next(csv.reader(lines))
        expect(f"`{section}.parquet` or `{section}.csv`", columns)


def test_every_column_of_results_has_a_row(cohort: Cohort) -> None:
    from imuspec.prediction.cohort import _features_table

    expect("`outcomes` of results", list(_OUTCOME))
    part = {"id": "worn", "summary": activities().minutes().to_dict("records")}
    expect("`summary` of predictions", list(_summary_rows([part])[0]))
    table = _features_table(cohort.prepared("worn"), np.array([0, 300]), np.zeros((2, 3), np.float32))
    expect("Embeddings of a recording", table.column_names)


def test_every_column_of_predictions_has_a_row() -> None:
    predicted = activities()
    expect("Predictions of a recording", list(predicted.table().columns))
    minutes = predicted.minutes()
    expect("`minutes`", list(minutes.columns))
    empty = minutes.set_index("activity")["expected"].isna()
    assert {name for name in empty.index if empty[name]} == {"nonwear", "missing"}


def test_every_column_of_a_labelled_prediction_has_a_row(tmp_path: Path) -> None:
    from imuspec.cli.predict import _write_labelled
    from imuspec.prediction.predicting import LabelledPrediction, predict_labelled

    pytest.importorskip("torch", reason="the extra train is not installed")
    windows = _windows()
    model = cast(
        "Any",
        SimpleNamespace(
            front=SimpleNamespace(kind="statistics", rate_hz=windows.rate, checked=lambda x, *_: x, n_samples=128),
            class_names=windows.class_names,
            smoother=None,
            facts={},
            source=None,
            prediction_set=lambda probability, _: probability > 0,
            predict_proba=lambda x: np.full((len(x), 4), 0.25, np.float32),
        ),
    )
    table = predict_labelled(model, windows, coverage=0.5).table
    scores = score([0, 1], [0, 1], CLASSES, subject=["a", "b"])
    _write_labelled(LabelledPrediction(table, scores, ()), tmp_path / "others.csv")
    for stem, section in (("others", "Predictions of a labelled set"), ("others.scores", "`scores`")):
        expect(section, list(pd.read_csv(tmp_path / f"{stem}.csv").columns))
    expect("`confusion`", list(pd.read_csv(tmp_path / "others.confusion.csv").columns))


def _windows() -> Any:
    from imuspec.experiments.made_up import made_up_windows

    return made_up_windows("tables", n_subjects=10, n_windows=2, length=128)


def test_every_column_of_features_and_probes_has_a_row(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the extra train is not installed")
    from imuspec import probing
    from imuspec.cli.embedding import _write_features
    from imuspec.recipe.probing import HeadSettings

    windows = _windows()
    _write_features(tmp_path / "features.parquet", np.zeros((len(windows.x), 2), np.float32), windows)
    expect("Embeddings of windows", pq.read_schema(tmp_path / "features.parquet").names)
    quick = HeadSettings(epochs=2, learning_rates=(1e-2,), weight_decays=(0.0,))  # type: ignore[call-arg]
    result = probing.probe(probing.MomentsSource(), windows, seeds=(0,), shots=(1,), settings=quick)
    expect("`seeds`", list(result.table.columns.drop("split_members")))
    expect("`summary`", list(result.summary().columns))
    expect("`per_class`", list(result.per_class().columns))


def test_every_column_of_a_models_scores_and_of_a_comparison_has_a_row() -> None:
    from imuspec.prediction.card import scores_table

    held_out = SimpleNamespace(confusion=lambda: np.array([[[3, 1], [0, 4]]]))
    expect("`scores.csv` of a model", list(scores_table(cast("Any", SimpleNamespace(held_out=held_out))).columns))
    frame = pd.DataFrame(
        [
            {
                "row": row,
                "seed": seed,
                "column": "hapt",
                "macro_f1": 0.5 + 0.1 * seed * (row == "b"),
                "test_over_train": 0.5,
            }
            for row in "ab"
            for seed in range(3)
        ]
    )
    expect("`paired`", list(paired_differences(frame).columns))
    splits = splits_table(frame.assign(split_members='{"train": ["p1"], "validation": ["p2"], "test": ["p3"]}'))
    assert splits is not None
    expect("`splits`", list(splits.columns))


def test_the_columns_that_a_user_writes_are_those_that_are_read(tmp_path: Path) -> None:
    assert set(rows("`people`")) == set(_REQUIRED)
    (tmp_path / "people.csv").write_text("recording,person,sex\nr1,p1,f\n")
    assert read_people(tmp_path / "people.csv", ["r1"]).strata == ("sex",)
    optional = {name for name in _Interval.__annotations__ if name not in ("line", "label")}
    assert set(rows("`labels`")) == set(_NEEDED) | optional


def test_a_column_without_a_row_is_noticed() -> None:
    columns = rows("`segments`")
    with pytest.raises(AssertionError):
        expect("`segments`", [*columns, "new"])
    with pytest.raises(AssertionError):
        expect("`segments`", columns[1:])
