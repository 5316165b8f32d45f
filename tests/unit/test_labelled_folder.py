"""A folder of recordings with a table of labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dataset_values import still
from imuspec import datasets
from imuspec.errors import RecordingError


def write_folder(folder: Path, table: str) -> Path:
    for name in ("anna", "ben", "carl"):
        stamps = np.datetime64("2024-05-01T10:00:00", "ms") + np.arange(3000) * 20
        x = still(3000, 1)
        text = "time,x,y,z\n" + "".join(
            f"{str(t).replace('T', ' ')},{a:.6f},{b:.6f},{c:.6f}\n"
            for t, (a, b, c) in zip(stamps, x.tolist(), strict=True)
        )
        (folder / f"{name}.csv").write_text(text)
    (folder / "labels.csv").write_text(table)
    return folder


TABLE = """file,start,end,label,subject
anna.csv,0,20,sit,7
anna.csv,2024-05-01 10:00:30,2024-05-01 10:00:50,walk,7
ben.csv,0,25.5,walk,8
carl.csv,5,50,sit,9
"""


def test_a_folder_of_recordings_is_labelled_by_a_table(tmp_path) -> None:
    made = datasets.load("folder", write_folder(tmp_path, TABLE), window_s=5)
    assert made.class_names == ("sit", "walk")
    assert made.subjects.tolist() == [7, 8, 9]
    assert made.table().tolist() == [[7, 7], [0, 9], [17, 0]]
    assert made.start_s[(made.subject == 7) & (made.label == 1)].min() == pytest.approx(30)


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        (TABLE + "dora.csv,0,5,sit,1\n", FileNotFoundError, r"has no file dora.csv"),
        (
            TABLE.replace("label", "class", 1),
            RecordingError,
            "expected columns file, label, got file, start, end, class",
        ),
        (TABLE + "ben.csv,30,,walk,8\n", RecordingError, "line 6: expected end, got nothing"),
        (TABLE + "ben.csv,30,soon,walk,8\n", RecordingError, "line 6: expected a time or seconds, got 'soon'"),
        (
            TABLE + "ben.csv,500,600,walk,8\n",
            RecordingError,
            r"line 6: expected a stretch of .*ben.csv, got 500 to 600",
        ),
        (TABLE + "ben.csv,20,30,sit,8\n", RecordingError, "line 6: expected one label a sample, got another"),
        (TABLE + "ben.csv,30,40,sit,2\n", RecordingError, r"expected one subject for ben.csv, got several"),
    ],
)
def test_a_table_that_does_not_fit_its_folder_is_refused(tmp_path, table, error, message) -> None:
    with pytest.raises(error, match=message):
        datasets.load("folder", write_folder(tmp_path, table))
