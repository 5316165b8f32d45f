"""The folder of a training, loading of encoders, public weights, and export to ONNX."""

from __future__ import annotations

from imuspec.run.run import Run

__all__ = ["Run"]
