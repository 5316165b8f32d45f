"""What a device measured: samples in runs without gaps, each with its time."""

from __future__ import annotations

from imuspec.recording.recording import Event, Quality, Recording, read

__all__ = ["Event", "Quality", "Recording", "read"]
