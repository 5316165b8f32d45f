"""The wheel as users install it: without any extra, and with each extra alone.

`make test` builds the wheel and installs it into ``.venv/plain``. An extra alone is that environment and the packages that
the extra brings, linked from the test environment, so that nothing is downloaded here.
"""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PLAIN = Path(sys.prefix) / "plain" / "bin"
pytestmark = pytest.mark.skipif(not (PLAIN / "imuspec").is_file(), reason="needs .venv/plain: run make test")


def run(*command: str | Path, cwd: Path, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program of the plain environment, with `path` as further packages."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    return subprocess.run(
        [str(PLAIN / command[0]), *map(str, command[1:])],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def succeed(*command: str | Path, cwd: Path, path: Path | None = None) -> str:
    """Standard output of a command that must succeed."""
    done = run(*command, cwd=cwd, path=path)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with recordings and a cohort made of them, by the plain environment."""
    folder = tmp_path_factory.mktemp("plain")
    (folder / "recordings").mkdir()
    for seed in (0, 1):
        succeed("imuspec", "simulate", f"recordings/p{seed}.cwa", "--days", "0.2", "--seed", str(seed), cwd=folder)
    out = succeed(
        "imuspec", "prepare", "recordings", "--out", "cohort", "--set", "calibration.required=false",
        "--set", "segments.min_wear_h=0.5", "--workers", "2", cwd=folder,
    )  # fmt: skip
    assert "2 ok, 0 excluded, 0 failed" in out
    return folder


def test_no_package_of_an_extra_is_there(folder: Path) -> None:
    code = "import importlib.util as u; print([n for n in ('torch', 'pandas', 'matplotlib', 'scipy', 'dask') if u.find_spec(n)])"
    assert succeed("python", "-c", code, cwd=folder).strip() == "[]"


def test_a_recording_is_shown(folder: Path) -> None:
    assert "100 Hz" in succeed("imuspec", "info", "recordings/p0.cwa", cwd=folder)


def test_a_finished_cohort_resumes_to_nothing(folder: Path) -> None:
    again = succeed(
        "imuspec", "prepare", "recordings", "--out", "cohort", "--resume", "--set", "calibration.required=false",
        "--set", "segments.min_wear_h=0.5", cwd=folder,
    )  # fmt: skip
    assert "2 done before" in again


@pytest.mark.parametrize("command", ["status", "verify", "merge"])
def test_a_cohort_is_looked_after(command: str, folder: Path) -> None:
    assert "2" in succeed("imuspec", "cohort", command, "cohort", cwd=folder)


def test_a_cohort_with_an_excluded_recording_is_verified(folder: Path) -> None:
    succeed("imuspec", "prepare", "recordings", "--out", "strict", "--recipe", "ukb", cwd=folder)
    assert "2 recordings: 0 ok, 2 excluded" in succeed("imuspec", "cohort", "verify", "strict", cwd=folder)


def test_python_reads_prepares_and_draws(folder: Path) -> None:
    code = (
        "import imuspec; r = imuspec.read('recordings/p0.cwa'); assert r.acceleration.shape[0] == 3;"
        "p = imuspec.prepare('recordings/p0.cwa', imuspec.Recipe.load('ukb').set('calibration.required=false'));"
        "print(imuspec.rgb_image(r.acceleration[:, :500]).shape, len(imuspec.Cohort('cohort').ids), p.status);"
    )
    assert succeed("python", "-c", code, cwd=folder).strip() == "(3, 96, 128) 2 excluded"


def test_doctor_passes_and_names_what_each_extra_needs(folder: Path) -> None:
    out = succeed("imuspec", "doctor", cwd=folder)
    assert "all kernels agree" in out
    assert "pip install 'imuspec[train]'" in out


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        (("report", "recordings/p0.cwa", "--out", "a.html"), "report"),
        (("image", "recordings/p0.cwa", "--out", "a.png"), "report"),
        (("pretrain", "mae-lmm-small", "--data", "cohort", "--out", "run"), "train"),
        (("probe", "statistics", "--data", "hapt=nowhere"), "train"),
        (("predict", "recordings/p0.cwa", "--model", "model"), "train"),
        (("models",), "train"),
        (("export", "run", "--out", "a.onnx"), "export"),
        (("prepare", "recordings", "--out", "other", "--engine", "dask"), "cluster"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_a_command_names_the_extra_that_it_needs(command: tuple[str, ...], extra: str, folder: Path) -> None:
    done = run("imuspec", *command, cwd=folder)
    assert done.returncode == 1
    assert f"imuspec[{extra}]" in done.stderr


@pytest.mark.parametrize(
    ("code", "extra"),
    [
        ("imuspec.plot(imuspec.read('recordings/p0.cwa'))", "report"),
        ("imuspec.read('recordings/p0.cwa').to_pandas()", "report"),
        ("imuspec.pretrain('mae-lmm-small', 'cohort', 'run')", "train"),
        ("imuspec.Run('run').load_encoder()", "train"),
        ("imuspec.predict('recordings/p0.cwa', 'model')", "train"),
    ],
)
def test_the_python_api_names_the_extra_that_it_needs(code: str, extra: str, folder: Path) -> None:
    done = run("python", "-c", f"import imuspec; {code}", cwd=folder)
    assert done.returncode == 1
    assert f"imuspec[{extra}]" in done.stderr


def requirements(extra: str) -> list[Requirement]:
    """What an extra of the package names, extras of the package itself resolved."""
    settings = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))
    lines = [Requirement(line) for line in settings["project"]["optional-dependencies"][extra]]
    own = [name for line in lines if line.name == "imuspec" for name in line.extras]
    return [line for line in lines if line.name != "imuspec"] + [more for name in own for more in requirements(name)]


def closure(waiting: list[Requirement]) -> set[str]:
    """Names of the installed distributions that some requirements bring."""
    names: set[str] = set()
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        requirement = waiting.pop()
        key = (canonicalize_name(requirement.name), frozenset(requirement.extras))
        if key in seen:
            continue
        seen.add(key)
        try:
            needs = [Requirement(line) for line in importlib.metadata.requires(key[0]) or ()]
        except importlib.metadata.PackageNotFoundError:  # of another platform
            continue
        names.add(key[0])
        chosen = ("", *requirement.extras)
        waiting += [n for n in needs if n.marker is None or any(n.marker.evaluate({"extra": e}) for e in chosen)]
    return names


@pytest.fixture
def with_extra(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder of links to the packages that an extra brings."""
    links = tmp_path / "packages"
    links.mkdir()
    for name in closure(requirements(request.param)):
        distribution = importlib.metadata.distribution(name)
        for top in {file.parts[0] for file in distribution.files or () if file.parts[0] not in ("..", "__pycache__")}:
            if not (links / top).exists():
                (links / top).symlink_to(str(distribution.locate_file(top)))
    return links


@pytest.mark.parametrize("with_extra", ["report"], indirect=True)
def test_report_alone_draws_and_writes_pages(with_extra: Path, folder: Path, tmp_path: Path) -> None:
    for command, name in (("image", "days.png"), ("report", "page.html")):
        succeed("imuspec", command, "recordings/p0.cwa", "--out", tmp_path / name, cwd=folder, path=with_extra)
        assert (tmp_path / name).stat().st_size > 10_000
    succeed("imuspec", "report", "cohort", "--out", tmp_path / "cohort.html", cwd=folder, path=with_extra)
    code = "import imuspec; print(len(imuspec.read('recordings/p0.cwa').to_pandas()) > 1000)"
    assert succeed("python", "-c", code, cwd=folder, path=with_extra).strip() == "True"


@pytest.mark.parametrize("with_extra", ["cluster"], indirect=True)
def test_cluster_alone_prepares_with_dask(with_extra: Path, folder: Path, tmp_path: Path) -> None:
    out = succeed(
        "imuspec", "prepare", "recordings", "--out", tmp_path / "c", "--engine", "dask", "--workers", "1",
        cwd=folder, path=with_extra,
    )  # fmt: skip
    assert "2 excluded" in out


@pytest.mark.parametrize("with_extra", ["train"], indirect=True)
def test_train_alone_pretrains_on_a_cohort(with_extra: Path, folder: Path, tmp_path: Path) -> None:
    run_folder = tmp_path / "run"
    succeed(
        "imuspec", "pretrain", "mae-lmm-small", "--tiny", "--data", "cohort", "--out", run_folder,
        cwd=folder, path=with_extra,
    )  # fmt: skip
    assert (run_folder / "encoder.safetensors").is_file()


@pytest.mark.parametrize("with_extra", ["export"], indirect=True)
def test_export_alone_writes_an_encoder(with_extra: Path, folder: Path, tmp_path: Path) -> None:
    code = (
        "import torch; from imuspec import encoders; from imuspec.run.run import Run;"
        f"r = Run(r'{tmp_path / 'run'}'); r.path.mkdir(); r.save_encoder(encoders.build('cnn1d'))"
    )
    succeed("python", "-c", code, cwd=folder, path=with_extra)
    succeed("imuspec", "export", tmp_path / "run", "--out", tmp_path / "a.onnx", cwd=folder, path=with_extra)
    assert (tmp_path / "a.onnx").is_file()
