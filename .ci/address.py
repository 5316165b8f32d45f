"""Write the address of the repository into README.md and pyproject.toml, for a release: address.py URL TAG.

README's links are relative, so that they work in any clone; PyPI needs absolute ones. The release workflow knows the address.
A tag vX.Y.Z that is not the version of the package is an error.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?://|#|mailto:)([^)\s]+)\)")


def absolute(text: str, url: str, tag: str) -> str:
    """The text with absolute links: a picture to its bytes, a file to its page."""
    return LINK.sub(lambda m: f"{m[1]}[{m[2]}]({url}/{'raw' if m[1] else 'blob'}/{tag}/{m[3]})", text)


def with_urls(settings: str, url: str, tag: str) -> str:
    """The text of pyproject.toml with the table of addresses before that of the commands."""
    pages = {
        "Homepage": url,
        "Source": url,
        "Issues": f"{url}/issues",
        "Documentation": f"{url}/blob/{tag}/docs/index.md",
        "Changelog": f"{url}/blob/{tag}/CHANGELOG.md",
    }
    table = "".join(f'{name} = "{page}"\n' for name, page in pages.items())
    assert settings.count("[project.scripts]\n") == 1
    return settings.replace("[project.scripts]\n", f"[project.urls]\n{table}\n[project.scripts]\n")


def check_tag(settings: str, tag: str) -> None:
    """Raise SystemExit if a tag of a version is not that of pyproject.toml; the name of a branch passes."""
    version = tomllib.loads(settings)["project"]["version"]
    if re.fullmatch(r"v\d.*", tag) and tag != f"v{version}":
        sys.exit(f"tag: expected v{version}, the version of pyproject.toml, got {tag}")


if __name__ == "__main__":
    url, tag = sys.argv[1].rstrip("/"), sys.argv[2]
    check_tag((ROOT / "pyproject.toml").read_text("utf-8"), tag)
    for name, change in (("README.md", absolute), ("pyproject.toml", with_urls)):
        path = ROOT / name
        path.write_text(change(path.read_text("utf-8"), url, tag), "utf-8")
