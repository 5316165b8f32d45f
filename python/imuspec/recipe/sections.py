"""Base classes of a pre-training's sections. Beside its fields a section declares its needs, and the sections that fit."""

from __future__ import annotations

from typing import ClassVar, Literal

from imuspec.recipe.settings import Settings

__all__ = ["EncoderSettings", "Need", "ObjectiveSettings", "ViewsSettings"]

Need = Literal["n_classes", "n_steps", "n_tasks", "share", "total_steps"]
"""A number that comes from the data or the training: classes, samples of a window, operations that the views label, or
optimiser steps."""

ANY_SIGNAL = ("cnn1d", "tpn", "limu_bert", "cpc", "cpc_original", "harnet")
"""Encoders that fit every general objective on windows."""


class EncoderSettings(Settings):
    """A section whose fields and needs are the arguments of an encoder.

    Attributes
    ----------
    needs : tuple of str
        Arguments that come from the data or the training, not from the recipe.
    """

    needs: ClassVar[tuple[Need, ...]] = ()


class ObjectiveSettings(Settings):
    """A section whose fields and needs are the arguments of an objective.

    Attributes
    ----------
    needs : tuple of str
        Arguments that come from the data or the training, not from the recipe.
    source : str
        Name of the source that fits.
    views, encoders : tuple of str
        Names of the views and encoders that fit.
    """

    needs: ClassVar[tuple[Need, ...]] = ()
    source: ClassVar[str] = "images"
    views: ClassVar[tuple[str, ...]] = ("img2imu", "moco", "all", "moco_v3")
    encoders: ClassVar[tuple[str, ...]] = ("resnet18", "efficientnet_lite0", "vit")


class ViewsSettings(Settings):
    """A section whose fields are the arguments of a view generator."""

    @property
    def n_tasks(self) -> int | None:
        """Number of operations that the views label; None if they have no labels."""
        return None
