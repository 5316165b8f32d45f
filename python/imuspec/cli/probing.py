"""Command: probe, which scores frozen features on labelled data."""

from __future__ import annotations

import json as encoder
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

from cyclopts import Parameter

from imuspec.cli import output
from imuspec.cli.app import SEVERAL, command
from imuspec.cli.runs import (
    encoder_kind,
    facts_of,
    of_patches,
    patch_encoder,
    refuse_settings,
    unseen,
    unseen_sequences,
    window_encoder,
    windows_for,
)
from imuspec.errors import expect_once, require
from imuspec.storage import write_atomically

if TYPE_CHECKING:
    from rich.table import Table

    from imuspec.datasets import Split, Windows
    from imuspec.datasets.sequences import PatchSequences
    from imuspec.probing import ProbeResult
    from imuspec.probing.patch_heads import HeadName
    from imuspec.recipe import ProbeRecipe

__all__ = ["probe", "probe_recipe"]

LEAST_STEPS = 2000  # of a head that is fitted on few windows of patches
_NAMES = ("macro_f1", "balanced_accuracy", "kappa", "accuracy")


@command
def probe(
    run: str,
    /,
    *,
    data: str,
    out: Path | None = None,
    recipe: str | None = None,
    shots: Annotated[list[int] | None, SEVERAL] = None,
    seeds: int | None = None,
    norm: str | None = None,
    layer: Annotated[list[str] | None, SEVERAL] = None,
    head: str | None = None,
    test_subjects: str | None = None,
    unseen_by: str | None = None,
    device: str = "cpu",
    keep: bool = False,
    assignments: Annotated[list[str] | None, Parameter(name="--set", consume_multiple=False)] = None,
    json: bool = False,
) -> int:
    """Score a frozen encoder with few labels: compute its features once, fit heads on them, report scores with intervals.

    An option that has no effect for the run is an error.

    Parameters
    ----------
    run : str
        The folder of a run; random:FOLDER (the same architecture with its initial random weights); random (a ResNet-18);
        imagenet; efficientnet-lite0; a weights file of torchvision; statistics (hand-crafted features with logistic
        regression); or supervised (a ResNet-18 trained on all labels). People that the run was pre-trained on are left out.
    data : str
        NAME=PATH[,setting=value,...]: a data set, its path, and settings of its reader, windows and splits; see imuspec
        datasets. For a run of mae-..., capture24=FOLDER reads the official files.
    out : Path, optional
        Folder for the tables, figures and recipe; by default probe/NAME-RUN.
    recipe : str, optional
        The name of a probe recipe, or the path of a TOML file; by default linear.
    shots : list of int, optional
        Labelled windows per class. Can be given more than once.
    seeds : int, optional
        Number of seeds, counted from 0; by default 5. Each seed has its own split, draw of windows and head.
    norm : str, optional
        Normalisation of the pictures: axis-window (as in the paper), joint-window, fixed or dataset.
    layer : list of str, optional
        last, or an inner layer, as layer1; layer1.bands averages within six frequency bands; last+moments adds the mean of each
        axis with its sign and the log of its deviation. Can be given more than once.
    head : str, optional
        linear, or logistic (on standardised features); by default logistic for statistics, linear otherwise. A run of mae-...
        takes linear, logistic, mlp or lstm, on every ten seconds of the labelled recordings, in windows of fifty minutes, with
        subjects split 80:20.
    test_subjects : str, optional
        Test subjects of every draw, separated by commas; or official, the nine of HAPT and UCI HAR.
    unseen_by : str, optional
        Leave out the people of this run too, so that statistics are scored on the same people as the run.
    device : str, default "cpu"
        Device that runs the encoder, as cpu or cuda.
    keep : bool, default False
        Also write each head as a model of imuspec predict, to OUT/models/LAYER-LABELS-seedSEED.
    assignments : list of str, optional
        SECTION.FIELD=VALUE: any other setting of the recipe. Can be given more than once.
    json : bool, default False
        Print JSON, for programs.
    """
    output.begin(json=json)
    for package in ("torch", "sklearn", "pandas"):
        require("imuspec probe", package)
    require("imuspec probe", "matplotlib")
    from imuspec.datasets import DatasetReference
    from imuspec.run.named import checked_device

    if seeds is not None and seeds < 1:
        raise ValueError(f"seeds: expected at least 1, got {seeds}")
    checked_device(device)
    reference = DatasetReference.parse(data)
    options = {
        "recipe": recipe,
        "shots": shots,
        "norm": norm,
        "layer": layer,
        "head": head,
        "test-subjects": test_subjects,
        "unseen-by": unseen_by,
        "device": None if device == "cpu" else device,
        "keep": keep or None,
        "set": assignments,
    }
    facts: dict[str, Any] = {"run": run, "data": str(reference), **{k: v for k, v in options.items() if v is not None}}
    name = f"{reference.label}-{'random-' if run.startswith('random:') else ''}{Path(run.removeprefix('random:')).name}"
    if of_patches(run, head):
        _refuse(options, ("head", "device"), f"{run}, an encoder of patches")
        chosen = head or "linear"
        target = out or Path("probe") / f"{name}-{chosen}"
        sequences, note = unseen_sequences(reference, run)
        facts |= {"people": note, "sequences": repr(sequences)}
        output.say(repr(sequences))
        if note:
            output.say(note)
        result = _probe_patches(run, sequences, chosen, seeds or 5, device, output.say, target)
        _write(target, result, reference.label, facts)
    else:
        kind = encoder_kind(run)
        _refuse(options, _used(kind), run)
        refuse_settings(run, _settings_used(kind, head), assignments)
        settings = probe_recipe(run, recipe or "linear", shots, seeds, norm, assignments)
        windows = windows_for(reference, run, unseen_by)
        windows, note = unseen(windows, run)
        if unseen_by:
            windows, more = unseen(windows, unseen_by)
            note = "; ".join(text for text in (note, more) if text)
        facts |= {"people": note, "windows": repr(windows), "window_settings": dict(windows.settings)}
        output.say(repr(windows))
        if note:
            output.say(note)
        split = _split(windows, test_subjects)
        target = out or Path("probe") / name
        models = target / "models"
        if keep and models.exists():
            raise FileExistsError(f"keep: expected no folder {models}, got one")
        result = _probe(run, windows, settings, layer, head, split, device, output.say)
        _write(target, result, reference.label, facts)
        write_atomically(target / "recipe.json", settings.to_json().encode())
        if keep:
            _keep(run, windows, result, settings, head, models)
    if json:
        output.emit({**facts, "out": str(target), "scores": result.summary().to_dict("records")})
    output.show(
        _table(result, f"{reference.label}: {run} (mean ± sd over seeds, 95 % interval of the mean of macro F1)")
    )
    output.say(f"{reference.label}: {result.evidence()}")
    output.say(f"tables, figures and recipe: {target}")
    return 0


