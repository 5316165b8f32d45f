"""What a section of a pre-training declares beside its fields: what it needs, and what fits it."""

from __future__ import annotations

from typing import ClassVar, Literal

from imuspec.recipe.settings import Settings

__all__ = ["EncoderSettings", "Need", "ObjectiveSettings", "ViewsSettings"]

Need = Literal["n_classes", "n_steps", "n_tasks", "total_steps"]
"""A fact of the data or the training: labels, samples of a window, operations that the views label, optimiser steps."""

ANY_SIGNAL = ("cnn1d", "tpn", "limu_bert", "cpc", "cpc_original", "harnet")
"""Encoders of windows that any objective on windows trains."""


class EncoderSettings(Settings):
    """A section whose fields and needs are the arguments of an encoder's maker."""

    needs: ClassVar[tuple[Need, ...]] = ()


class ObjectiveSettings(Settings):
    """A section whose fields and needs are the arguments of an objective's class.

    Attributes
    ----------
    needs : tuple of str
        Arguments that the data and the training give, not the recipe.
    source : str
        Name of the source that it takes.
    views, encoders : tuple of str
        Names of the views and encoders that it takes.
    """

    needs: ClassVar[tuple[Need, ...]] = ()
    source: ClassVar[str] = "images"
    views: ClassVar[tuple[str, ...]] = ("img2imu", "moco", "all", "moco_v3")
    encoders: ClassVar[tuple[str, ...]] = ("resnet18", "vit")


class ViewsSettings(Settings):
    """A section whose fields are the arguments of a view generator."""

    @property
    def n_tasks(self) -> int | None:
        """Number of operations that the views label; None where they label none."""
        return None
