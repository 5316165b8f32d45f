"""A Run: the folder of one training, with its recipe, metrics, checkpoints and encoder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from imuspec.errors import require
from imuspec.recipe import NamedRecipe
from imuspec.storage import atomic_path, read_json, remove_partial, write_atomically

if TYPE_CHECKING:
    from torch import nn

    from imuspec.encoders import Encoder

__all__ = ["Run"]

R = TypeVar("R", bound=NamedRecipe)


class Run:
    """The folder of one training.

    ``recipe.json`` holds every number of the recipe, ``metrics.jsonl`` a line for each logged step, ``checkpoints/last.pt``
    the state that a resumed training needs, ``encoder.json`` and ``encoder.safetensors`` the name, settings and weights of
    the encoder. Lines are added to ``metrics.jsonl``. Every other file is written under a temporary name and renamed, so
    that it is complete or absent.

    Parameters
    ----------
    path : str or Path
        The folder, which need not exist yet.

    Examples
    --------
    >>> import tempfile
    >>> run = Run(tempfile.mkdtemp())
    >>> run.log(step=1, loss=0.5)
    >>> run.metrics()
    [{'step': 1, 'loss': 0.5}]
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @property
    def checkpoint_path(self) -> Path:
        """Path of the newest checkpoint, which need not exist yet."""
        return self.path / "checkpoints" / "last.pt"

    @property
    def has_encoder(self) -> bool:
        """Whether the run has an encoder. A training writes it with each checkpoint."""
        return (self.path / "encoder.json").is_file()

    def begin(self, recipe: NamedRecipe, *, resume: bool = False) -> None:
        """Create the folder and write the recipe. To resume, compare the recipe with the stored one.

        Parameters
        ----------
        recipe : NamedRecipe
            The recipe of the training.
        resume : bool, default False
            Whether the folder may hold a training.

        Raises
        ------
        FileExistsError
            If the folder holds a training and `resume` is false.
        ValueError
            If the stored recipe has other numbers. The message names them.
        """
        stored = self.path / "recipe.json"
        if stored.exists() and not resume:
            raise FileExistsError(
                f"run {self.path}: expected a new folder, got one with a training: resume it, or remove it"
            )
        if stored.exists():
            differences = _differences(read_json(stored), json.loads(recipe.to_json()))
            if differences:
                raise ValueError(
                    f"run {self.path}: expected the recipe that the run started with, got {'; '.join(differences)}"
                )
            for folder in (self.path, self.checkpoint_path.parent):
                remove_partial(folder)
            return
        self.write_text("recipe.json", recipe.to_json())

    def recipe(self, kind: type[R]) -> R:
        """Return the recipe of the run.

        Parameters
        ----------
        kind : type
            Class of the recipe, such as `imuspec.recipe.PretrainRecipe`.
        """
        return kind.load(self.path / "recipe.json")

    def log(self, **metrics: float | int | str) -> None:
        """Add a line to ``metrics.jsonl``.

        Parameters
        ----------
        **metrics : float, int or str
            Name -> value.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(metrics) + "\n")

    def metrics(self) -> list[dict[str, Any]]:
        """Return the lines of ``metrics.jsonl``, without a last line that a crash left incomplete."""
        path = self.path / "metrics.jsonl"
        if not path.exists():
            return []
        whole = path.read_text("utf-8").rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    def truncate_metrics(self, step: int) -> None:
        """Remove the lines of ``metrics.jsonl`` after a step, as a training that resumes there writes them again.

        Parameters
        ----------
        step : int
            Last step to keep.
        """
        remaining = [line for line in self.metrics() if line.get("step", 0) <= step]
        if (self.path / "metrics.jsonl").exists():
            self.write_text("metrics.jsonl", "".join(json.dumps(line) + "\n" for line in remaining))

    def save_checkpoint(self, state: Mapping[str, Any]) -> None:
        """Replace the newest checkpoint.

        Parameters
        ----------
        state : mapping of str to object
            Tensors, numbers, text, and lists and dictionaries of them.
        """
        import torch

        self.checkpoint_path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(self.checkpoint_path) as path:
            torch.save(dict(state), path)

    def load_checkpoint(self) -> dict[str, Any] | None:
        """Return the newest checkpoint, with tensors on the CPU; None if there is no checkpoint.

        Raises
        ------
        ValueError
            If the file is not a checkpoint, or has objects other than those of `save_checkpoint`.
        """
        import torch

        if not self.checkpoint_path.is_file():
            return None
        try:
            state = torch.load(self.checkpoint_path, map_location="cpu", weights_only=True)
        except Exception as error:
            reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
            raise ValueError(f"{self.checkpoint_path}: expected a checkpoint, got {reason}") from error
        return dict(state)

    def save_encoder(self, encoder: nn.Module) -> None:
        """Save an encoder: its weights as safetensors, its name and settings as JSON.

        Parameters
        ----------
        encoder : Encoder
            An encoder that `imuspec.encoders.build` returned.

        Raises
        ------
        ValueError
            If the encoder has no ``spec`` because it was built in another way.
        """
        from safetensors.torch import save_file

        from imuspec.encoders import Encoder

        if not isinstance(encoder, Encoder) or encoder.spec is None:
            raise ValueError(
                f"encoder: expected one that encoders.build returned, got a {type(encoder).__name__} without spec"
            )
        weights = {key: value.detach().cpu().contiguous() for key, value in encoder.state_dict().items()}
        self.path.mkdir(parents=True, exist_ok=True)
        with atomic_path(self.path / "encoder.safetensors") as path:
            save_file(weights, path)
        spec = {"name": encoder.spec.name, "settings": dict(encoder.spec.settings)}
        self.write_text("encoder.json", json.dumps(spec, indent=2) + "\n")

    def load_encoder(self) -> Encoder:
        """Return the encoder of the run, in eval mode, on the CPU.

        Raises
        ------
        FileNotFoundError
            If the run has no encoder.
        ValueError
            If the weights do not fit the encoder that ``encoder.json`` names.
        """
        require("an encoder", "torch")
        from imuspec import encoders

        encoder = self._untrained()
        encoders.load_weights(encoder, self.path / "encoder.safetensors")
        return encoder.eval()

    def random_encoder(self, *, seed: int = 0) -> Encoder:
        """Return the encoder of the run with its initial random weights, in eval mode: a baseline for the pre-training.

        Parameters
        ----------
        seed : int, default 0
            Seed of the weights. A standardised encoder has the run's mean and standard deviation of each axis.

        Raises
        ------
        FileNotFoundError
            If the run has no encoder.
        """
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self._untrained().eval()

    def _untrained(self) -> Encoder:
        """Return the encoder of ``encoder.json`` with random weights."""
        from imuspec import encoders

        path = self.path / "encoder.json"
        if not path.is_file():
            raise FileNotFoundError(f"run {self.path}: expected {self._lacking()}")
        spec = read_json(path)
        if not {"name", "settings"} <= set(spec):
            raise ValueError(f"{path}: expected the name and settings of an encoder, got {', '.join(spec) or 'none'}")
        settings = {**spec["settings"], **({"weights": "random"} if "weights" in spec["settings"] else {})}
        return encoders.build(spec["name"], **settings)

    def _lacking(self) -> str:
        """Return what the folder has in the place of an encoder, as the end of a message."""
        if (self.path / "classifier.json").is_file():
            return "an encoder, got a model of statistics of the window, which has none"
        if (self.path / "recipe.json").is_file():
            return "encoder.json, got none: the training has not saved an encoder yet"
        return "the folder of a run, which has encoder.json, got another folder or a file"

    def write_text(self, name: str, text: str) -> None:
        """Write a text file of the run, complete or not at all.

        Parameters
        ----------
        name : str
            Path of the file relative to the run's folder.
        text : str
            Content.
        """
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text.encode())


def _differences(stored: dict[str, Any], given: dict[str, Any], section: str = "") -> list[str]:
    """Return a line for each number of the recipes that differs. Name and description may differ."""
    differences: list[str] = []
    for key in sorted({*stored, *given} - ({"name", "about"} if not section else set())):
        before, now = stored.get(key), given.get(key)
        if isinstance(before, dict) and isinstance(now, dict):
            differences += _differences(before, now, f"{key}.")
        elif before != now:
            differences.append(f"{section}{key}: {before} then, {now} now")
    return differences
