"""Heads on the features of patches. Patches without a label count in no loss and no score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from imuspec.evaluation import confusion_matrix, metrics, most_probable
from imuspec.probing.fitting import fit_epochs, seeded
from imuspec.probing.patch_features import PatchFeatures

if TYPE_CHECKING:
    from imuspec.encoders import Encoder

__all__ = [
    "Head",
    "HeadName",
    "PatchHeadSettings",
    "class_weights",
    "fit_patch_head",
    "predict_patches",
    "score_patches",
]

HeadName = Literal["linear", "logistic", "mlp", "lstm"]
_GROUP = 64  # windows of a part of the logistic head's loss
_PENALTY = 3e-3  # of the logistic head: half of it times the squared weights, beside the mean cross-entropy


@dataclass(frozen=True)
class PatchHeadSettings:
    """Settings of a head.

    Attributes
    ----------
    head : str
        linear: a layer. logistic: a layer on standardised features, fitted to convergence by L-BFGS with a small penalty;
        epochs, rate, batch and seed do not apply. mlp: 512 wide with ReLU. lstm: two layers of 256 over the window, forward.
    epochs, batch : int
        Passes over the windows; windows of a step.
    learning_rate : float
        Adam's constant rate.
    choose : {"last", "best"} or None
        The last epoch, or the best by balanced accuracy on the validation part. None: best for the LSTM, which in the paper
        over-fits after some two epochs, last for the others. A score at the best epoch is selected on the part that it reports.
    standardise : bool
        Whether to scale features by mean and sd of the training part. Without it large features, such as gravity, dominate.
    least_steps : int
        Least number of steps of a linear or mlp head; epochs are added until it is reached. On the paper's sets 70 epochs are
        tens of thousands of steps; on a small set they are a few hundred, which leave the head far from fitted.
    seed : int
        Seed of initial weights and order.
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
        """The value of `choose`, or the default of the head."""
        return self.choose or ("best" if self.head == "lstm" else "last")

    def epochs_of(self, n_windows: int) -> int:
        """Return the number of epochs for a number of windows.

        Examples
        --------
        >>> PatchHeadSettings(epochs=70, least_steps=2000).epochs_of(64)
        1000
        """
        steps = -(-n_windows // self.batch)
        return self.epochs if self.head == "lstm" else max(self.epochs, -(-self.least_steps // steps))


class Head(nn.Module):
    """A head: features [B, patches, features] -> scores [B, patches, classes]."""

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
        """Return the scores of a batch of windows."""
        x = (x.float() - self.mean) / self.scale
        if self.lstm is not None:
            x, _ = self.lstm(x)
        scores: Tensor = self.out(x)
        return scores

    @torch.inference_mode()
    def probabilities(self, x: Sequence[NDArray[Any]]) -> list[NDArray[np.float32]]:
        """Return the probabilities [patches, classes] of each window."""
        self.eval()
        device = self.mean.device
        return [self(torch.from_numpy(np.asarray(part))[None].to(device))[0].softmax(-1).cpu().numpy() for part in x]


def class_weights(label: NDArray[np.int64], n_classes: int) -> NDArray[np.float32]:
    """Return the weights ``N / (C n_c)`` of the cross-entropy; 0 for a class that does not occur.

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
    device: str = "cpu",
) -> tuple[Head, dict[str, float]]:
    """Fit a head by weighted cross-entropy, ``sum w ce / sum w`` over the labelled patches of a batch of windows.

    Parameters
    ----------
    train : PatchFeatures
        Features; with `encoder` the windows themselves, as from `raw_windows`.
    settings : PatchHeadSettings
        Settings of the head.
    validation : PatchFeatures, optional
        Part that chooses the epoch where the settings require it.
    encoder : nn.Module, optional
        Encoder to train too, from its present weights.
    device : str, default "cpu"
        Device of the training. Features are moved to it batch by batch.

    Returns
    -------
    (Head, dict)
        The head in eval mode, on the device as the encoder is, and its ``epoch`` and ``validation_balanced_accuracy``.

    Raises
    ------
    ValueError
        If there is no labelled patch, or no validation part to choose the best epoch by.
    """
    truth, n_classes = train.truth(), len(train.class_names)
    if not len(truth):
        raise ValueError("train: expected labelled patches, got none")
    if settings.chosen_by == "best" and validation is None:
        raise ValueError("validation: expected a part to choose the best epoch by, got none")
    n_features = train.x[0].shape[-1] if encoder is None else cast("Encoder", encoder).n_features
    head = seeded(lambda: Head(settings.head, n_features, n_classes), settings.seed)
    if (settings.standardise or settings.head == "logistic") and encoder is None:
        mean, sd = _mean_and_sd(train.x)
        head.mean.copy_(torch.from_numpy(mean))
        head.scale.copy_(torch.from_numpy(np.maximum(sd, 1e-6)))
    head.to(device)
    if settings.head == "logistic":
        if encoder is not None:
            raise ValueError("head: expected linear, mlp or lstm where the encoder is trained too, got logistic")
        _converge(head, train)
        figure = -1.0 if validation is None else score_patches(head, validation)["balanced_accuracy"]
        return head.eval(), {"epoch": 1, "validation_balanced_accuracy": figure}
    model = head if encoder is None else nn.Sequential(encoder.to(device), head)
    weight = torch.from_numpy(class_weights(truth, n_classes)).to(device)

    def loss(index: Tensor) -> Tensor | None:
        x, label, padding = _batch(train, index.tolist(), raw=encoder is not None)
        if not bool((label >= 0).any()):
            return None
        x, label = x.to(device), label.to(device)
        missing = padding.to(device) if bool(padding.any()) else None
        states = x if encoder is None else encoder(x, missing=missing)
        return nn.functional.cross_entropy(head(states).flatten(0, 1), label.flatten(), weight, ignore_index=-1)

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


def _mean_and_sd(x: Sequence[NDArray[Any]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and sd of each feature over all patches, one window in memory at a time."""
    n, total = 0, np.zeros(x[0].shape[1])
    for part in x:
        n, total = n + len(part), total + part.sum(0, dtype=np.float64)
    mean = total / n
    square = np.zeros_like(mean)
    for part in x:
        square += np.square(part - mean).sum(0)
    return mean, np.sqrt(square / n)


def _converge(head: Head, train: PatchFeatures) -> None:
    """Fit a layer to the labelled patches at once: weighted cross-entropy and a penalty have one minimum.

    The loss and its gradient are sums over groups of windows, so that memory does not grow with the number of windows.
    """
    device = head.mean.device
    weight = torch.from_numpy(class_weights(train.truth(), len(train.class_names)))
    total = float(weight[torch.from_numpy(train.truth())].sum())
    weight = weight.to(device)
    layer = head.out
    assert isinstance(layer, nn.Linear)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    optimiser = torch.optim.LBFGS(layer.parameters(), max_iter=300, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        whole = _PENALTY / 2 * layer.weight.square().sum()
        torch.autograd.backward(whole)
        whole = whole.detach()
        for start in range(0, len(train.x), _GROUP):
            group = slice(start, start + _GROUP)
            known = [label >= 0 for label in train.label[group]]
            rows = [np.asarray(part[k], np.float32) for part, k in zip(train.x[group], known, strict=True)]
            x = (torch.from_numpy(np.concatenate(rows)).to(device) - head.mean) / head.scale
            y = torch.from_numpy(np.concatenate([label[k] for label, k in zip(train.label[group], known, strict=True)]))
            part = nn.functional.cross_entropy(layer(x), y.to(device), weight, reduction="sum") / total
            torch.autograd.backward(part)
            whole += part.detach()
        return whole

    optimiser.step(loss)


def _batch(features: PatchFeatures, indices: Sequence[int], *, raw: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Return windows as one batch, their labels, and which patches pad the shorter windows (bool ``[B, patches]``)."""
    longest = max(len(features.label[i]) for i in indices)
    label = torch.full((len(indices), longest), -1, dtype=torch.int64)
    padding = torch.ones((len(indices), longest), dtype=torch.bool)
    first = features.x[indices[0]]
    patch = first.shape[1] // len(features.label[indices[0]]) if raw else 0
    x = torch.zeros((len(indices), 3, longest * patch) if raw else (len(indices), longest, first.shape[1]))
    for row, i in enumerate(indices):
        label[row, : len(features.label[i])] = torch.from_numpy(features.label[i])
        padding[row, : len(features.label[i])] = False
        values = torch.from_numpy(np.asarray(features.x[i], np.float32))
        if raw:
            x[row, :, : values.shape[1]] = values
        else:
            x[row, : len(values)] = values
    return x, label, padding


@torch.inference_mode()
def predict_patches(model: nn.Module, features: PatchFeatures) -> NDArray[np.int64]:
    """Predict the class of each labelled patch, window after window; the model is put in eval mode, and stays on its device.

    NaN is an error, as in `imuspec.evaluation.most_probable`.
    """
    model.eval()
    device = next(model.parameters()).device
    classes = []
    for x, label in zip(features.x, features.label, strict=True):
        logits = model(torch.from_numpy(np.asarray(x, np.float32))[None].to(device))[0].float().cpu().numpy()
        classes.append(most_probable(logits[label >= 0]))
    return np.concatenate(classes).astype(np.int64)


def score_patches(model: nn.Module, features: PatchFeatures) -> dict[str, float]:
    """Return the scores of `imuspec.evaluation.metrics`, pooled over all labelled patches."""
    confusion = confusion_matrix(features.truth(), predict_patches(model, features), len(features.class_names))
    return {name: float(value) for name, value in metrics(confusion).items()}
