"""IMG2IMU, search of recipes: every pre-training of a grid, and the one that the validation part picks.

The grid is a name (``baselines``: 45 rates, batches and decays; ``baselines-simclr``: 90), a TOML file, or such a file's text:
``--set 'grid="views.hue" = ["mix", "perm"]'``. Each pre-training is made once, in the folder of ``--cache``. The pick of a split
has the highest macro-F1 on its validation part; scores of test parts choose nothing. With ``--set members=true`` every recipe of
the grid is a row beside the pick. The paper gives no numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pandas as pd
from pydantic import Field, PositiveInt

from imuspec.datasets import Windows, altered_sets
from imuspec.experiments.experiment import Result
from imuspec.experiments.judging import judge_parameter_free, judge_row, score_table
from imuspec.experiments.methods import made_up_pictures
from imuspec.experiments.pretraining import expect_effect, pretrain_once, unseen_windows
from imuspec.experiments.setup import DrawOptions, HeadsOptions, Names, PictureOptions, Setup, Words
from imuspec.probing.sources import EncoderSource, FeatureSource
from imuspec.recipe import PretrainRecipe
from imuspec.recipe.grid import expand
from imuspec.run.run import Run

DATA = ("wisdm", "goat", "pvs", "daphnet")
OTHER_DATA = True
_TINY_GRID = '"training.base_lr" = [1e-3, 1e-5]'


class GridOptions(HeadsOptions, DrawOptions, PictureOptions):
    """Numbers of a search."""

    recipes: Words = Field(("simclr-har",), description="recipes of pre-training, as cpc,simclr-har")
    grid: str = Field("", description="a grid; by default baselines-simclr for simclr-har, baselines for the others")
    changes: Names = Field((), description="SECTION.FIELD=VALUE of every recipe, with semicolons between")
    pretrain_seeds: PositiveInt = Field(1, description="seeds of pre-training")
    signals: str = Field("", description="NAME=PATH of a set, or a cohort: what recipes on signals see")
    subjects: float = Field(0.5, gt=0, le=1, description="share of the subjects seen, of a set judged on")
    images: str = Field("", description="a folder or npz: what recipes on pictures see")
    members: bool = Field(False, description="whether each recipe of the grid is a row")
    rotated: bool = Field(False, description="whether turned test windows are a column")

    TINY: ClassVar[Mapping[str, Any]] = {
        "grid": _TINY_GRID,
        "changes": ("training.epochs=1", "training.batch=32", "source.limit=64"),
        "nfft": (64,),
        "hop": (16,),
        "head_epochs": 3,
        "max_judged": 4,
        "random_draws": 2,
    }

    def without_effect(self, pretrained: Sequence[str], setup: Setup[Any]) -> dict[str, str]:
        """Return the data of pre-training that no recipe sees."""
        del pretrained, setup  # as each recipe is pre-trained here
        sources = {PretrainRecipe.load(name).source.name for name in self.recipes}
        unused = {} if sources - {"windows"} else {"images": "a recipe on pictures"}
        unused |= {} if "windows" in sources else {"signals": "a recipe on signals"}
        return unused if self.signals else {**unused, "subjects": "signals"}


OPTIONS = GridOptions


def run(setup: Setup[GridOptions]) -> Result:
    """Pre-train and judge every recipe of the grid, then pick one by validation in each split."""
    options, parts, notes = setup.options, [], []
    grids = {name: _grid(options, name) for name in options.recipes}
    for name in setup.columns(DATA):
        windows, used = unseen_windows(setup, name, options.signals, options.subjects)
        notes += [f"{name}: judged on {len(windows.subjects)} subjects that no pre-training saw"] if used else []
        altered = {"rotated": altered_sets(windows)["rotated"].x} if options.rotated else None
        first: dict[str, Run] = {}  # a run of each encoder, whose statistics standardise its random weights
        for family, recipes in grids.items():
            judged_members = [_member(setup, recipe, name, windows, used, altered) for recipe in recipes]
            tables = [table for table, _ in judged_members]
            first.setdefault(recipes[0].encoder.name, judged_members[0][1])
            families = {"linear": family, "logistic": f"{family}, logistic"}
            parts += [table.assign(family=table["head"].map(families), set=name) for table in tables]
        baselines = dict(judge_parameter_free(setup, windows, pictures=options.pictures(), altered=altered))
        for network, run_of_it in first.items():
            drawn = [
                (seed, _source(setup, run_of_it.random_encoder(seed=seed))) for seed in range(options.random_draws)
            ]
            table = judge_row(setup, f"random weights ({network})", drawn, windows, altered=altered)
            parts.append(table.assign(set=name))
        parts += [table.assign(row=row, set=name) for row, table in baselines.items()]
    judged = pd.concat(parts, ignore_index=True)
    judged["column"] = [
        name if test == "clean" else f"{name}, {test}" for name, test in judged[["set", "test"]].itertuples(index=False)
    ]
    members = judged["family"].notna()
    rows = pd.concat([picked(judged[members]), judged[members & options.members], judged[~members]], ignore_index=True)
    picks = (
        rows[rows["picked"].notna()].groupby(["column", "row", "picked"], sort=False)["seed"].nunique().reset_index()
    )
    notes += [
        f"{line.column}: {line.row} is {line.picked} in {line.seed} of {len(setup.seeds)} splits"
        for line in picks.itertuples()
    ]
    return Result(score_table(rows), notes=notes, tables={"seeds": rows, "grid": judged[members]})


def picked(members: pd.DataFrame) -> pd.DataFrame:
    """Return the scores of the recipe that validation picks: one for each family, column and split.

    Parameters
    ----------
    members : DataFrame
        Scores of each recipe (``row``) of each ``family``, ``column``, split (``seed``) and pre-training (``weights_seed``), with
        ``validation_f1``.

    Returns
    -------
    DataFrame
        The rows of the picks, all pre-trainings of each; ``picked`` is the recipe. Of equal recipes the first is picked.
    """
    parts = []
    for (family, _, _), part in members.groupby(["family", "column", "seed"], sort=False):
        means = part.groupby("row", sort=False)["validation_f1"].mean()
        pick = str(means.idxmax())
        name = f"{family}, best of {len(means)} by validation"
        parts.append(part[part["row"] == pick].assign(row=name, picked=pick))
    return pd.concat(parts, ignore_index=True)


def _grid(options: GridOptions, name: str) -> list[PretrainRecipe]:
    """The recipes of a family; a grid with ``=`` is text of TOML."""
    import tomllib

    recipe = PretrainRecipe.load(name).set(*options.changes)
    grid = options.grid or ("baselines-simclr" if name == "simclr-har" else "baselines")
    try:
        return expand(recipe, tomllib.loads(grid) if "=" in grid else grid)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"grid: expected a name, a file or text of TOML, got {grid!r}: {error}") from error


def _source(setup: Setup[GridOptions], encoder: Any) -> FeatureSource:
    return EncoderSource(encoder, pictures=setup.options.pictures(), device=setup.device)


def _member(
    setup: Setup[GridOptions], recipe: PretrainRecipe, name: str, windows: Windows, used: bool, altered: Any
) -> tuple[pd.DataFrame, Run]:
    """The scores of one recipe on a set, over its seeds of pre-training, and the last run."""
    options = setup.options
    if recipe.source.name == "windows":
        data: Any = options.signals or (windows if setup.tiny else "")
        option = "signals=NAME=PATH"
        sets = [f"source.window_s={windows.window_s}", f"source.rate_hz={windows.rate}"]
        sets += [f"source.subjects={options.subjects}"] if used else []
    else:
        data, option, sets = options.images, "images=PATH", []
        data = data or (str(made_up_pictures(setup.runs_folder)) if setup.tiny else "")
    if not isinstance(data, Windows) and not data:
        raise ValueError(f"data: expected --set {option} for recipe {recipe.name}, got none")
    expect_effect(options.changes, [*sets, "training.seed="])
    parts = []
    for seed in range(options.pretrain_seeds):
        placed = recipe.set(*sets, f"training.seed={seed}")
        run = pretrain_once(setup, f"{recipe.name}, seed {seed} ({name})", placed, data)
        table = judge_row(setup, recipe.name, [(seed, _source(setup, run.load_encoder()))], windows, altered=altered)
        parts.append(table)
        setup.say(f"{name}: {recipe.name}, seed {seed}: macro-F1 on validation {table['validation_f1'].mean():.3f}")
    return pd.concat(parts, ignore_index=True), run
