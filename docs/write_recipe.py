"""Write docs/reference/recipe.md: every recipe that comes with the package, and every setting with default, unit, meaning.

Run it after a change of a setting; a test holds the page to the code. With ``-`` it prints the page.
"""

from __future__ import annotations

import json
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from imuspec.cli.recipe import unit
from imuspec.recipe import FitRecipe, PretrainRecipe, ProbeRecipe, Recipe
from imuspec.recipe.settings import LABELS, NamedRecipe

PAGE = Path(__file__).parent / "reference" / "recipe.md"
HEAD = """# Recipes

A recipe has all settings of a run. `imuspec recipe` lists the recipes of the package, and `imuspec recipe NAME` the settings of
one with their values. `--set section.setting=value` of `prepare`, `image`, `report`, `pretrain`, `probe`, `embed` and `fit`
changes a setting. A TOML file can be used instead of a name:

```toml
# mine.toml: settings that are not given have their defaults
[segments]
min_wear_h = 4
```

The recipe is stored as JSON beside every result. `docs/write_recipe.py` writes this page.
"""
FAMILIES: list[tuple[str, type[NamedRecipe], str]] = [
    ("Preparation", Recipe, "From a device file to calibrated wear: `imuspec prepare`, `image` and `report`."),
    (
        "Pre-training",
        PretrainRecipe,
        "`imuspec pretrain`. A section with several kinds is chosen by `SECTION.name=KIND`.",
    ),
    ("Probe", ProbeRecipe, "`imuspec probe` and `imuspec embed`."),
    ("Fit", FitRecipe, "`imuspec fit`."),
]


def models(annotation: Any) -> list[type[BaseModel]]:
    """Classes of settings that a section may have."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in typing.get_args(annotation) for model in models(inner)]


def table(rows: list[tuple[str, FieldInfo]]) -> Iterator[str]:
    """Yield a table of settings."""
    yield "| setting | default | unit | meaning |"
    yield "| --- | --- | --- | --- |"
    for name, field in rows:
        default = field.get_default(call_default_factory=True, validated_data={})
        shown = "required" if default is PydanticUndefined else f"`{json.dumps(default)}`".replace('"', "")
        yield f"| `{name}` | {shown} | {unit(name.rpartition('.')[2])} | {cell(field.description or '')} |"
    yield ""


def cell(text: str) -> str:
    """Text that stands in a cell of a table."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("_", "\\_").replace("*", "\\*")


def page() -> str:
    """The page as Markdown."""
    lines = [HEAD]
    for title, family, about in FAMILIES:
        lines += [f"## {title}", "", about, "", "| recipe | description |", "| --- | --- |"]
        lines += [f"| `{name}` | {cell(family.load(name).about)} |" for name in family.names()]
        lines.append("")
        for section, field in family.model_fields.items():
            if section in LABELS:
                continue
            kinds = models(field.annotation)
            lines += [f"### {title}: {section}", ""]
            if not kinds:
                lines += table([(section, field)])
            for kind in kinds:
                name = kind.model_fields["name"].default if len(kinds) > 1 else ""
                lines += [f"Kind `{name}`. {kind.__doc__}" if name else str(kind.__doc__), ""]
                own = [(f"{section}.{key}", f) for key, f in kind.model_fields.items() if not (name and key == "name")]
                lines += table(own) if own else []
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    if sys.argv[1:] == ["-"]:
        sys.stdout.write(page())
    else:
        PAGE.write_text(page(), "utf-8")
