"""README.md: its commands and programs run, its links lead somewhere, and a release makes them absolute."""

from __future__ import annotations

import importlib.util
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from imuspec.cli import app, main
from imuspec.simulation import simulate

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
LINK = re.compile(r"\]\(([^)\s]+)\)")


def blocks(kind: str) -> list[str]:
    """The code blocks of a language."""
    return re.findall(rf"```{kind}\n(.*?)```", README, re.DOTALL)


def commands() -> Iterator[str]:
    """The command lines of the shell blocks, without their comments."""
    for block in blocks("sh"):
        for line in block.splitlines():
            yield " ".join(shlex.split(line, comments=True)) if "'" not in line else line.partition("  #")[0].strip()


COMMANDS = list(commands())


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a short recording where the README has a week, as the current one."""
    (tmp_path / "recordings").mkdir()
    simulate(tmp_path / "recordings" / "p1.cwa", days=0.05, seed=0)
    (tmp_path / "week.cwa").write_bytes((tmp_path / "recordings" / "p1.cwa").read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("imuspec")])
def test_a_command_and_its_options_exist(command: str) -> None:
    app.parse_args(shlex.split(command)[1:], exit_on_error=False, print_error=False)


def test_every_other_command_installs_an_extra_that_exists() -> None:
    page = (ROOT / "docs" / "how-to" / "install.md").read_text("utf-8")
    block = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)[0]
    installs = [" ".join(line.partition("#")[0].split()) for line in block.splitlines()]
    assert {command for command in COMMANDS if not command.startswith("imuspec")} <= set(installs)
    extras = [extra for extra in PROJECT["optional-dependencies"] if extra not in ("dev", "all")]
    assert installs == ["pip install imuspec"] + [f"pip install 'imuspec[{extra}]'" for extra in _order(extras)]


def _order(extras: list[str]) -> list[str]:
    return sorted(extras, key=["report", "cluster", "train", "export", "phone", "imagenet"].index)


def test_the_first_commands_run_one_after_the_other(inside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = next(block for block in blocks("sh") if "imuspec simulate" in block)
    for line in first.splitlines():
        words = shlex.split(line, comments=True)[1:]
        if words[0] in ("image", "report") and importlib.util.find_spec("matplotlib") is None:
            continue
        small = {"7": "0.05", "8": "1"}
        words = [small.get(word, word) for word in words]
        if words[0] == "prepare":
            words += ["--recipe", "capture24"]
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert not ended.value.code, (words, capsys.readouterr().err)
    assert (inside / "cohort" / "recordings.parquet").is_file()


@pytest.mark.usefixtures("inside")
def test_the_first_program_runs(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["prepare", "recordings", "--out", "cohort", "--recipe", "capture24", "--workers", "1", "--quiet"])
    program = next(block for block in blocks("python") if "imuspec.read" in block)
    assert len([line for line in program.splitlines() if line.strip()]) <= 18
    exec(compile(program.replace("24.0", "0.5"), "README.md", "exec"), {})
    out = capsys.readouterr().out
    for part in ("(3, 427320)", "Prepared('week', ok: 1.2 h of wear", "(3, 96, 128)", "(3, 54000)"):
        assert part in out


def test_the_readme_has_two_screens() -> None:
    assert len(README.splitlines()) <= 100


def test_every_link_leads_to_a_file() -> None:
    links = [link for link in LINK.findall(README) if not link.startswith("https://")]
    assert len(links) > 8
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_a_citation_names_the_version() -> None:
    text = (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"version: {PROJECT['version']}\n" in text


@pytest.fixture
def address() -> ModuleType:
    """The script of a release that writes the repository's address."""
    described = importlib.util.spec_from_file_location("address", ROOT / ".ci" / "address.py")
    assert described is not None
    assert described.loader is not None
    module = importlib.util.module_from_spec(described)
    described.loader.exec_module(module)
    return module


def test_a_release_has_absolute_links_and_addresses(address: ModuleType) -> None:
    readme = address.absolute(README, "https://host/owner/imuspec", "v1.2")
    assert [link for link in LINK.findall(readme) if not link.startswith("https://")] == []
    assert "(https://host/owner/imuspec/raw/v1.2/docs/days.png)" in readme
    assert "(https://host/owner/imuspec/blob/v1.2/docs/explanation/compare.md)" in readme
    settings = address.with_urls((ROOT / "pyproject.toml").read_text("utf-8"), "https://host/owner/imuspec", "v1.2")
    urls = tomllib.loads(settings)["project"]["urls"]
    assert urls["Issues"] == "https://host/owner/imuspec/issues"
    assert tomllib.loads(settings)["project"]["scripts"] == PROJECT["scripts"]


def test_a_tag_that_is_not_the_version_is_refused(address: ModuleType) -> None:
    settings = (ROOT / "pyproject.toml").read_text("utf-8")
    for tag in (f"v{PROJECT['version']}", "main"):
        address.check_tag(settings, tag)
    with pytest.raises(SystemExit, match=f"expected v{PROJECT['version']}.*, got v9"):
        address.check_tag(settings, "v9.9.9")
