"""Scores of predictions, their intervals, and tables. Takes arrays, gives tables; needs no torch.

All scores follow from the confusion matrix, so those of many heads, epochs or bootstrap draws are one computation on
``[..., truth, predicted]``. Macro-F1 is the mean F1 of the classes that occur in the truth: a class that occurs and is never
predicted scores 0, a class that does not occur counts neither as 0 nor as 1. Balanced accuracy, the mean recall of the same
classes, does not depend on their prevalence and is given with it in every table. Over seeds: mean and sd with n - 1, and paired
differences with an interval and a test that allow for overlapping training sets.
"""

from imuspec.evaluation.comparison import mean_sd, split_unit, summary, text_table, write_table
from imuspec.evaluation.pairing import holm, mean_interval, paired_differences
from imuspec.evaluation.scores import (
    METRICS,
    Scores,
    confusion_matrix,
    metrics,
    most_probable,
    per_class_f1,
    score,
    subject_bootstrap,
)

__all__ = [
    "METRICS",
    "Scores",
    "confusion_matrix",
    "holm",
    "mean_interval",
    "mean_sd",
    "metrics",
    "most_probable",
    "paired_differences",
    "per_class_f1",
    "score",
    "split_unit",
    "subject_bootstrap",
    "summary",
    "text_table",
    "write_table",
]
