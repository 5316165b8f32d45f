"""Windows as spectrograms, RGB images, features and other pictures."""

from __future__ import annotations

from imuspec.spectral.encodings import gramian_angular_field, recurrence_plot, scalogram
from imuspec.spectral.frame_length import choose_nfft
from imuspec.spectral.image import rgb_image, training_range
from imuspec.spectral.magnitude import log_magnitude_variance, log_mean_magnitude
from imuspec.spectral.settings import ImageSettings
from imuspec.spectral.spectrogram import spectrogram
from imuspec.spectral.statistics import STATISTICS, window_features
from imuspec.spectral.stream import ImageStream

__all__ = [
    "STATISTICS",
    "ImageSettings",
    "ImageStream",
    "choose_nfft",
    "gramian_angular_field",
    "log_magnitude_variance",
    "log_mean_magnitude",
    "recurrence_plot",
    "rgb_image",
    "scalogram",
    "spectrogram",
    "training_range",
    "window_features",
]
