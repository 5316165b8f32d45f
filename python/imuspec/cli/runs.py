"""What several commands share about a run: its encoder, the windows that it takes, the people that it has seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imuspec.cli import output

if TYPE_CHECKING:
    from imuspec.datasets import DatasetReference, Windows
    from imuspec.datasets.sequences import PatchSequences
    from imuspec.encoders import Encoder

__all__ = [
    "encoder_kind",
    "facts_of",
    "is_model",
    "of_patches",
    "patch_encoder",
    "refuse_settings",
    "unseen",
    "unseen_sequences",
    "window_encoder",
    "windows_for",
]


def windows_for(reference: DatasetReference, run: str, unseen_by: str | None = None) -> Windows:
    """Load the windows of a data set; a run that was pre-trained on windows determines their length and rate."""
    from imuspec.run.named import window_form

    if unseen_by is not None and not (Path(unseen_by) / "source.json").is_file():
        raise FileNotFoundError(f"unseen_by: expected the folder of a pre-training run, got {unseen_by!r}")
    form = window_form(run)
    taken = form or (window_form(unseen_by) if unseen_by else None)
    windows = reference.windows() if taken is None else reference.windows(window_s=taken[0], rate=taken[1])
    if form is not None and (abs(windows.window_s - form[0]) > 1.0 / form[1] or abs(windows.rate / form[1] - 1) > 1e-6):
        output.note(
            f"{run}: trained on windows of {form[0]:g} s at {form[1]:g} Hz, gets {windows.window_s:g} s at "
            f"{windows.rate:g} Hz, as --data states"
        )
    return windows


def unseen(windows: Windows, run: str) -> tuple[Windows, str]:
    """Return the windows of people that the run was not pre-trained on, and a note; all windows if it saw every person."""
    import numpy as np

    subjects = np.unique(windows.subject).tolist()
    left_out, note = _seen_subjects(run, windows.name, windows.people, subjects)
    return windows.select(~np.isin(windows.subject, left_out)) if left_out else windows, note


def _seen_subjects(run: str, name: str, people: Sequence[str], subjects: Sequence[Any]) -> tuple[list[Any], str]:
    """Return the subjects that a run, or what it was made of, was trained on, and notes; none if no other would remain."""
    from imuspec.probing.unseen import subjects_seen
    from imuspec.run.named import all_people_seen

    left_out: list[Any] = []
    notes: list[str] = []
    for seen in all_people_seen(run):
        rest = [subject for subject in subjects if subject not in left_out]
        more, note = subjects_seen(run, seen, name=name, people=people, subjects=rest)
        left_out += more
        notes += [note] if note else []
    return left_out, "; ".join(notes)


def window_encoder(run: str, windows: Windows, say: Callable[[str], None]) -> Encoder:
    """Load a frozen encoder of windows; an encoder that also takes a gyroscope gets zeros, with a note."""
    from imuspec.encoders.fusion import AccelerationAlone
    from imuspec.run.named import load_encoder

    encoder = load_encoder(run)
    if getattr(encoder, "n_axes", 3) != 6 or windows.x.shape[1] != 3:
        return encoder
    say(f"{run}: takes six axes, {windows.name} has only acceleration: the gyroscope axes are zero")
    return AccelerationAlone(encoder)


def of_patches(run: str, head: str | None) -> bool:
    """Whether a probe is of patches, which the head or the encoder of the run determines.

    Raises
    ------
    ValueError
        If the head takes patches, and the run is an encoder of pictures or none.
    """
    if head in ("lstm", "mlp"):
        if run in ("random", "imagenet", "efficientnet-lite0", "statistics", "supervised"):
            raise ValueError(
                f"head: expected linear or logistic for {run}, got {head}, a head for patches; random:RUN with a run of "
                "mae-... is an encoder of patches with its initial random weights"
            )
        if encoder_kind(run) == "image":
            raise ValueError(f"head: expected linear or logistic for {run}, an encoder of pictures, got {head}")
        return True
    from imuspec.storage import read_json

    described = Path(run.removeprefix("random:")) / "encoder.json"
    return described.is_file() and read_json(described).get("name") == "roformer"


def is_model(run: str | Path) -> bool:
    """Return whether a name is the folder of a model of ``imuspec fit``."""
    return (Path(run) / "classifier.json").is_file()


def encoder_kind(run: str) -> str:
    """Return image or signal for an encoder, and statistics or supervised for these words."""
    if run in ("statistics", "supervised"):
        return run
    from imuspec.run.named import load_encoder

    return load_encoder(run).kind


def refuse_settings(run: str, used: tuple[str, ...], assignments: list[str] | None) -> None:
    """Raise an error for a setting of a recipe that would have no effect.

    Parameters
    ----------
    run : str
        Name of the encoder, for the message.
    used : tuple of str
        Sections, as pictures, and fields, as pictures.norm, that are used.
    assignments : list of str or None
        ``SECTION.FIELD=VALUE`` each.
    """
    for assignment in assignments or ():
        key = assignment.partition("=")[0].strip()
        section = key.partition(".")[0]
        if section in ("split", "pictures", "head", "patches", "tuning") and not {key, section} & set(used):
            raise ValueError(f"set: expected settings that {run} uses ({', '.join(used) or 'none'}), got {key}")


def patch_encoder(run: str) -> Encoder:
    """Load a frozen encoder of patches; ``random`` is one with initial random weights."""
    import torch

    from imuspec import encoders
    from imuspec.run.named import load_encoder

    if run == "random":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return encoders.build("roformer").eval()
    return load_encoder(run)


def facts_of(run: str) -> dict[str, Any]:
    """Return name, digest and description of a run, for a model card, and the people that it has seen.

    The path of its folder is left out.
    """
    from imuspec.run.named import all_people_seen, weights_digest

    about = {
        "statistics": "hand-crafted statistics of the window",
        "random": "ResNet-18 with random weights",
        "imagenet": "torchvision's ResNet-18, trained on ImageNet",
    }
    kind, colon, folder = run.rpartition("random:")
    name = Path(folder).name if Path(folder).exists() else run
    facts: dict[str, Any] = {"name": f"{colon}{name}" if not kind else run, "digest": weights_digest(run)}
    if run in about:
        return {**facts, "about": about[run]}
    seen = [] if run.startswith("random:") else [each for each in all_people_seen(run) if each.people]
    return {**facts, "people": [each.as_json() for each in seen]} if seen else facts


def unseen_sequences(reference: DatasetReference, run: str) -> tuple[PatchSequences, str]:
    """Load labelled stretches without the people that the run was pre-trained on, and a note."""
    from imuspec.datasets import people_of

    sequences = reference.sequences()
    people = people_of(reference.loader, reference.path)
    left_out, note = _seen_subjects(run, reference.label, people, sequences.subjects)
    return sequences.select([name for name in sequences.subjects if name not in left_out]), note
