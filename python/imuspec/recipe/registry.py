"""Registries build the encoder, objective, views or source that a recipe names."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar, cast

from imuspec.errors import unknown_name

__all__ = ["Registry"]

T = TypeVar("T")


class Registry(Generic[T]):
    """Classes and functions by name. Their modules are imported at first use, so that unused libraries are not loaded.

    Parameters
    ----------
    kind : str
        Kind of the objects, for messages.
    makers : mapping of str to str
        Name -> ``module:attribute`` of a class or function that takes settings as keyword arguments.
    listing : str, default ""
        Call that lists all names, for messages.

    Examples
    --------
    >>> from imuspec.recipe.registry import Registry
    >>> registry = Registry("number", {"fraction": "fractions:Fraction"})
    >>> registry.build("fraction", numerator=1, denominator=2)
    Fraction(1, 2)
    """

    def __init__(self, kind: str, makers: Mapping[str, str], *, listing: str = "") -> None:
        self._kind, self._makers, self._listing = kind, dict(makers), listing

    def names(self) -> list[str]:
        """Return all names, sorted."""
        return sorted(self._makers)

    def maker(self, name: str) -> Callable[..., T]:
        """Return the class or function of a name.

        Parameters
        ----------
        name : str
            One of `names`.

        Raises
        ------
        ValueError
            If `name` is not a known name.
        """
        if name not in self._makers:
            raise ValueError(unknown_name(self._kind, name, self._makers, listing=self._listing))
        module, _, attribute = self._makers[name].partition(":")
        return cast("Callable[..., T]", getattr(importlib.import_module(module), attribute))

    def build(self, name: str, *parts: Any, **settings: Any) -> T:
        """Call the class or function of a name.

        Parameters
        ----------
        name : str
            One of `names`.
        *parts : object
            Positional arguments, such as the encoder of an objective.
        **settings : object
            Keyword arguments.

        Raises
        ------
        ValueError
            If `name` is not a known name, or a setting is not one of the arguments.
        """
        maker = self.maker(name)
        known = list(inspect.signature(maker).parameters)[len(parts) :]
        for key in settings:
            if key not in known:
                raise ValueError(unknown_name(f"settings of {self._kind} {name}", key, known))
        return maker(*parts, **settings)
