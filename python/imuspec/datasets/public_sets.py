"""The public sets: content, layout, licence, citation and source of each."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from imuspec.datasets.recordings import LabelledRecording

__all__ = ["SETS", "DatasetInfo"]


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


SETS = (
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
        name="uci_har",
        title="UCI HAR, processed",
        description="30 people, a phone at the waist, six activities; 10,299 windows of 2.56 s at 50 Hz, g, also without gravity",
        layout="train and test with Inertial Signals/total_acc_x_train.txt, y_train.txt, subject_train.txt, in a folder or zip",
        window_s=2.56,
        licence="CC BY 4.0",
        citation="Anguita, Ghio, Oneto, Parra, Reyes-Ortiz 2013, ESANN, 437-442",
        url="https://archive.ics.uci.edu/dataset/240",
        module="uci_har",
        people="hapt",
    ),
    DatasetInfo(
        name="pamap2",
        title="PAMAP2 Physical Activity Monitoring",
        description="9 people, hand, chest and ankle, twelve activities and six optional ones; 100 Hz, m/s2; 2,872,533 rows",
        layout="Protocol/subject101.dat to subject109.dat, and Optional, in a folder, zip or tar",
        window_s=5.12,
        licence="CC BY 4.0",
        citation="Reiss, Stricker 2012, ISWC, 108-109",
        url="https://archive.ics.uci.edu/dataset/231",
        module="pamap2",
    ),
    DatasetInfo(
        name="wisdm2019",
        title="WISDM Smartphone and Smartwatch Activity and Biometrics",
        description="51 people, phone in the pocket and watch, 18 activities; 20 Hz, m/s2; phone 4,804,403, watch 3,777,046 rows",
        layout="raw/<phone or watch>/accel/data_1600_accel_phone.txt to data_1650_..., in a folder or zip",
        window_s=10.0,
        licence="CC BY 4.0",
        citation="Weiss, Yoneda, Hayajneh 2019, IEEE Access 7, 133190-133202",
        url="https://archive.ics.uci.edu/dataset/507",
        module="wisdm2019",
    ),
    DatasetInfo(
        name="realworld",
        title="RealWorld (HAR)",
        description="15 people, seven positions on the body, eight activities outdoors; 50 Hz, m/s2",
        layout="proband1 to proband15, each with data/acc_<activity>_csv.zip, in a folder or zip",
        window_s=5.0,
        licence="cite the authors",
        citation="Sztyler, Stuckenschmidt 2016, IEEE PerCom, 1-9",
        url="https://www.uni-mannheim.de/dws/research/projects/activity-recognition/dataset/dataset-realworld/",
        module="realworld",
    ),
    DatasetInfo(
        name="hhar",
        title="HHAR, Heterogeneity Activity Recognition",
        description="9 people, phones at the waist and watches, 6 activities; 50-200 Hz, m/s2; 13,062,475 and 3,540,962 rows",
        layout="Phones_accelerometer.csv and Watch_accelerometer.csv, in a folder or zip",
        window_s=5.0,
        licence="CC BY 4.0",
        citation="Stisen, Blunck, Bhattacharya, Prentow, Kjærgaard, Dey, Sonne, Jensen 2015, SenSys, 127-140",
        url="https://archive.ics.uci.edu/dataset/344",
        module="hhar",
    ),
    DatasetInfo(
        name="opportunity",
        title="OPPORTUNITY Activity Recognition",
        description="4 people in a kitchen, 17 accelerometers, four modes of locomotion or 17 gestures; 30 Hz, mg",
        layout="dataset/S<n>-ADL<r>.dat and S<n>-Drill.dat (24 files), in a folder or zip",
        window_s=2.0,
        licence="CC BY 4.0",
        citation="Chavarriaga, Sagha, Calatroni, Digumarti, Tröster, Millán, Roggen 2013, Pattern Recogn. Lett. 34, 2033-2042",
        url="https://archive.ics.uci.edu/dataset/226",
        module="opportunity",
    ),
    DatasetInfo(
        name="mhealth",
        title="mHealth",
        description="10 people, chest, ankle and wrist, twelve activities; 50 Hz, m/s2; 1,215,745 rows",
        layout="mHealth_subject1.log to mHealth_subject10.log, in a folder or zip",
        window_s=5.0,
        licence="CC BY 4.0",
        citation="Banos, Garcia, Holgado-Terriza, Damas, Pomares, Rojas, Saez, Villalonga 2014, IWAAL, 91-98",
        url="https://archive.ics.uci.edu/dataset/319",
        module="mhealth",
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
