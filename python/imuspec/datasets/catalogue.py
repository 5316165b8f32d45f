"""The public sets that are read: what each holds, how it is laid out, under which terms, and where it is to be had."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from imuspec.datasets.cutting import Resampling, cut
from imuspec.datasets.recordings import LabelledRecording
from imuspec.datasets.windows import Windows
from imuspec.errors import unknown_name

__all__ = ["CATALOGUE", "DatasetInfo", "find_set", "labelled_recordings", "load", "people_of"]


@dataclass(frozen=True)
class DatasetInfo:
    """What is known of a set.

    Attributes
    ----------
    name : str
        What `load` calls it.
    title, what : str
        Its name in full, and its content in a sentence.
    layout : str
        The files that are looked for.
    window_s : float
        Length of a window by default, s.
    licence, citation, url : str
        Its terms, whom to cite, where to get it.
    module : str
        The reader, below ``imuspec.datasets``.
    split_by : {"subject", "recording"}
        Unit that a split assigns to its parts.
    people : str, default the set's own name
        Name of the set whose people these are, subject numbers included, where that is another set.
    """

    name: str
    title: str
    what: str
    layout: str
    window_s: float
    licence: str
    citation: str
    url: str
    module: str
    split_by: Literal["subject", "recording"] = "subject"
    people: str = ""

    @property
    def read(self) -> Callable[..., Iterator[LabelledRecording]]:
        """The reader: ``read(path, **settings)`` gives labelled recordings."""
        reader: Callable[..., Iterator[LabelledRecording]] = importlib.import_module(
            f"imuspec.datasets.{self.module}"
        ).recordings
        return reader

    @property
    def settings(self) -> dict[str, Any]:
        """The reader's settings and their defaults."""
        parameters = inspect.signature(self.read).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