def _refuse(options: dict[str, Any], used: tuple[str, ...], run: str) -> None:
    """Raise ValueError for an option that would have no effect."""
    for option, value in options.items():
        if value is not None and option not in used:
            expected = ", ".join(f"--{name}" for name in ("data", "out", "seeds", *used))
            raise ValueError(f"{option}: expected options that {run} uses ({expected}), got --{option}")


def _used(kind: str) -> tuple[str, ...]:
    """Return the options that a probe of windows uses beside data, out and seeds."""
    shared = ("recipe", "test-subjects", "unseen-by", "set")
    if kind == "statistics":
        return ("shots", "head", "keep", *shared)
    if kind == "supervised":
        return ("norm", "device", *shared)
    pictures = ("norm", "layer") if kind == "image" else ("layer",)
    return ("shots", "head", "device", "keep", *pictures, *shared)


def _settings_used(kind: str, head: str | None) -> tuple[str, ...]:
    """Return the sections, and the fields, of a recipe that a probe of windows uses."""
    if kind == "supervised":
        splits = ("split.seeds", "split.max_validation", "split.max_test")
        return (*splits, "pictures.norm", "pictures.range_db", "pictures.size")
    chosen = head or ("logistic" if kind == "statistics" else "linear")
    used = ["split", *(["pictures"] if kind == "image" else []), *(["head"] if chosen != "logistic" else [])]
    return tuple(used)


