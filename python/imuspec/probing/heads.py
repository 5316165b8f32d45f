"""Heads on frozen features.

`fit_modules` is the plain definition: it fits one module after another, each with its own optimiser. `fit_linear` does the
same arithmetic for every learning rate, weight decay and draw at once. A test compares the two. To add a head, add a function to
`HEADS`.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from imuspec.errors import unknown_name
from imuspec.evaluation import confusion_matrix, metrics, most_probable
from imuspec.probing.fitting import DivergedError, fit_epochs, seeded
from imuspec.recipe.probing import HeadSettings

__all__ = ["HEADS", "Fitted", "Task", "fit", "fit_linear", "fit_logistic", "fit_modules"]

_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8  # the defaults of torch.optim.Adam
_STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2)  # C of the logistic regression
_STEPS = 2000  # of the logistic regression at most


@dataclass(frozen=True)
class Task:
    """Features and classes of one draw of labelled windows.

    Attributes
    ----------
    train : array [n, features]
        Features of the training windows.
    label : array of int64 [n]
        Classes of the training windows.
    validation : array [m, features]
        Features of the validation windows, which select epoch and grid point.
    validation_label : array of int64 [m]
        Classes of the validation windows.
    seed : int
        Seed of the head's initial weights and of the order of windows.
    """

    train: NDArray[Any]
    label: NDArray[np.int64]
    validation: NDArray[Any]
    validation_label: NDArray[np.int64]
    seed: int

    def __post_init__(self) -> None:
        for name, features, labels in (
            ("train", self.train, self.label),
            ("validation", self.validation, self.validation_label),
        ):
            if len(features) != len(labels) or not len(labels):
                raise ValueError(f"{name}: expected a label for each window, got {len(features)} and {len(labels)}")
            if not np.isfinite(features).all():
                raise ValueError(f"{name}: expected finite features, got NaN or infinity: the encoder has diverged")


@dataclass(frozen=True)
class Fitted:
    """The head with the best score on the validation windows.

    Attributes
    ----------
    logits : callable
        Features [k, features] -> scores [k, classes].
    validation_f1 : float
        Macro-F1 on the validation windows.
    chosen : dict
        Selected settings: learning rate, weight decay and epoch, or C of the logistic regression.
    weight : array [classes, features] or None
        Weights of a linear head.
    bias : array [classes] or None
        Bias of a linear head.
    """

    logits: Callable[[NDArray[Any]], NDArray[Any]]
    validation_f1: float
    chosen: dict[str, float]
    weight: NDArray[Any] | None = field(default=None, repr=False)
    bias: NDArray[Any] | None = field(default=None, repr=False)

    def predict(self, features: NDArray[Any]) -> NDArray[np.int64]:
        """Return the class of each row of features. NaN is an error, as in `imuspec.evaluation.most_probable`."""
        return most_probable(self.logits(features))


def fit(head: str, tasks: Sequence[Task], n_classes: int, settings: HeadSettings) -> list[Fitted]:
    """Fit a head by name to each task.

    Parameters
    ----------
    head : str
        Key of `HEADS`.
    tasks : sequence of Task
        Draws of labelled windows.
    n_classes : int
        Number of classes.
    settings : HeadSettings
        Epochs, batch, grid, and selection of the epoch.

    Returns
    -------
    list of Fitted
        The selected head of each task, in order.

    Raises
    ------
    ValueError
        If `head` is not a key of `HEADS`.
    """
    if head not in HEADS:
        raise ValueError(unknown_name("head", head, HEADS))
    return HEADS[head](tasks, n_classes, settings)


def fit_linear(tasks: Sequence[Task], n_classes: int, settings: HeadSettings) -> list[Fitted]:
    """Fit a linear layer for each task and grid point, all at once, and return the best layer of each task.

    The loss is cross-entropy. The optimiser is Adam with the weight decay in the gradient, as in ``torch.optim.Adam``. The
    order of windows changes in each epoch. The initial weights are those of ``nn.Linear`` with the task's seed. Epoch and
    grid point are those with the best macro-F1 on the validation windows, the first of them if there are several. Tasks with
    the same number of windows are computed together.

    Parameters
    ----------
    tasks : sequence of Task
        As in `fit`.
    n_classes : int
        As in `fit`.
    settings : HeadSettings
        As in `fit`.

    Returns
    -------
    list of Fitted
        The selected layer of each task, in order.
    """
    fitted: dict[int, Fitted] = {}
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, task in enumerate(tasks):
        groups.setdefault(task.train.shape, []).append(index)
    with _one_thread():
        for members in groups.values():
            for index, head in zip(
                members, _fit_group([tasks[index] for index in members], n_classes, settings), strict=True
            ):
                fitted[index] = head
    return [fitted[index] for index in range(len(tasks))]


@contextmanager
def _one_thread() -> Iterator[None]:
    """Use one thread. For many small matrix products a second thread costs more time than it saves."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _fit_group(tasks: Sequence[Task], n_classes: int, settings: HeadSettings) -> list[Fitted]:
    grid = list(itertools.product(settings.learning_rates, settings.weight_decays))
    x = torch.stack([_with_one(task.train) for task in tasks])  # [task, window, feature + 1]: the bias is a weight
    y = torch.stack([torch.from_numpy(task.label) for task in tasks])
    validation = [_with_one(task.validation) for task in tasks]
    n_tasks, n, width = x.shape
    first = torch.stack([_first_weights(task.seed, width - 1, n_classes, x.dtype) for task in tasks])
    weight = first[:, None].repeat(1, len(grid), 1, 1)  # [task, grid, class, feature + 1]
    rate = torch.tensor([point[0] for point in grid], dtype=x.dtype)[:, None, None]
    decay = torch.tensor([point[1] for point in grid], dtype=x.dtype)[:, None, None]
    mean, square = torch.zeros_like(weight), torch.zeros_like(weight)
    best = _Best(weight, tasks)
    generators = [torch.Generator().manual_seed(task.seed) for task in tasks]
    rows = torch.arange(n_tasks)[:, None]
    step = 0
    for epoch in range(1, settings.epochs + 1):
        order = torch.stack([torch.randperm(n, generator=generator) for generator in generators])
        for start in range(0, n, settings.batch):
            batch = order[:, start : start + settings.batch]
            step += 1
            gradient = _gradient(weight, x[rows, batch], y[rows, batch])
            gradient.addcmul_(weight, decay)
            mean.lerp_(gradient, 1 - _BETA1)
            square.mul_(_BETA2).addcmul_(gradient, gradient, value=1 - _BETA2)
            scale = square.sqrt().div_((1 - _BETA2**step) ** 0.5).add_(_EPSILON)
            weight.sub_(torch.div(mean, scale).mul_(rate / (1 - _BETA1**step)))
        if settings.choose == "best" or epoch == settings.epochs:
            best.consider(weight, epoch, validation)
    return [best.fitted(task, grid) for task in range(n_tasks)]


