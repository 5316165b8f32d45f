"""The learning rate of each step: a linear warm-up, then a fall."""

from __future__ import annotations

import math
from collections.abc import Callable

from imuspec.recipe import TrainingSettings

__all__ = ["learning_rate", "peak_rate"]


def peak_rate(settings: TrainingSettings) -> float:
    """Return the learning rate at the end of the warm-up."""
    return (settings.batch / 256 if settings.scale_lr else 1.0) * settings.base_lr


def learning_rate(settings: TrainingSettings) -> Callable[[int, int], float]:
    """Return the function ``lr(step, steps_per_epoch)``, for steps from 0.

    With ``e = step / steps_per_epoch``, a warm-up of ``w`` of ``E`` epochs and ``u = (e - w) / (E - w)``:

    - warm-up, ``e < w``: ``start + (base - start) e / w``
    - cosine: ``end + (base - end)(1 + cos(pi u)) / 2``
    - linear: ``base + (end - base) u``
    - exponential: ``base (end / base)**u``
    - steps: ``base / 10**(number of step_epochs up to e)``
    - constant: ``base``
    - restarts: ``start + (base - start)(step + 1) / (w steps_per_epoch)`` in the warm-up, then in each epoch a cosine from
      ``base`` to ``end``

    With ``scale_lr`` all rates are multiplied by ``batch / 256``.

    Parameters
    ----------
    settings : TrainingSettings
        The learning rates.

    Raises
    ------
    ValueError
        If the fall is exponential and `end_lr` is 0, or the fall is by steps and `step_epochs` is empty.

    Examples
    --------
    >>> from imuspec.recipe import PretrainRecipe
    >>> rate = learning_rate(PretrainRecipe.load("img2imu").training)
    >>> [f"{rate(epoch * 5000, 5000):.4g}" for epoch in (0, 5, 10, 25, 40)]
    ['1e-08', '5.005e-06', '1e-05', '5.5e-06', '1e-06']
    """
    if settings.fall == "exponential" and settings.end_lr <= 0:
        raise ValueError(f"training.end_lr: expected more than 0 for an exponential fall, got {settings.end_lr}")
    if settings.fall == "steps" and not settings.step_epochs:
        raise ValueError("training.step_epochs: expected the epochs of the steps, got none")
    scale = settings.batch / 256 if settings.scale_lr else 1.0

    def rate(step: int, steps_per_epoch: int) -> float:
        if settings.fall == "restarts":
            return scale * _with_restarts(settings, step, steps_per_epoch)
        epoch = step / steps_per_epoch
        warmup = settings.warmup_epochs
        if epoch < warmup:
            return scale * (settings.start_lr + (settings.base_lr - settings.start_lr) * epoch / warmup)
        return scale * _after_warmup(settings, epoch)

    return rate


def _with_restarts(settings: TrainingSettings, step: int, steps_per_epoch: int) -> float:
    base, end, warmup = settings.base_lr, settings.end_lr, round(settings.warmup_epochs * steps_per_epoch)
    if step < warmup:
        return settings.start_lr + (base - settings.start_lr) * (step + 1) / warmup
    u = (step - warmup) % steps_per_epoch / steps_per_epoch
    return end + (base - end) * (1 + math.cos(math.pi * u)) / 2


def _after_warmup(settings: TrainingSettings, epoch: float) -> float:
    base, end, remaining = settings.base_lr, settings.end_lr, settings.epochs - settings.warmup_epochs
    u = min((epoch - settings.warmup_epochs) / remaining, 1.0) if remaining > 0 else 1.0
    if settings.fall == "cosine":
        return end + (base - end) * (1 + math.cos(math.pi * u)) / 2
    if settings.fall == "linear":
        return base + (end - base) * u
    if settings.fall == "exponential":
        return float(base * (end / base) ** u)
    if settings.fall == "steps":
        return float(base / 10 ** sum(epoch >= milestone for milestone in settings.step_epochs))
    return base
