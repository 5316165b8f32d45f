"""The spectral kernels as PyTorch modules: constant-matrix transforms for a GPU, the native loss on a CPU.

No complex tensor occurs, so the modules export (``torch.export``, ONNX) and train under autocast: they compute in float32
at least. Tests hold them equal to the native kernels.
"""

from __future__ import annotations

from imuspec.nn.image import RGBImage, Spectrogram
from imuspec.nn.magnitude import LMMLoss, LogMagnitudeVariance, LogMeanMagnitude, lmm_loss

__all__ = ["LMMLoss", "LogMagnitudeVariance", "LogMeanMagnitude", "RGBImage", "Spectrogram", "lmm_loss"]