def _gradient(weight: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return the gradient of the mean cross-entropy of a batch: [task, grid, class, feature + 1].

    Each head has a separate matrix product, so that its bits do not depend on the other heads of the grid.
    """
    n_tasks, n_grid, n_classes, width = weight.shape
    each = x[:, None].expand(-1, n_grid, -1, -1).reshape(n_tasks * n_grid, -1, width)
    logits = torch.bmm(each, weight.view(-1, n_classes, width).mT)  # [head, window, class]
    error = logits.softmax(-1)
    true = y[:, None].expand(-1, n_grid, -1).reshape(n_tasks * n_grid, -1, 1)
    error.scatter_add_(-1, true, error.new_full((1, 1, 1), -1.0).expand(*true.shape))
    return torch.bmm(error.div_(x.shape[1]).mT, each).view_as(weight)


def _with_one(features: NDArray[Any]) -> Tensor:
    x = torch.from_numpy(np.ascontiguousarray(features))
    return torch.cat([x, x.new_ones(len(x), 1)], 1)


def _first_weights(seed: int, width: int, n_classes: int, dtype: torch.dtype) -> Tensor:
    layer = seeded(lambda: nn.Linear(width, n_classes).to(dtype), seed)
    return torch.cat([layer.weight, layer.bias[:, None]], 1).detach()


class _Best:
    """The best weights so far of each task and grid point, and their epoch."""

    def __init__(self, weight: Tensor, tasks: Sequence[Task]) -> None:
        self._weight = weight.clone()
        self._f1 = np.full(weight.shape[:2], -1.0)
        self._epoch = np.zeros(weight.shape[:2], np.int64)
        self._labels = [task.validation_label for task in tasks]

    def consider(self, weight: Tensor, epoch: int, validation: Sequence[Tensor]) -> None:
        n_classes = weight.shape[2]
        for task, features in enumerate(validation):
            logits = (features @ weight[task].flatten(0, 1).T).view(len(features), -1, n_classes)
            f1 = metrics(confusion_matrix(self._labels[task], logits.argmax(-1).T.numpy(), n_classes))["macro_f1"]
            better = f1 > self._f1[task]
            self._f1[task, better], self._epoch[task, better] = f1[better], epoch
            self._weight[task, better] = weight[task, better]

    def fitted(self, task: int, grid: Sequence[tuple[float, float]]) -> Fitted:
        index = int(self._f1[task].argmax())
        weight = self._weight[task, index].numpy()
        matrix, bias = weight[:, :-1].copy(), weight[:, -1].copy()
        chosen = {
            "learning_rate": grid[index][0],
            "weight_decay": grid[index][1],
            "epoch": int(self._epoch[task, index]),
        }
        return Fitted(partial(_linear, matrix, bias), float(self._f1[task, index]), chosen, matrix, bias)


def _linear(weight: NDArray[Any], bias: NDArray[Any], features: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(features @ weight.T + bias)


def fit_modules(
    tasks: Sequence[Task],
    n_classes: int,
    settings: HeadSettings,
    *,
    build: Callable[[int, int], nn.Module] = nn.Linear,
) -> list[Fitted]:
    """Fit any module, separately for each task and grid point.

    Parameters
    ----------
    tasks : sequence of Task
        As in `fit`.
    n_classes : int
        As in `fit`.
    settings : HeadSettings
        As in `fit`.
    build : callable, default torch.nn.Linear
        ``build(n_features, n_classes)`` returns a new module, features [n, n_features] -> logits [n, n_classes].

    Returns
    -------
    list of Fitted
        The selected module of each task, in order. A grid point whose loss diverges is not selected.

    Raises
    ------
    DivergedError
        If the loss diverges at all grid points.
    """
    grid = list(itertools.product(settings.learning_rates, settings.weight_decays))
    best = []
    for task in tasks:
        fits, diverged = [], []
        for point in grid:
            try:
                fits.append(_fit_module(task, n_classes, settings, build, *point))
            except DivergedError as error:
                diverged.append(error)
        if not fits:
            raise diverged[-1]
        best.append(max(fits, key=lambda fitted: fitted.validation_f1))
    return best


def _fit_module(
    task: Task,
    n_classes: int,
    settings: HeadSettings,
    build: Callable[[int, int], nn.Module],
    learning_rate: float,
    weight_decay: float,
) -> Fitted:
    x, y = torch.from_numpy(task.train), torch.from_numpy(task.label)
    module = seeded(lambda: build(x.shape[-1], n_classes).to(x.dtype), task.seed)

    def figure() -> float:
        guess = _module_logits(module, task.validation).argmax(-1)
        return float(metrics(confusion_matrix(task.validation_label, guess, n_classes))["macro_f1"])

    best = fit_epochs(
        module,
        lambda index: nn.functional.cross_entropy(module(x[index]), y[index]),
        len(x),
        epochs=settings.epochs,
        batch=settings.batch,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        seed=task.seed,
        figure=figure,
        choose=settings.choose,
    )
    chosen = {"learning_rate": learning_rate, "weight_decay": weight_decay, "epoch": best.epoch}
    linear = (
        {"weight": module.weight.detach().numpy(), "bias": module.bias.detach().numpy()}
        if isinstance(module, nn.Linear)
        else {}
    )
    return Fitted(partial(_module_logits, module), best.figure, chosen, **linear)


def _module_logits(module: nn.Module, features: NDArray[Any]) -> NDArray[Any]:
    module.eval()
    with torch.inference_mode():
        return np.asarray(module(torch.from_numpy(features)).numpy())


def fit_logistic(
    tasks: Sequence[Task],
    n_classes: int,
    settings: HeadSettings,  # noqa: ARG001  (no grid of Adam)
    *,
    strengths: Sequence[float] = _STRENGTHS,
) -> list[Fitted]:
    """Fit scikit-learn's logistic regression on standardised features. The validation windows select its C.

    It suits features with different scales, such as hand-crafted statistics. By default C is one of .001, .01, .1, 1, 10, 100.

    Parameters
    ----------
    tasks : sequence of Task
        As in `fit`.
    n_classes : int
        As in `fit`.
    settings : HeadSettings
        Ignored, as its settings are those of Adam.
    strengths : sequence of float, optional
        The values of C.

    Returns
    -------
    list of Fitted
        The selected head of each task, in order. The weights include the standardisation, so they apply to the features
        before it.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    best = []
    for task in tasks:
        scaler = StandardScaler().fit(task.train)
        fits, unfinished = [], set()
        for strength in strengths:
            model = LogisticRegression(C=strength, max_iter=_STEPS)
            with warnings.catch_warnings():  # stated below, of the selected C alone
                warnings.simplefilter("ignore", ConvergenceWarning)
                model.fit(scaler.transform(task.train), task.label)
            if model.n_iter_.max() >= _STEPS:
                unfinished.add(strength)
            weight, bias = _folded(model, scaler, n_classes)
            guess = _linear(weight, bias, task.validation).argmax(-1)
            f1 = float(metrics(confusion_matrix(task.validation_label, guess, n_classes))["macro_f1"])
            fits.append(Fitted(partial(_linear, weight, bias), f1, {"C": strength}, weight, bias))
        best.append(max(fits, key=lambda fitted: fitted.validation_f1))
        if best[-1].chosen["C"] in unfinished:
            warnings.warn(
                f"head.kind=logistic: C={best[-1].chosen['C']:g}, which validation selects, has not converged after {_STEPS} steps",
                stacklevel=2,
            )
    return best


def _folded(model: Any, scaler: Any, n_classes: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return weights [classes, features] and bias for features before the standardisation.

    A class without training windows is never predicted.
    """
    coefficients, intercept = model.coef_, model.intercept_
    if len(model.classes_) == 2:
        coefficients, intercept = np.vstack([-coefficients, coefficients]) / 2, np.hstack([-intercept, intercept]) / 2
    weight = np.zeros((n_classes, coefficients.shape[1]))
    bias = np.full(n_classes, -1e30)
    weight[model.classes_] = coefficients / scaler.scale_
    bias[model.classes_] = intercept - (coefficients / scaler.scale_) @ scaler.mean_
    return weight, bias


#: Name -> function that fits such heads. To add one: ``HEADS["mlp"] = partial(fit_modules, build=maker)``.
HEADS: dict[str, Callable[[Sequence[Task], int, HeadSettings], list[Fitted]]] = {
    "linear": fit_linear,
    "logistic": fit_logistic,
}
