"""Recordings: samples in runs without gaps, each with its time, and everything that is wrong with them."""

from __future__ import annotations

from imuspec.recording.quality import Event, Quality
from imuspec.recording.reading import read
from imuspec.recording.recording import Recording

__all__ = ["Event", "Quality", "Recording", "read"]