def probe_recipe(
    run: str, recipe: str, shots: list[int] | None, seeds: int | None, norm: str | None, assignments: list[str] | None
) -> ProbeRecipe:
    """Return the recipe with the options of the command; pictures have the size that the run was pre-trained on."""
    from imuspec.recipe import ProbeRecipe
    from imuspec.run.named import picture_size

    size = picture_size(run)
    chosen = ProbeRecipe.load(recipe).set(*([f"pictures.size={list(size)}"] if size else []))
    changes = [f"split.shots={sorted(shots)}"] if shots else []
    changes += [f"split.seeds={list(range(seeds))}"] if seeds else []
    changes += [f"pictures.norm={norm}"] if norm else []
    return chosen.set(*changes, *(assignments or []))


def _split(windows: Windows, test_subjects: str | None) -> Callable[[Windows, int], Split]:
    import numpy as np

    from imuspec.datasets import explicit_split, subject_split
    from imuspec.datasets.hapt import OFFICIAL_TEST_SUBJECTS
    from imuspec.datasets.leaks import groups_of

    if test_subjects is None:
        return subject_split
    if test_subjects == "official":
        if "hapt" not in windows.people:
            raise ValueError(f"test-subjects: expected the people of HAPT and UCI HAR for official, got {windows.name}")
        named = list(OFFICIAL_TEST_SUBJECTS)
    else:
        texts = [text.strip() for text in test_subjects.split(",")]
        expect_once("test-subjects", texts)
        known = {str(member): member for member in np.unique(groups_of(windows, windows.split_by)).tolist()}
        if absent := [text for text in texts if text not in known]:
            unit = f"{windows.split_by}s"
            raise ValueError(f"test-subjects: expected {unit} that have windows, got {', '.join(absent) or 'none'}")
        named = [known[text] for text in texts]

    def split(windows: Windows, seed: int) -> Split:
        return explicit_split(windows, test=named, seed=seed)

    return split


def _probe(
    run: str,
    windows: Windows,
    recipe: ProbeRecipe,
    layers: list[str] | None,
    head: str | None,
    split: Callable[[Windows, int], Split],
    device: str,
    say: Callable[[str], None],
) -> ProbeResult:
    from imuspec import probing
    from imuspec.run.named import load_encoder

    parts, pictures = recipe.split, recipe.pictures
    limits: dict[str, Any] = {"max_validation": parts.max_validation, "max_test": parts.max_test, "seeds": parts.seeds}
    if run == "supervised":
        picture = {"nfft": 128, "noverlap": 120, **pictures.model_dump(include={"norm", "range_db", "size"})}
        return probing.supervised(
            lambda seed, _: load_encoder("random", seed=seed),
            windows,
            picture=picture,
            split=split,
            device=device,
            say=say,
            **limits,
        )
    source: probing.FeatureSource
    if run == "statistics":
        source = probing.StatisticsSource(windows.rate)
    else:
        encoder = window_encoder(run, windows, say)
        source = probing.EncoderSource(encoder, pictures=pictures, layers=layers or ["last"], device=device)
    return probing.probe(
        source,
        windows,
        shots=parts.shots,
        head=head or ("logistic" if run == "statistics" else "linear"),
        settings=recipe.head,
        split=split,
        say=say,
        **limits,
    )


