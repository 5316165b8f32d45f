"""The code blocks of the pages: read from Markdown, and run in their order as a reader would.

A block is run unless the line above it says what it needs, as `<!-- needs: network -->`. Then only its commands are parsed.
A block of text below a program or commands is their output; `...` in it stands for anything.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from imuspec.cli import app, main

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))
#: What a block may need that a test does not have: `hours` of computing, a `package` of another project, minutes of a `compiler`.
NEEDS = ("network", "gpu", "cluster", "package", "compiler", "hours")
#: Languages that are run, and those that are shown.
RUN, SHOWN = ("sh", "console", "python"), ("text", "toml", "r", "R", "bibtex", "json", "csv", "yaml", "rust", "c", "")
_FENCE = re.compile(r"(?:^<!-- needs: (?P<needs>.*?) -->\n)?^```(?P<language>[^\n`]*)\n(?P<text>.*?)^```$", re.M | re.S)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, what it needs, and the output that the page shows."""

    language: str
    text: str
    needs: str | None
    output: str | None


def blocks(text: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    fences = list(_FENCE.finditer(text))
    result = []
    for n, match in enumerate(fences):
        if match["language"].startswith("{"):  # a directive of Sphinx
            continue
        after = fences[n + 1] if n + 1 < len(fences) else None
        adjacent = after is not None and not text[match.end() : after.start()].strip() and after["language"] == "text"
        output = after["text"] if after is not None and adjacent else None
        result.append(Block(match["language"].strip(), match["text"], match["needs"], output))
    return result


def steps(block: Block) -> Iterator[tuple[str, str | None]]:
    """The commands of a block, each with the output that the page shows for it."""
    if block.language == "console":
        for part in re.split(r"^\$ ", block.text, flags=re.M)[1:]:
            command, _, output = part.partition("\n")
            while command.endswith("\\"):
                more, _, output = output.partition("\n")
                command = command[:-1] + more.removeprefix("> ")
            yield command, output or None
        return
    lines = [line for line in block.text.replace("\\\n", " ").splitlines() if line.strip() and line[0] != "#"]
    for n, line in enumerate(lines):
        yield line, block.output if n == len(lines) - 1 else None


def words_of(command: str) -> list[str]:
    """The words of a command line, without its comment."""
    return shlex.split(command, comments=True)


def commands_of(block: Block) -> list[list[str]]:
    """The commands of imuspec in a block, with variables of a job replaced by 1."""
    if block.language == "python":
        return []
    text = re.sub(r"\$\w+|\$\{\w+\}", "1", block.text.replace("\\\n", " "))
    commands = re.findall(r"(?:^|\s|&& )imuspec ((?!\.)[^&|>\n]*)", re.sub(r"^\$ ", "", text, flags=re.M))
    return [words_of(part.rstrip('"')) for part in commands if part.strip()]


def parse(words: Sequence[str]) -> None:
    """Raise unless the words are a command with its options."""
    app.parse_args(list(words), exit_on_error=False, print_error=False)


def matches(shown: str, printed: str) -> bool:
    """Whether the output is as shown: `...` stands for anything, and white space at the ends of lines is ignored."""
    expected = "\n".join(line.rstrip() for line in shown.strip().splitlines())
    got = "\n".join(line.rstrip() for line in printed.strip().splitlines())
    return re.fullmatch(re.escape(expected).replace(re.escape("..."), ".*"), got, re.DOTALL) is not None


def _exit_code(words: list[str]) -> object:
    try:
        main(words)
    except SystemExit as stop:
        return stop.code
    return 0


class Reader:
    """Follows one page in the current folder: commands in this process, programs in one namespace.

    Parameters
    ----------
    smaller : dict
        Options that make a command quick, by its first words.
    fewer : dict
        Parts of a program, and what makes it quick in their place.
    """

    def __init__(self, smaller: Mapping[str, Sequence[str]], fewer: Mapping[str, str] = MappingProxyType({})) -> None:
        self.smaller, self.fewer = smaller, fewer
        self.n_blocks = 0
        self.names: dict[str, Any] = {"__name__": "__main__"}

    def _quick(self, words: list[str]) -> list[str]:
        result = list(words)
        for start, options in self.smaller.items():
            if not " ".join(words).startswith(start):
                continue
            for option, value in zip(options[::2], options[1::2], strict=True):
                if option in result and option != "--set":
                    result[result.index(option) + 1] = value
                else:
                    result += [option, value]
        return result

    def _command(self, line: str) -> tuple[str, str]:
        words = words_of(line)
        out, errors = io.StringIO(), io.StringIO()
        if not words or words[0] != "imuspec" or re.search(r"[|>;&]", re.sub(r"'[^']*'", "", line)):
            done = subprocess.run(["bash", "-ec", line], capture_output=True, text=True, check=False)
            assert done.returncode == 0, (line, done.stderr)
            return done.stdout, done.stderr
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
            code = _exit_code(self._quick(words[1:]))
        assert not code, (line, errors.getvalue())
        return out.getvalue(), errors.getvalue()

    def _program(self, text: str) -> str:
        for part, replacement in self.fewer.items():
            text = text.replace(part, replacement)
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(text, "page", "exec"), self.names)
        return out.getvalue()

    def follow(self, block: Block) -> None:
        """Run a block, and compare what it prints with what the page shows."""
        self.n_blocks += 1
        if block.language == "python":
            printed = self._program(block.text)
            assert block.output is None or matches(block.output, printed), f"printed:\n{printed}"
            return
        for line, shown in steps(block):
            out, errors = self._command(line)
            agrees = shown is None or matches(shown, out) or matches(shown, errors + out)
            assert agrees, f"{line} printed:\n{errors}{out}"