_ALL = (
    DatasetInfo(
        name="wisdm",
        title="WISDM v1.1",
        what="36 people, a phone in the trouser pocket, six activities; 20 Hz, m/s2; 1,098,207 rows",
        layout="WISDM_ar_v1.1_raw.txt, alone or in a folder or archive",
        window_s=10.0,
        licence="cite the authors",
        citation="Kwapisz, Weiss, Moore 2011, SIGKDD Explorations 12(2), 74-82",
        url="https://www.cis.fordham.edu/wisdm/dataset.php",
        module="wisdm",
    ),
    DatasetInfo(
        name="hapt",
        title="HAPT, UCI HAR raw",
        what="30 people, a phone at the waist, six activities and six changes of posture; 50 Hz, g",
        layout="RawData/acc_expEE_userUU.txt (61 files) and RawData/labels.txt, in a folder, zip or tar",
        window_s=2.56,
        licence="CC BY 4.0",
        citation="Reyes-Ortiz, Oneto, Sama, Parra, Anguita 2016, Neurocomputing 171, 754-767",
        url="https://archive.ics.uci.edu/dataset/341",
        module="hapt",
    ),
    DatasetInfo(
        name="daphnet",
        title="Daphnet Freezing of Gait",
        what="10 people with Parkinson's disease, ankle, thigh and trunk, freeze or no freeze; 64 Hz, mg",
        layout="dataset/S<ss>R<rr>.txt (17 files, also .txt.xz), in a folder, zip or tar",
        window_s=5.0,
        licence="CC BY 4.0",
        citation="Bächlin, Plotnik, Roggen, Maidan, Hausdorff, Giladi, Tröster 2010, IEEE T-ITB 14(2), 436-446",
        url="https://archive.ics.uci.edu/dataset/245",
        module="daphnet",
    ),
    DatasetInfo(
        name="wisdm_windows",
        title="WISDM v1.1, recovered windows",
        what="36 people, a phone in the trouser pocket, six activities; 7,292 windows of 6.4 s at 20 Hz, order lost",
        layout="wisdm_v1.1_windows128_20hz.npz or .npz.xz",
        window_s=6.4,
        licence="cite the authors of WISDM",
        citation="Kwapisz, Weiss, Moore 2011, SIGKDD Explorations 12(2), 74-82",
        url="https://github.com/ayhamo/SRP_Domain_Adaptation (data/WISDM, from which they were recovered)",
        module="wisdm_windows",
        people="wisdm",
    ),
    DatasetInfo(
        name="road_surface",
        title="Road surfaces by phone",
        what="3 collectors' phones in cars, smooth, bumpy or rough road; about 10 Hz, m/s2 without gravity",
        layout="RoadSurfaceDataCollector<n>/<date>_<time>.csv (98 files), in a folder or zip",
        window_s=5.0,
        licence="GPL-3.0",
        citation="repository simonwu53/RoadSurfaceRecognition",
        url="https://github.com/simonwu53/RoadSurfaceRecognition",
        module="road_surface",
        split_by="recording",  # collectors 1 and 2 rode in one car
    ),
    DatasetInfo(
        name="goat",
        title="Multi sensor-orientation movement data of goats",
        what="5 goats, six sensors on the collar, stationary, walking, running, trotting; 100 Hz, m/s2",
        layout="<animal>/pos_<letter>.csv, as G1/pos_A.csv, in a folder, zip or tar",
        window_s=2.0,
        licence="DANS terms; cite the authors",
        citation="Kamminga, Le, Meijers, Bisby, Meratnia, Havinga 2018, Proc. ACM IMWUT 2(1), 17",
        url="https://doi.org/10.17026/dans-xhn-bsfb",
        module="goat",
    ),
    DatasetInfo(
        name="pvs",
        title="PVS, Passive Vehicular Sensors",
        what="3 drivers with a car each, 9 drives, asphalt, cobblestone or dirt; six sensors, 100 Hz, m/s2",
        layout="PVS 1 to PVS 9, each with dataset_gps_mpu_left.csv, dataset_gps_mpu_right.csv, dataset_labels.csv",
        window_s=5.0,
        licence="CC BY-NC-ND 4.0",
        citation="Menegazzo, von Wangenheim 2020, SBESC, 1-8",
        url="https://www.kaggle.com/datasets/jefmenegazzo/pvs-passive-vehicular-sensors-datasets",
        module="pvs",
    ),
    DatasetInfo(
        name="motionsense",
        title="MotionSense",
        what="24 people, a phone in the trouser pocket, six activities in 15 trials; 50 Hz, g",
        layout="A_DeviceMotion_data/<activity>_<trial>/sub_<n>.csv, in a folder or zip",
        window_s=2.56,
        licence="ODbL 1.0 (Kaggle), MIT (repository)",
        citation="Malekzadeh, Clegg, Cavallaro, Haddadi 2018, W-P2DS, 1-6",
        url="https://github.com/mmalekzadeh/motion-sense",
        module="motionsense",
    ),
    DatasetInfo(
        name="capture24",
        title="Capture-24",
        what="151 people, the wrist for a day, six classes of Willetts 2018 from camera and diary; 100 Hz, g",
        layout="P001.csv.gz to P151.csv.gz and annotation-label-dictionary.csv, in a folder or zip",
        window_s=10.0,
        licence="CC BY 4.0",
        citation="Chan Chang, Walmsley, Gershuny et al. 2024, Scientific Data 11, 1135",
        url="https://ora.ox.ac.uk/objects/uuid:99d7c092-d865-4a19-b096-cc16440cd001",
        module="capture24",
    ),
    DatasetInfo(
        name="folder",
        title="Recordings of one's own",
        what="device files of any format that imuspec reads, with a table of labels or annotations of their own",
        layout="device files at any depth, labels.csv: file, start, end, label[, subject, sensor]",
        window_s=10.0,
        licence="yours",
        citation="",
        url="",
        module="folder",
    ),
)
CATALOGUE = {info.name: info for info in _ALL}


def find_set(name: str, *, option: str = "name") -> DatasetInfo:
    """Return the entry of a set.

    Parameters
    ----------
    name : str
        Name in `CATALOGUE`.
    option : str, default "name"
        Name of the option, for the message.

    Raises
    ------
    ValueError
        If no set has that name.
    """
    if name not in CATALOGUE:
        raise ValueError(unknown_name(option, name, CATALOGUE, listing="`imuspec datasets`"))
    return CATALOGUE[name]


