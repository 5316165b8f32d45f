"""Command: embed, which writes the features of a frozen encoder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from imuspec.cli import output
from imuspec.cli.app import Many, command, existing, finished, open_cohort
from imuspec.cli.probing import probe_recipe
from imuspec.cli.runs import encoder_kind, is_model, refuse_settings, window_encoder, windows_for
from imuspec.errors import require
from imuspec.storage import atomic_path

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from imuspec.datasets import DatasetReference, Windows

__all__ = ["embed"]

# Frame and hop are options of the command.
_PICTURES = ("pictures.norm", "pictures.range_db", "pictures.size")


@command
def embed(
    run: str,
    /,
    *,
    data: str,
    out: str,
    nfft: int | None = None,
    hop: int | None = None,
    norm: str | None = None,
    layer: str | None = None,
    device: str = "cpu",
    assignments: Annotated[list[str] | None, Parameter(name="--set", consume_multiple=False)] = None,
    json: bool = False,
    many: Many | None = None,
) -> int:
    """Write the embedding of every window of a data set, with its label, subject and position, or of the wear of a cohort.

    A cohort is embedded in parallel, on processes or a cluster. The folder --out then gets a table for each recording, with
    one row for every ten seconds of wear (or every window_s). imuspec cohort status and verify work on this folder.

    Parameters
    ----------
    run : str
        As for imuspec probe: the folder of a run, random:FOLDER, random, imagenet, a weights file, or statistics. A cohort
        also takes a run of mae-.... A model of imuspec fit gives what its head takes, from its own pictures and layer.
    data : str
        NAME=PATH[,setting=value,...]: the data set, its path, and settings of its reader and windows; or
        cohort=PATH[,window_s=SECONDS]: the folder or s3:// URL of a cohort.
    out : str
        The file to write: .npz, or .parquet with one column per feature. For a cohort: a folder.
    nfft : int, optional
        Samples per spectrogram frame of the pictures; by default 128.
    hop : int, optional
        Samples from one spectrogram frame to the next; by default 8.
    norm : str, optional
        Normalisation of the pictures: axis-window (as in the paper), joint-window, fixed or dataset.
    layer : str, optional
        last, or the name of an inner layer; by default last.
    device : str, default "cpu"
        Device that runs the encoder, as cpu or cuda.
    assignments : list of str, optional
        pictures.FIELD=VALUE: any other setting of the pictures. Can be given more than once.
    json : bool, default False
        Print JSON, for programs.
    many : Many, optional
        Options of a run over many recordings.
    """
    output.begin(json=json)
    require("imuspec embed", "torch")
    from imuspec import probing
    from imuspec.datasets import DatasetReference
    from imuspec.run.named import checked_device, weights_digest

    checked_device(device)
    weights_digest(run)  # a run that does not exist is refused before the data are read
    reference = DatasetReference.parse(data)
    options: dict[str, Any] = {
        "nfft": nfft,
        "hop": hop,
        "norm": norm,
        "layer": layer,
        "device": device if device != "cpu" else None,
    }
    if is_model(run):
        options["set"] = assignments or None
        return _embed_fitted(run, reference, out, options, many or Many(), json=json)
    _refuse(run, options)
    refuse_settings(run, _PICTURES if encoder_kind(run) == "image" else (), assignments)
    frames = {"nfft": 128 if nfft is None else nfft, "hop": 8 if hop is None else hop}
    layer = "last" if layer is None else layer
    if reference.loader == "cohort":
        if device != "cpu":
            raise ValueError(f"device: expected cpu with a cohort, got {device}")
        pictures = probe_recipe(run, "linear", None, None, norm, assignments).pictures
        settings = {**frames, "layer": layer, "pictures": pictures.model_dump_json()}
        return _embed_cohort(run, reference, out, settings, many or Many(), json=json)
    if many not in (None, Many()):
        raise ValueError(f"data: expected cohort=PATH with options of workers and engines, got {data}")
    _check_name(Path(out))
    pictures = probe_recipe(run, "linear", None, None, norm, assignments).pictures
    windows = windows_for(reference, run)
    if run == "statistics":
        features = probing.StatisticsSource(windows.rate).features(windows.x, {})["statistics"]
    else:
        encoder = window_encoder(run, windows, output.note)
        source = probing.EncoderSource(encoder, pictures=pictures, layers=[layer], device=device)
        features = source.features(windows.x, frames)[layer]
    return _written(Path(out), features, windows, json=json)


def _embed_fitted(
    run: str, reference: DatasetReference, out: str, options: dict[str, Any], many: Many, *, json: bool
) -> int:
    """Write what the head of a model of imuspec fit takes, from the model's own windows, pictures and layer."""
    from imuspec.prediction import load

    of_cohort = reference.loader == "cohort"
    options |= {"workers and engines": None if of_cohort or many == Many() else many}
    options |= {"window_s": reference.settings.get("window_s") if of_cohort else None}
    for name, value in options.items():
        if value is not None:
            raise ValueError(f"{name}: expected no option that the model {run} has itself, got one")
    if of_cohort:
        return _embed_cohort(run, reference, out, {"fitted": True}, many, json=json)
    _check_name(Path(out))
    model = load(run)
    if model.front.kind == "patches":
        raise ValueError(f"run: expected a model of windows for a labelled set, got {model!r}")
    windows = reference.windows(window_s=model.front.window_s, rate=model.front.rate_hz)
    return _written(Path(out), model.embed(windows.x), windows, json=json)


