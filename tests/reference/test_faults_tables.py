"""Inputs that were read wrongly once: each gives what it holds, marked, or is refused in words."""

from __future__ import annotations

import numpy as np
import pytest

from imuspec.errors import RecordingError
from imuspec.recording import read
from reference_data import DATA, needs_data

FAULTS = DATA.parent / "faults"
pytestmark = [needs_data, pytest.mark.skipif(not FAULTS.exists(), reason=f"no folder {FAULTS}")]

#: File, first time, seconds from the first row to the last, rate, runs, median norm, kinds of events.
READ: list[tuple[str, str, float, float, int, float, set[str]]] = [
    ("100hz_minute_then_25hz.csv.gz", "2024-12-11T17:00:00.000", 179.960, 100, 2, 0.984, {"rate_change"}),
    ("1600hz_ms_stamps.csv.gz", "2024-12-11T17:41:39.999", 9.999, 1600, 1, 1.118, {"stamps_fitted"}),
    ("actilife_ddmm_timestamps.csv.gz", "2024-12-11T17:41:40.000", 59.966, 30, 1, 0.983, set()),
    ("ax6_accel_first_still.csv.gz", "2024-12-11T17:41:40.000", 59.966, 30, 1, 0.983, set()),
    ("bba_spring.csv.gz", "2019-03-31T00:50:00.000", 1199.966, 30, 1, 0.984, {"zone_changes"}),
    ("cwaconvert_light_tempc_battv.csv.gz", "2024-12-11T17:41:40.000", 59.966, 30, 1, 0.983, set()),
    ("ddmm_midnight.csv.gz", "2020-03-05T23:59:30.000", 59.990, 100, 1, 1.000, {"date_order_derived"}),
    ("descending.csv.gz", "2024-12-11T17:41:40.000", 59.966, 30, 1, 0.983, {"rows_reversed"}),
    ("every_row_twice.csv.gz", "2020-03-05T10:00:00.000", 59.990, 100, 1, 1.000, {"repeated_row"}),
    ("excel_days.csv.gz", "2020-03-05T10:00:00.000", 59.990, 100, 1, 1.000, {"time_unit_derived"}),
    ("gap.npz", "2024-03-04T09:00:00.000", 164.990, 100, 2, 1.042, {"gap"}),
    ("hbn_release.csv.gz", "2024-12-11T17:41:40.000", 29.967, 30, 1, 0.986, set()),
    ("headerless_id_unix.csv.gz", "2024-12-11T17:41:40.000", 59.967, 30, 1, 0.983, {"columns_derived"}),
    ("ns_30.parquet", "2024-04-30T14:53:00.000", 599.967, 30, 1, 0.964, set()),
    ("omgui_ax6.csv.gz", "2019-10-29T09:03:06.300", 12.169, 98.51, 1, 1.023, {"exchanged_sensors"}),
    ("omgui_light_temp_batt.csv.gz", "2020-02-12T09:03:37.479", 2.017, 198, 1, 0.989, set()),
    ("one_repeated_stamp.npz", "2024-03-04T09:00:00.000", 164.990, 100, 2, 1.042, {"gap", "stamps_fitted"}),
    ("onehz.csv.gz", "1970-01-01T00:00:00.000", 5999.0, 1, 1, 1.000, {"unusual_rate"}),
    ("pm_dots.csv.gz", "2024-12-11T17:41:40.000", 59.966, 30, 1, 0.983, {"assumed_date_order"}),
    ("quantised_dups.csv.gz", "2024-12-11T17:41:39.995", 599.990, 101, 1, 0.984, {"stamps_fitted"}),
    ("says_g_is_ms2.csv.gz", "2020-03-05T10:00:00.000", 59.990, 100, 1, 9.806, {"unit_disagrees", "unusual_norm"}),
    ("slow_start_25_then_100.csv.gz", "2023-11-14T22:13:20.000", 899.990, 25, 2, 1.055, {"rate_change"}),
    ("ticks.csv.gz", "2020-03-05T11:00:00.000", 59.990, 100, 1, 1.000, {"time_unit_derived"}),
    ("twice.csv.gz", "2024-12-11T17:41:40.000", 59.966, 30, 1, 0.983, {"repeated_row"}),
]
REFUSED = [
    ("comma_comma.csv.gz", "4 fields in a row"),
    ("counts60.csv.gz", "a row every 60.0 s: epochs"),
    ("sample_head.csv.gz", "row numbers"),
    ("unix_r6.csv.gz", "differ from row to row"),
]


@pytest.mark.parametrize(("name", "start", "span", "rate", "runs", "norm", "kinds"), READ, ids=[row[0] for row in READ])
def test_a_table_is_read_as_it_is_and_what_was_derived_is_marked(
    name: str, start: str, span: float, rate: float, runs: int, norm: float, kinds: set[str]
) -> None:
    held = read(FAULTS / name)
    time = held.time.astype("datetime64[ns]")
    assert abs(time[0] - np.datetime64(start, "ns")) < np.timedelta64(1, "ms")
    assert (held.time[-1] - held.time[0]) / 1e9 == pytest.approx(span, abs=0.002)
    assert held.nominal_rate == pytest.approx(rate, rel=2e-3)
    assert len(held.runs) == runs
    assert np.median(np.linalg.norm(held.acceleration, axis=0)) == pytest.approx(norm, abs=2e-3)
    assert set(held.quality.counts) == kinds


@pytest.mark.parametrize(("name", "word"), REFUSED)
def test_a_table_that_cannot_be_right_is_refused_in_words(name: str, word: str) -> None:
    with pytest.raises(RecordingError, match=word):
        read(FAULTS / name)


def test_a_unit_is_found_behind_rows_of_zeros() -> None:
    held = read(FAULTS / "zeros_first_ms2.csv.gz")
    norms = np.linalg.norm(held.acceleration, axis=0)
    assert np.median(norms[norms > 0]) == pytest.approx(1.0, abs=0.05)
    assert str(held.metadata["acceleration_unit"]).startswith("m/s2")