def people_of(name: str, path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Return the identities of the people in a copy of a set: two sets that share one have the same people.

    Parameters
    ----------
    name : str
        Name in `CATALOGUE`.
    path : path
        Copy of the set. A folder of one's own is identified by its path and by a digest of its files' names and sizes, so
        that it stays itself when it is read again or moved.
    """
    if name != "folder":
        return (find_set(name).people or name,)
    folder = Path(path).resolve()
    digest = hashlib.sha256()
    for file in sorted(file for file in folder.rglob("*") if file.is_file()):
        digest.update(f"{file.relative_to(folder).as_posix()}\0{file.stat().st_size}\n".encode())
    return f"folder {folder}", f"folder {digest.hexdigest()[:32]}"


def _checked(info: DatasetInfo, settings: dict[str, Any]) -> dict[str, Any]:
    known = info.settings
    for key in settings:
        if key not in known:
            raise ValueError(unknown_name(f"settings of {info.name}", key, known))
    return settings


def labelled_recordings(name: str, path: str | os.PathLike[str], **settings: Any) -> Iterator[LabelledRecording]:
    """Continuous signals of a public set, each sample with its label.

    Parameters
    ----------
    name : str
        The set: a name of `CATALOGUE`.
    path : path-like
        Where it lies, in its official layout.
    **settings : object
        Those of the set's reader, as ``sensors=("trunk",)`` for Daphnet; see ``imuspec.datasets.<name>.recordings``.

    Yields
    ------
    LabelledRecording, one at a time.

    Raises
    ------
    ValueError
        A name or setting that is none, a unit that cannot be right.
    FileNotFoundError, RecordingError
        A file that is missing or not what the layout says.

    Examples
    --------
    >>> from imuspec.datasets import labelled_recordings
    >>> for recording in labelled_recordings("daphnet", "dataset/", sensors=("ankle",)):  # doctest: +SKIP
    ...     print(recording)
    """
    info = find_set(name)
    return info.read(path, **_checked(info, settings))


def load(
    name: str,
    path: str | os.PathLike[str],
    *,
    window_s: float | None = None,
    rate: float = 50.0,
    overlap: float = 0.5,
    resampling: Resampling = "linear",
    lowpass_hz: float | None = None,
    min_agreement: float = 0.0,
    **settings: Any,
) -> Windows:
    """Labelled windows of a public set, in g.

    The files' unit is checked by the median norm; gaps above two sample periods and samples without a class end a
    stretch; windows lie within one, at one rate, and take the label of most of their samples. Rows of the files that
    are in no window are counted by reason.

    Parameters
    ----------
    name : str
        The set: a name of `CATALOGUE`.
    path : path-like
        Where it lies, in its official layout: folder, archive or file.
    window_s : float, optional
        Length of a window, s; default: the set's.
    rate : float, default 50.0
        Samples a second, Hz.
    overlap : float, default 0.5
        Part of a window that the next one shares, from 0 to below 1.
    resampling : {"linear", "polyphase", "none"}, default "linear"
        linear: on the files' time stamps; polyphase: with the low-pass that a change of rate needs; none.
    lowpass_hz : float, optional
        Cut-off of a zero-phase low-pass applied before, Hz.
    min_agreement : float, default 0.0
        Part of a window's samples that must bear its label.
    **settings : object
        Those of the set's reader; ``imuspec datasets NAME`` lists them.

    Returns
    -------
    Windows

    Raises
    ------
    ValueError
        A name or setting that is none, a unit that cannot be right, not one window.
    FileNotFoundError, RecordingError
        A file that is missing or not what the layout says.

    Examples
    --------
    >>> from imuspec import datasets
    >>> windows = datasets.load("hapt", "HAPT Data Set/", window_s=5.12)  # doctest: +SKIP
    >>> split = datasets.subject_split(windows, seed=0)  # doctest: +SKIP
    """
    info = find_set(name)
    made = cut(
        info.read(path, **_checked(info, settings)),
        window_s=info.window_s if window_s is None else window_s,
        rate=rate,
        overlap=overlap,
        resampling=resampling,
        lowpass_hz=lowpass_hz,
        min_agreement=min_agreement,
        name=name,
    )
    return replace(made, split_by=info.split_by, people=people_of(name, path), settings={**made.settings, **settings})
