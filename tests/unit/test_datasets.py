"""Windows: their units, labels, selection and joining."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from dataset_values import some_windows
from imuspec import datasets
from imuspec.datasets.recordings import in_g, label_intervals
from imuspec.errors import RecordingError


def test_importing_the_package_loads_neither_torch_nor_pyarrow() -> None:
    code = "import sys; from imuspec import datasets; datasets.Windows; datasets.load; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert not {"torch", "pyarrow", "pandas"} & set(loaded)


def test_units_are_checked_by_the_median_norm() -> None:
    x = np.tile([[0.0], [0.0], [9.81]], 100)
    assert in_g(x, unit="m/s2", declared=None, source="f")[2, 0] == pytest.approx(1.0003, abs=1e-4)
    with pytest.raises(ValueError, match=r"f: expected g, a median norm near 1, got 9.81, which fits m/s2: state"):
        in_g(x, unit="g", declared=None, source="f")
    with pytest.raises(ValueError, match="fits none of g, m/s2 and mg"):
        in_g(x * 5, unit="m/s2", declared=None, source="f")
    assert in_g(x, unit="g", declared="m/s2", source="f")[2, 0] == pytest.approx(1.0003, abs=1e-4)
    with pytest.raises(ValueError, match="unit: expected g, m/s2 or mg, got 'feet'"):
        in_g(x, unit="g", declared="feet", source="f")


def test_zeros_of_a_sensor_that_is_off_do_not_decide_the_unit() -> None:
    x = np.tile([[0.0], [0.0], [1000.0]], 100)
    x[:, :80] = 0
    assert in_g(x, unit="mg", declared=None, source="f")[2, 99] == 1


def test_intervals_that_contradict_each_other_or_leave_the_recording_are_damage() -> None:
    assert label_intervals(5, [(1, 3, 0), (3, 4, 1)], "f").tolist() == [-1, 0, 0, 1, -1]
    with pytest.raises(RecordingError, match="expected labels within its 5 samples, got 3 to 6"):
        label_intervals(5, [(3, 6, 0)], "f")
    with pytest.raises(RecordingError, match="expected one label a sample, got walk at 2 over sit"):
        label_intervals(5, [(1, 3, 0), (2, 4, 1)], "f", names=("sit", "walk"))


def test_selection_and_classes_keep_columns_together() -> None:
    windows = some_windows()
    walk = windows.of_classes(["walk"])
    assert walk.class_names == ("walk",)
    assert walk.label.max() == 0
    np.testing.assert_array_equal(walk.x, windows.x[windows.label == 1])
    assert windows.table().tolist() == [[6, 6]] * 10
    assert len(windows.select(np.array([], int))) == 0
    with pytest.raises(ValueError, match="names: expected some of sit, walk, got run"):
        windows.of_classes(["run"])
    with pytest.raises(ValueError, match="index: expected a mask of shape"):
        windows.select(np.array([True, False]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": np.zeros((120, 100))}, r"x: expected shape \[N, 3, time\], got \[120, 100\]"),
        ({"label": np.zeros(7)}, r"label: expected shape \[120\], one a window, got \[7\]"),
        ({"label": np.full(120, 2)}, "label: expected 0 to 1, got 2 to 2 for the classes sit, walk"),
        ({"x": np.full((120, 3, 100), np.nan)}, "x: expected finite samples, got 120 windows with NaN or infinity"),
    ],
)
def test_windows_that_do_not_fit_together_are_refused(changes, message) -> None:
    with pytest.raises(ValueError, match=message):
        some_windows(**changes)


def test_sets_are_joined_with_their_subjects_kept_apart() -> None:
    a, b = some_windows(3, counts={"lost": 2}, n_rows=9), some_windows(4, name="other", counts={"lost": 1}, n_rows=5)
    both = datasets.concatenate([a, b])
    assert len(both.subjects) == 7
    assert both.counts == {"lost": 3}
    assert (both.name, both.n_rows, len(both)) == ("some+other", 14, len(a) + len(b))
    assert datasets.concatenate([a, a]).subject.dtype == np.int64
    with pytest.raises(ValueError, match=r"parts: expected one rate for all, got 50 of some and 25 of other"):
        datasets.concatenate([a, replace(b, rate=25)])


def test_an_unknown_name_or_setting_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"name: expected one of .*hapt.*, got 'hatp'"):
        datasets.load("hatp", ".")
    with pytest.raises(
        ValueError, match="settings of daphnet: expected one of 'sensors', 'subjects', 'unit', got 'sensor'"
    ):
        datasets.load("daphnet", ".", sensor="trunk")
