"""Heads on the features of patches; patches without a label count in no loss and no score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from imuspec.evaluation import confusion_matrix, metrics
from imuspec.probing.fitting import fit_epochs, seeded
from imuspec.probing.patch_features import PatchFeatures

if TYPE_CHECKING:
    from imuspec.encoders import Encoder

__all__ = [
    "HeadName",
    "PatchHead",
    "PatchHeadSettings",
    "class_weights",
    "fit_patch_head",
    "predict_patches",
    "score_patches",
]

HeadName = Literal["linear", "logistic", "mlp", "lstm"]
_PENALTY = 3e-3  # of the logistic head: half of it times the squared weights, beside the mean cross-entropy


@dataclass(frozen=True)
class PatchHeadSettings:
    """How a head is fitted.

    Attributes
    ----------
    head
        linear: a layer. logistic: a layer on standardised features, fitted to convergence by L-BFGS with a small penalty;
        epochs, rate, batch and seed do not apply. mlp: 512 wide with ReLU. lstm: two layers of 256 over the window, forward.
    epochs, learning_rate, batch
        Adam at a constant rate; windows of a step.
    choose
        last epoch, or the best by balanced accuracy on the validation part; None: best for the LSTM, which over-fits
        after some two epochs, last for the others. A figure chosen so is selected on what it is reported on.
    standardise
        Scale features by mean and sd of the training part: without it a head follows what is large, as gravity is.
    least_steps
        Epochs are added until a linear or mlp head has taken so many steps; the paper's sets are so large that 70 epochs
        are tens of thousands, on a small set they are a few hundred, and the head is far from fitted.
    seed
        Of first weights and order.
    """

    head: HeadName = "linear"
    epochs: int = 70
    learning_rate: float = 1e-3
    batch: int = 32
    choose: Literal["last", "best"] | None = None
    standardise: bool = False
    least_steps: int = 0
    seed: int = 0

    @property
    def chosen_by(self) -> Literal["last", "best"]:
        """What `choose` comes to."""
        return self.choose or ("best" if self.head == "lstm" else "last")

    def epochs_of(self, n_windows: int) -> int:
        """Return how many epochs of so many windows it takes.

        Examples
        --------
        >>> PatchHeadSettings(epochs=70, least_steps=2000).epochs_of(64)
        1000
        """
        steps = -(-n_windows // self.batch)
        return self.epochs if self.head == "lstm" else max(self.epochs, -(-self.least_steps // steps))


class PatchHead(nn.Module):
    """Scores [B, patches, classes] of features [B, patches, features]."""

    mean: Tensor
    scale: Tensor

    def __init__(self, head: HeadName, n_features: int, n_classes: int) -> None:
        super().__init__()
        self.head, self.n_features, self.n_classes = head, n_features, n_classes
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("scale", torch.ones(n_features))
        self.lstm = nn.LSTM(n_features, 256, 2, batch_first=True) if head == "lstm" else None
        if head == "mlp":
            self.out: nn.Module = nn.Sequential(nn.Linear(n_features, 512), nn.ReLU(), nn.Linear(512, n_classes))
        elif head in ("linear", "logistic", "lstm"):
            self.out = nn.Linear(256 if head == "lstm" else n_features, n_classes)
        else:
            raise ValueError(f"head: expected linear, logistic, mlp or lstm, got {head!r}")

    def forward(self, x: Tensor) -> Tensor:
        """Scores of a batch of windows."""
        x = (x.float() - self.mean) / self.scale
        if self.lstm is not None:
            x, _ = self.lstm(x)
        scores: Tensor = self.out(x)
        return scores

    @torch.inference_mode()
    def probabilities(self, x: Sequence[NDArray[Any]]) -> list[NDArray[np.float32]]:
        """Probabilities [patches, classes] of each window."""
        self.eval()
        return [self(torch.from_numpy(np.asarray(part))[None])[0].softmax(-1).numpy() for part in x]


def class_weights(label: NDArray[np.int64], n_classes: int) -> NDArray[np.float32]:
    """Weights ``N / (C n_c)`` of the cross-entropy; 0 for a class that does not occur.

    Examples
    --------
    >>> class_weights(np.array([0, 0, 0, 1, -1]), 2).tolist()
    [0.6666666865348816, 2.0]
    """
    number = np.bincount(label[label >= 0], minlength=n_classes)
    return np.where(number > 0, number.sum() / (n_classes * np.maximum(number, 1)), 0.0).astype(np.float32)


def fit_patch_head(
    train: PatchFeatures,
    settings: PatchHeadSettings,
    *,
    validation: PatchFeatures | None = None,
    encoder: nn.Module | None = None,
) -> tuple[PatchHead, dict[str, float]]:
    """Fit a head by weighted cross-entropy, ``sum w ce / sum w`` over the labelled patches of a batch of windows.

    Parameters
    ----------
    train
        Features; with `encoder` the windows themselves, as `raw_windows` gives them.
    settings
        How.
    validation
        Chooses the epoch where the settings say so.
    encoder
        Trained too, from its present weights: the row from scratch.

    Returns
    -------
    (PatchHead, dict)
        The head in eval mode, and ``epoch`` and ``validation_balanced_accuracy`` of the one that is kept.

    Raises
    ------
    ValueError
        No labelled patch, or no validation part for a choice of the best epoch.
    """
    truth, n_classes = train.truth(), len(train.class_names)
    if not len(truth):
        raise ValueError("train: expected labelled patches, got none")
    if settings.chosen_by == "best" and validation is None:
        raise ValueError("validation: expected one to choose the best epoch by, got none")
    n_features = train.x[0].shape[-1] if encoder is None else cast("Encoder", encoder).n_features
    head = seeded(lambda: PatchHead(settings.head, n_features, n_classes), settings.seed)
    if (settings.standardise or settings.head == "logistic") and encoder is None:
        whole = np.concatenate(train.x).astype(np.float64)
        head.mean.copy_(torch.from_numpy(whole.mean(0)))
        head.scale.copy_(torch.from_numpy(np.maximum(whole.std(0), 1e-6)))
    if settings.head == "logistic":
        if encoder is not None:
            raise ValueError("head: expected linear, mlp or lstm where the encoder is trained too, got logistic")
        _converge(head, train)
        figure = -1.0 if validation is None else score_patches(head, validation)["balanced_accuracy"]
        return head.eval(), {"epoch": 1, "validation_balanced_accuracy": figure}
    model = head if encoder is None else nn.Sequential(encoder, head)
    weight = torch.from_numpy(class_weights(truth, n_classes))

    def loss(index: Tensor) -> Tensor | None:
        x, label = _batch(train, index.tolist(), raw=encoder is not None)
        if not bool((label >= 0).any()):
            return None
        return nn.functional.cross_entropy(model(x).flatten(0, 1), label.flatten(), weight, ignore_index=-1)

    best = fit_epochs(
        model,
        loss,
        len(train.x),
        epochs=settings.epochs_of(len(train.x)) if encoder is None else settings.epochs,
        batch=settings.batch,
        learning_rate=settings.learning_rate,
        seed=settings.seed,
        figure=None if validation is None else lambda: score_patches(model, validation)["balanced_accuracy"],
        choose=settings.chosen_by,
    )
    return head, {"epoch": best.epoch, "validation_balanced_accuracy": best.figure}


def _converge(head: PatchHead, train: PatchFeatures) -> None:
    """Fit a layer to the labelled patches at once: weighted cross-entropy and a penalty have one minimum."""
    known = [label >= 0 for label in train.label]
    x = torch.from_numpy(np.concatenate([part[k] for part, k in zip(train.x, known, strict=True)]).astype(np.float32))
    y = torch.from_numpy(train.truth())
    weight = torch.from_numpy(class_weights(train.truth(), len(train.class_names)))
    layer = head.out
    assert isinstance(layer, nn.Linear)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    x = (x - head.mean) / head.scale
    optimiser = torch.optim.LBFGS(layer.parameters(), max_iter=300, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        fit = nn.functional.cross_entropy(layer(x), y, weight)
        total: Tensor = fit + _PENALTY / 2 * layer.weight.square().sum()
        torch.autograd.backward(total)
        return total

    optimiser.step(loss)


def _batch(features: PatchFeatures, places: Sequence[int], *, raw: bool) -> tuple[Tensor, Tensor]:
    """Windows side by side, the shorter ones padded with patches that do not count."""
    longest = max(len(features.label[i]) for i in places)
    label = torch.full((len(places), longest), -1, dtype=torch.int64)
    first = features.x[places[0]]
    patch = first.shape[1] // len(features.label[places[0]]) if raw else 0
    x = torch.zeros((len(places), 3, longest * patch) if raw else (len(places), longest, first.shape[1]))
    for row, i in enumerate(places):
        label[row, : len(features.label[i])] = torch.from_numpy(features.label[i])
        values = torch.from_numpy(np.asarray(features.x[i], np.float32))
        if raw:
            x[row, :, : values.shape[1]] = values
        else:
            x[row, : len(values)] = values
    return x, label


@torch.inference_mode()
def predict_patches(model: nn.Module, features: PatchFeatures) -> NDArray[np.int64]:
    """Predict the class of each labelled patch, window after window; the model is put in eval mode."""
    model.eval()
    found = []
    for x, label in zip(features.x, features.label, strict=True):
        guess = model(torch.from_numpy(np.asarray(x, np.float32))[None])[0].argmax(-1).numpy()
        found.append(guess[label >= 0])
    return np.concatenate(found).astype(np.int64)


def score_patches(model: nn.Module, features: PatchFeatures) -> dict[str, float]:
    """Macro-F1, balanced accuracy, kappa and the like, pooled over all labelled patches."""
    confusion = confusion_matrix(features.truth(), predict_patches(model, features), len(features.class_names))
    return {name: float(value) for name, value in metrics(confusion).items()}
