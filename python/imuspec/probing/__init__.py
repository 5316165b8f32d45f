"""Judge a frozen encoder with few labels: compute features once, fit heads on them.

`probe` is the protocol: splits by subject, nested draws of n labels a class, grids chosen on the validation part, scores with
intervals on the test part. A `FeatureSource` returns the features (`EncoderSource`; `StatisticsSource`, `MomentsSource` and
`RowMeans` have no parameters). A head of `HEADS` is fitted on them. `probe_patches` judges an encoder of ten-second patches
by a head on its features of fifty-minute windows. `supervised` trains all parameters on all labels. Two settings of the
pictures matter in every comparison: ``norm`` (the paper's scales each axis of each window separately, which removes the
intensity of motion) and ``batch_norm`` (``training`` takes the statistics in the batch norms from unlabelled training
windows, as those of natural pictures do not fit spectrograms).
"""

from imuspec.probing.heads import HEADS, Fitted, Task, fit, fit_linear, fit_logistic, fit_modules
from imuspec.probing.parameter_free import MomentsSource, RowMeans, StatisticsSource, moments
from imuspec.probing.patch_features import PatchFeatures, embed_patches, raw_windows
from imuspec.probing.patch_heads import (
    Head,
    HeadName,
    PatchHeadSettings,
    class_weights,
    fit_patch_head,
    score_patches,
)
from imuspec.probing.patch_protocol import out_of_fold, probe_patches
from imuspec.probing.protocol import capped, probe
from imuspec.probing.results import ProbeResult
from imuspec.probing.sources import (
    EncoderSource,
    FeatureSource,
    embed,
    with_batch_norms_of,
)
from imuspec.probing.supervised import Classifier, fit_supervised, supervised

__all__ = [
    "HEADS",
    "Classifier",
    "EncoderSource",
    "FeatureSource",
    "Fitted",
    "Head",
    "HeadName",
    "MomentsSource",
    "PatchFeatures",
    "PatchHeadSettings",
    "ProbeResult",
    "RowMeans",
    "StatisticsSource",
    "Task",
    "capped",
    "class_weights",
    "embed",
    "embed_patches",
    "fit",
    "fit_linear",
    "fit_logistic",
    "fit_modules",
    "fit_patch_head",
    "fit_supervised",
    "moments",
    "out_of_fold",
    "probe",
    "probe_patches",
    "raw_windows",
    "score_patches",
    "supervised",
    "with_batch_norms_of",
]
