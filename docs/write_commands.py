"""Write docs/reference/options.md: every command with its options, from the commands themselves.

Run it after a change of a command; a test holds the page to the code. With ``-`` it prints the page.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from unittest import mock

from imuspec.cli import app

PAGE = Path(__file__).parent / "reference" / "options.md"
HEAD = """# Options of commands

`imuspec COMMAND --help` shows the same. [Commands](commands.md) has the exit codes and the keys of `--json`.
`docs/write_commands.py` writes this page.
"""


def page() -> str:
    """The page as Markdown: the documentation that Cyclopts makes, without its contents and the installation of completion."""
    with mock.patch.object(sys, "argv", ["imuspec"]):  # Cyclopts names the program that runs, such as python -m pytest
        text = app.generate_docs(output_format="markdown", recursive=True)
    sections = re.split(r"^(?=##+ imuspec )", text, flags=re.MULTILINE)[1:]
    commands = [section for section in sections if not section.startswith("## imuspec --")]
    body = re.sub(r"```console\n(.*?)\n```", r"`\1`", "".join(commands))  # usage, which is no command to run
    return f"{HEAD}\n{body.rstrip()}\n"


if __name__ == "__main__":
    if sys.argv[1:] == ["-"]:
        sys.stdout.write(page())
    else:
        PAGE.write_text(page(), "utf-8")