def _check_name(out: Path) -> None:
    if out.suffix not in (".npz", ".parquet"):
        raise ValueError(f"out: expected a name that ends in .npz or .parquet, got {out}")


def _written(out: Path, features: NDArray[np.float32], windows: Windows, *, json: bool) -> int:
    """Write features, and print what was written."""
    _write_features(out, features, windows)
    if json:
        output.emit(
            {"path": str(out), "data": windows.name, "n_windows": features.shape[0], "n_features": features.shape[1]}
        )
    output.say(f"{out}: {features.shape[0]} windows of {windows.name}, {features.shape[1]} features")
    return 0


def _refuse(run: str, options: dict[str, Any]) -> None:
    """Raise ValueError for an option that would have no effect."""
    kind = encoder_kind(run)
    used = {"image": tuple(options), "signal": ("layer", "device")}.get(kind, ())
    for name, value in options.items():
        if value is not None and name not in used:
            raise ValueError(f"{name}: expected options that {run} uses ({', '.join(used) or 'none'}), got --{name}")


def _embed_cohort(
    run: str, cohort: DatasetReference, out: str, settings: dict[str, Any], many: Many, *, json: bool
) -> int:
    from imuspec.cli.console import RunDisplay
    from imuspec.cluster import compute
    from imuspec.prediction import load
    from imuspec.prediction.cohort import CohortEmbedding
    from imuspec.run.named import load_encoder, weights_digest, window_form

    window_s = _window_s(cohort)
    stored = open_cohort(existing(cohort.path)).recipe.resample.rate_hz
    # an error in the run is raised once, not for each recording
    if settings.get("fitted"):
        front = load(run).front
        long, rate = front.window_s, front.rate_hz
    else:
        encoder = None if run == "statistics" else load_encoder(run)
        if hasattr(encoder, "patch") and (window_s is not None or settings["layer"] != "last"):
            option = f"--layer {settings['layer']}" if window_s is None else cohort
            raise ValueError(f"run: expected an encoder of windows for window_s and layers, got {run} with {option}")
        long, rate = window_form(run) or (10.0, stored)
    if rate != stored:
        raise ValueError(f"run: expected one pre-trained or fitted at the cohort's {stored:g} Hz, got {rate:g} Hz")
    kind, colon, folder = run.rpartition("random:")
    named = f"{colon}{Path(folder).absolute()}" if Path(folder).exists() and not kind else run
    work = CohortEmbedding(named, weights_digest(run), window_s=window_s or long, **settings)
    with RunDisplay(doing="embedding") as display:
        summary = compute(cohort.path, out, work, progress=display.update, **many.options())
    return finished(summary, json=json)


def _window_s(cohort: DatasetReference) -> float | None:
    """Return the length of the windows, the only setting that a cohort takes."""
    length: float | None = None
    for key, text in cohort.settings.items():
        try:
            length = float(text) if key == "window_s" else 0.0
        except ValueError:
            length = 0.0
        if not 0 < length < float("inf"):
            raise ValueError(f"data: expected cohort=PATH[,window_s=SECONDS], got {key}={text}")
    return length


def _write_features(out: Path, features: Any, windows: Windows) -> None:
    import numpy as np

    columns: dict[str, Any] = {
        "label": windows.label,
        "class": np.asarray(windows.class_names)[windows.label],
        "subject": windows.subject,
        "recording": windows.recording,
        "start_s": windows.start_s,
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix == ".npz":
        with atomic_path(out) as waiting:
            np.savez_compressed(waiting, features=features, class_names=np.asarray(windows.class_names), **columns)
        return
    import pyarrow as pa
    from pyarrow import parquet

    table = pa.table({**columns, **{f"feature_{i}": features[:, i] for i in range(features.shape[1])}})
    with atomic_path(out) as waiting:
        parquet.write_table(table, waiting)
