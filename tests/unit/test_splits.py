"""Splits by subject: what is refused, and the shots of the papers."""

from __future__ import annotations

import numpy as np
import pytest

from imuspec import datasets
from imuspec.datasets import Windows
from imuspec.datasets.splits import SHOTS


def some_windows(label: np.ndarray, class_names: tuple[str, ...], name: str) -> Windows:
    subject = np.arange(len(label)) // 12
    start_s = np.arange(len(label)) % 12
    x = np.zeros((len(label), 3, 100), np.float32)
    return Windows(
        x=x,
        label=label,
        subject=subject,
        recording=subject,
        start_s=start_s,
        rate=50,
        class_names=class_names,
        name=name,
    )


def test_a_class_of_one_subject_is_named_and_one_that_nobody_has_is_not() -> None:
    label = np.zeros(120, int)
    label[:12:2] = 1
    windows = some_windows(label=label, class_names=("still", "walk", "run"), name="")
    with pytest.raises(ValueError, match=r"windows: .* each class, got fewer for walk \(1\): use"):
        datasets.subject_split(windows, 0)


def test_shots_are_those_of_the_papers() -> None:
    assert SHOTS == (1, 2, 5, 10, 20, 50)