def _probe_patches(
    run: str,
    sequences: PatchSequences,
    head: str,
    n_seeds: int,
    device: str,
    say: Callable[[str], None],
    target: Path,
) -> ProbeResult:
    """Probe an encoder of patches; the features are stored in the target folder, so that a later probe can use them."""
    if head not in ("linear", "logistic", "mlp", "lstm"):
        raise ValueError(f"head: expected linear, logistic, mlp or lstm for an encoder of patches, got {head!r}")
    from imuspec.probing import PatchHeadSettings, embed_patches, probe_patches

    encoder = patch_encoder(run)
    result = probe_patches(
        lambda part, stride: embed_patches(encoder, part, stride=stride, device=device, cache=target / "features"),
        sequences,
        PatchHeadSettings(head=cast("HeadName", head), least_steps=LEAST_STEPS),
        seeds=range(n_seeds),
        device=device,
        say=say,
    )
    if head == "lstm":
        say("the best epoch is chosen on the test part, as in the paper")
    return result


def _write(target: Path, result: ProbeResult, name: str, facts: dict[str, Any]) -> None:
    """Write the tables, figures and facts of a probe."""
    import pandas as pd

    from imuspec.evaluation import write_table
    from imuspec.evaluation.comparison import MEMBERS
    from imuspec.report.scores import confusion_figure, curve_figure
    from imuspec.report.style import save

    target.mkdir(parents=True, exist_ok=True)
    write_table(result.table.drop(columns=MEMBERS), target / "seeds")  # probe.json has the members once for each seed
    write_table(result.summary(), target / "summary")
    write_table(result.per_class(), target / "per_class")
    for layer, shots, test in dict.fromkeys(
        zip(result.table["layer"], result.table["shots"], result.table["test"], strict=True)
    ):
        confusion = result.confusion(layer, int(shots), test)
        title = f"{name}, {layer}, {shots or 'all'} labels per class, {len(set(result.table['seed']))} draws"
        stem = f"confusion-{layer}-{shots}-{test}"
        counts = pd.DataFrame(confusion, result.class_names, result.class_names)
        write_table(counts.reset_index(names="truth"), target / stem)
        for kind in ("png", "svg"):
            save(confusion_figure(confusion, result.class_names, title), target / f"{stem}.{kind}")
    if result.table["shots"].nunique() > 1:
        curves = result.summary().rename(columns={"layer": "row", "macro_f1": "value", "macro_f1_sd": "sd"})
        figure = curve_figure(curves.assign(column=name), x="shots", xlabel="labelled windows per class")
        for kind in ("png", "svg"):
            save(figure, target / f"shots.{kind}")
    splits = {str(seed): members for seed, members in result.members.items()}
    probe = encoder.dumps({**facts, "splits": splits}, indent=1, default=str)
    write_atomically(target / "probe.json", f"{probe}\n".encode())


def _keep(run: str, windows: Windows, result: ProbeResult, recipe: ProbeRecipe, head: str | None, models: Path) -> None:
    from imuspec.prediction.probed import save_heads

    encoder = None if run == "statistics" else window_encoder(run, windows, lambda _: None)
    kind = head or ("logistic" if run == "statistics" else "linear")
    folders = save_heads(result, windows, encoder, recipe, models, head=kind, source=facts_of(run))
    output.say(f"{len(folders)} models: {models}")


def _table(result: ProbeResult, title: str) -> Table:
    from rich.table import Table
    from rich.text import Text

    from imuspec.evaluation import mean_interval, mean_sd

    scores = [name.replace("_", " ") for name in _NAMES]
    table = Table("layer", "labels per class", "seeds", scores[0], "95 % interval", *scores[1:], title=title)
    for (layer, *_), part in result.table.groupby(["layer", "shots", "test"], sort=False):
        shots = int(part["shots"].iloc[0])
        figures = [mean_sd(part[name]) for name in _NAMES]
        shown = [f"{mean:.3f} ± {sd:.3f}" if len(part) > 1 else f"{mean:.3f}" for mean, sd in figures]
        low, high = mean_interval(part)
        shown.insert(1, "-" if math.isnan(low) else f"[{low:.3f}, {high:.3f}]")
        required, least = shots * len(result.class_names), part["n_train"].min()
        labels = f"{shots}, in all {least} of {required}" if least < required else str(shots or "all")
        table.add_row(str(layer), labels, str(len(part)), *map(Text, shown))
    return table
