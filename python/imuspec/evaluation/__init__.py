"""How well predictions agree with the truth, how sure that is, and tables that say so. Arrays in, tables out; no torch.

Everything follows from the confusion matrix, so that scores of many heads, epochs or bootstrap draws are one
computation on ``[..., truth, predicted]``. Macro-F1 is the mean over the classes that occur in the truth; a class that
is never predicted scores 0. Over seeds: mean and sd with n - 1, and tests that pair what shares a split and a draw.
"""

from imuspec.evaluation.comparison import holm, mean_sd, paired_tests, summary, text_table, write_table
from imuspec.evaluation.scores import (
    METRICS,
    Scores,
    confusion_matrix,
    metrics,
    per_class_f1,
    score,
    subject_bootstrap,
)

__all__ = [
    "METRICS",
    "Scores",
    "confusion_matrix",
    "holm",
    "mean_sd",
    "metrics",
    "paired_tests",
    "per_class_f1",
    "score",
    "subject_bootstrap",
    "summary",
    "text_table",
    "write_table",
]
