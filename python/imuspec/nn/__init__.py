"""The spectral kernels as PyTorch modules.

A module multiplies frames by a constant real matrix in place of a Fourier transform. It needs no complex tensors, so it can
be exported (``torch.export``, ONNX) and trained under autocast. It computes in float32 or float64. On a CPU the loss uses the
native kernel. Tests compare the modules with the native kernels.
"""

from __future__ import annotations

from imuspec.nn.image import RGBImage, Spectrogram
from imuspec.nn.magnitude import LMMLoss, LogMagnitudeVariance, LogMeanMagnitude, lmm_loss

__all__ = ["LMMLoss", "LogMagnitudeVariance", "LogMeanMagnitude", "RGBImage", "Spectrogram", "lmm_loss"]
