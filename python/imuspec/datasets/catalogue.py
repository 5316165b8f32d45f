"""The catalogue of public sets: content, layout, licence, citation and source of each."""

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
    """An entry of the catalogue.

    Attributes
    ----------
    name : str
        Name for `load`.
    title, description : str
        Full name, and content in one sentence.
    layout : str
        Expected files.
    window_s : float
        Default length of a window, s.
    licence, citation, url : str
        Terms, citation and source.
    module : str
        Module of the reader, below ``imuspec.datasets``.
    split_by : {"subject", "recording"}
        Unit that a split assigns to its parts.
    people : str, default the set's own name
        Name of the set whose people these are, subject numbers included, where that is another set.
    """

    name: str
    title: str
    description: str
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
        """The reader: ``read(path, **settings)`` yields labelled recordings."""
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
        description="36 people, a phone in the trouser pocket, six activities; 20 Hz, m/s2; 1,098,207 rows",
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
        description="30 people, a phone at the waist, six activities and six changes of posture; 50 Hz, g",
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
        description="10 people with Parkinson's disease, ankle, thigh and trunk, freeze or no freeze; 64 Hz, mg",
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
        description="36 people, a phone in the trouser pocket, six activities; 7,292 windows of 6.4 s at 20 Hz, order lost",
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
        description="3 collectors' phones in cars, smooth, bumpy or rough road; about 10 Hz, m/s2 without gravity",
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
        description="5 goats, six sensors on the collar, stationary, walking, running, trotting; 100 Hz, m/s2",
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
        description="3 drivers with a car each, 9 drives, asphalt, cobblestone or dirt; six sensors, 100 Hz, m/s2",
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
        description="24 people, a phone in the trouser pocket, six activities in 15 trials; 50 Hz, g",
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
        description="151 people, the wrist for a day, six classes of Willetts 2018 from camera and diary; 100 Hz, g",
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
        description="device files and tables; labels in their names, in a column, in a table, or as annotations",
        layout="files at any depth; pattern=, label_column=, or labels.csv: file, label[, start, end, subject, sensor]",
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
    """Return identities of the people in a copy of a set; two sets with a common identity have the same people.

    Parameters
    ----------
    name : str
        Name in `CATALOGUE`.
    path : path-like
        Copy of the set. A folder of recordings is identified by its path, and by a digest of the names and sizes of its
        files, so that a moved folder is recognised.
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
    """Yield the continuous recordings of a public set, each sample with its label.

    Parameters
    ----------
    name : str
        Name in `CATALOGUE`.
    path : path-like
        The set in its official layout.
    **settings : object
        Settings of the reader, as ``sensors=("trunk",)`` for Daphnet; see ``imuspec.datasets.<name>.recordings``.

    Yields
    ------
    LabelledRecording

    Raises
    ------
    ValueError
        If the name or a setting is unknown, or the unit contradicts the data.
    FileNotFoundError, RecordingError
        If a file is missing or differs from the layout.

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
    resampling: Resampling = "auto",
    lowpass_hz: float | None = None,
    min_agreement: float = 0.0,
    **settings: Any,
) -> Windows:
    """Return labelled windows of a public set, in g.

    The median norm checks the unit of the files. A gap above two sample periods, or a sample without a class, ends a stretch.
    Windows lie inside a stretch, have one rate, and take the most frequent label of their samples. Rows that are in no
    window are counted by reason.

    Parameters
    ----------
    name : str
        Name in `CATALOGUE`.
    path : path-like
        The set in its official layout: folder, archive or file.
    window_s : float, optional
        Length of a window, s. The default is that of the set.
    rate : float, default 50.0
        Sample rate, Hz.
    overlap : float, default 0.5
        Part of a window that the next one shares, from 0 to below 1.
    resampling : {"auto", "linear", "polyphase", "none"}, default "auto"
        auto: without aliasing; linear: the straight line between the files' samples, as in the papers, which aliases to a lower
        rate; polyphase and none as for `imuspec.datasets.cutting.stretches`.
    lowpass_hz : float, optional
        Cut-off of a zero-phase low-pass before resampling, Hz.
    min_agreement : float, default 0.0
        Share of a window's samples that must have its label.
    **settings : object
        Settings of the reader; ``imuspec datasets NAME`` lists them.

    Returns
    -------
    Windows

    Raises
    ------
    ValueError
        If the name or a setting is unknown, the unit contradicts the data, or there is no window.
    FileNotFoundError, RecordingError
        If a file is missing or differs from the layout.

    Examples
    --------
    >>> from imuspec import datasets
    >>> windows = datasets.load("hapt", "HAPT Data Set/", window_s=5.12)  # doctest: +SKIP
    >>> split = datasets.subject_split(windows, seed=0)  # doctest: +SKIP
    """
    info = find_set(name)
    windows = cut(
        info.read(path, **_checked(info, settings)),
        window_s=info.window_s if window_s is None else window_s,
        rate=rate,
        overlap=overlap,
        resampling=resampling,
        lowpass_hz=lowpass_hz,
        min_agreement=min_agreement,
        name=name,
    )
    return replace(
        windows, split_by=info.split_by, people=people_of(name, path), settings={**windows.settings, **settings}
    )
