"""A Run: the folder of one training, with its recipe, its figures, its checkpoints and the encoder that came of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from imuspec.errors import require
from imuspec.recipe import NamedRecipe
from imuspec.storage import atomic_path, remove_partial, write_atomically

if TYPE_CHECKING:
    from torch import nn

    from imuspec.encoders import Encoder

__all__ = ["Run"]

R = TypeVar("R", bound=NamedRecipe)


class Run:
    """The folder of one training.

    ``recipe.json`` holds every number, ``metrics.jsonl`` a line for each logged step, ``checkpoints/last.pt`` what a
    resume needs, ``encoder.safetensors`` and ``encoder.json`` the encoder and how to build it. Every file but
    ``metrics.jsonl``, which grows, is written beside its place and renamed, so that it is whole or absent.

    Parameters
    ----------
    path
        The folder; it need not exist yet.

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
        """Where the newest checkpoint lies, or will."""
        return self.path / "checkpoints" / "last.pt"

    @property
    def has_encoder(self) -> bool:
        """Whether the encoder was kept: the training came to its end, or to a checkpoint."""
        return (self.path / "encoder.json").is_file()

    def begin(self, recipe: NamedRecipe, *, resume: bool = False) -> None:
        """Make the folder and keep the recipe in it; on a resume hold the recipe against the kept one.

        Raises
        ------
        FileExistsError
            The folder holds a training already and `resume` is false.
        ValueError
            A resume with another recipe; the message names what differs.
        """
        kept = self.path / "recipe.json"
        if kept.exists() and not resume:
            raise FileExistsError(
                f"run {self.path}: expected a new folder, got one with a training: resume, or remove it"
            )
        if kept.exists():
            differences = _differences(json.loads(kept.read_text("utf-8")), json.loads(recipe.to_json()))
            if differences:
                raise ValueError(
                    f"run {self.path}: expected the recipe it was begun with, got {'; '.join(differences)}"
                )
            for folder in (self.path, self.checkpoint_path.parent):
                remove_partial(folder)
            return
        self.write_text("recipe.json", recipe.to_json())

    def recipe(self, kind: type[R]) -> R:
        """Return the recipe that the run follows, as a recipe of this kind."""
        return kind.load(self.path / "recipe.json")

    def log(self, **figures: float | int | str) -> None:
        """Add a line to ``metrics.jsonl``."""
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(figures) + "\n")

    def metrics(self) -> list[dict[str, Any]]:
        """Return the lines of ``metrics.jsonl``; a last line cut short by a crash is left out."""
        path = self.path / "metrics.jsonl"
        if not path.exists():
            return []
        whole = path.read_text("utf-8").rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    def forget_after(self, step: int) -> None:
        """Drop the lines of ``metrics.jsonl`` after a step: a resume from there writes them again."""
        kept = [line for line in self.metrics() if line.get("step", 0) <= step]
        if (self.path / "metrics.jsonl").exists():
            self.write_text("metrics.jsonl", "".join(json.dumps(line) + "\n" for line in kept))

    def save_checkpoint(self, state: Mapping[str, Any]) -> None:
        """Keep what a resume needs: tensors, numbers, text and containers of them."""
        import torch

        self.checkpoint_path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(self.checkpoint_path) as path:
            torch.save(dict(state), path)

    def load_checkpoint(self) -> dict[str, Any] | None:
        """Return the newest checkpoint with tensors in main memory, None when there is none yet.

        Raises
        ------
        ValueError
            The file is no checkpoint, or holds anything that could run code.
        """
        import torch

        if not self.checkpoint_path.is_file():
            return None
        try:
            state = torch.load(self.checkpoint_path, map_location="cpu", weights_only=True)
        except Exception as error:
            raise ValueError(f"{self.checkpoint_path}: expected a checkpoint, got {_first_line(error)}") from error
        return dict(state)

    def save_encoder(self, encoder: nn.Module) -> None:
        """Save an encoder: its weights as safetensors, its name and settings as JSON.

        Parameters
        ----------
        encoder : Encoder
            Built by `imuspec.encoders.build`, which says how.

        Raises
        ------
        ValueError
            If the encoder was built otherwise.
        """
        from safetensors.torch import save_file

        from imuspec.encoders import Encoder

        if not isinstance(encoder, Encoder) or encoder.spec is None:
            raise ValueError(
                f"encoder: expected one that encoders.build made, got a {type(encoder).__name__} without spec"
            )
        weights = {key: value.detach().cpu().contiguous() for key, value in encoder.state_dict().items()}
        self.path.mkdir(parents=True, exist_ok=True)
        with atomic_path(self.path / "encoder.safetensors") as path:
            save_file(weights, path)
        built = {"name": encoder.spec.name, "settings": dict(encoder.spec.settings)}
        self.write_text("encoder.json", json.dumps(built, indent=2) + "\n")

    def load_encoder(self) -> Encoder:
        """Return the encoder of the run, in eval mode, in main memory.

        Raises
        ------
        FileNotFoundError
            No encoder was kept yet.
        ValueError
            The weights are not those of the encoder that ``encoder.json`` names.
        """
        require("an encoder", "torch")
        from imuspec import encoders

        encoder = self._built()
        encoders.load_weights(encoder, self.path / "encoder.safetensors")
        return encoder.eval()

    def random_encoder(self, *, seed: int = 0) -> Encoder:
        """Return an encoder of the run's form as it is born: what a pre-training is to beat. In eval mode.

        Parameters
        ----------
        seed
            Of the weights. Mean and standard deviation of the axes, if the encoder keeps them, are the run's.
        """
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self._built().eval()

    def _built(self) -> Encoder:
        """The encoder that ``encoder.json`` describes, with random weights."""
        from imuspec import encoders

        described = self.path / "encoder.json"
        if not described.is_file():
            raise FileNotFoundError(
                f"run {self.path}: expected encoder.json, got none: the training kept no encoder yet"
            )
        built = json.loads(described.read_text("utf-8"))
        settings = {**built["settings"], **({"weights": "random"} if "weights" in built["settings"] else {})}
        return encoders.build(built["name"], **settings)

    def write_text(self, name: str, text: str) -> None:
        """Write a text file of the run, whole or not at all."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text.encode())


def _differences(kept: dict[str, Any], given: dict[str, Any], within: str = "") -> list[str]:
    found: list[str] = []
    for key in sorted({*kept, *given} - ({"name", "about"} if not within else set())):
        mine, theirs = kept.get(key), given.get(key)
        if isinstance(mine, dict) and isinstance(theirs, dict):
            found += _differences(mine, theirs, f"{key}.")
        elif mine != theirs:
            found.append(f"{within}{key}: {mine} then, {theirs} now")
    return found


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
