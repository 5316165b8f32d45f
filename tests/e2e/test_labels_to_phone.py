"""The blocks of docs/how-to/from-labels-to-phone.md in their order: from pre-training to the picture in C, on made-up people."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from code_blocks import ROOT, RUN, Block, Reader, blocks
from imuspec.bench import table3
from labelled_folder import write_folder

for package in ("torch", "timm", "lightning_fabric", "sklearn", "onnxruntime", "onnxscript", "PIL"):
    pytest.importorskip(package)

from PIL import Image  # noqa: E402  (the check for Pillow is before its import)

PAGE = [
    block
    for block in blocks((ROOT / "docs/how-to/from-labels-to-phone.md").read_text("utf-8"))
    if block.language in RUN
]


def settings(*assignments: str) -> tuple[str, ...]:
    return tuple(word for assignment in assignments for word in ("--set", assignment))


SMALLER = {
    "pretrain": settings("training.epochs=1", "training.batch=32"),
    "pretrain img2imu": settings("source.workers=0", "objective.queue=64", "objective.norm_group=8"),
    "fit": ("--folds", "3", "--recipe", "small.toml"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the reader of the page has."""
    path = tmp_path_factory.mktemp("flow")
    write_folder(path / "people", n_people=4)
    write_folder(path / "others", prefix="q", n_people=2)
    write_folder(path / "more", prefix="m", n_people=4, name="b")
    (path / "small.toml").write_text('name = "small"\n[tuning]\nepochs = 1\n', "utf-8")
    (path / "photos").mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (80, 54, 72, 3), np.uint8)
    for number, photo in enumerate(pixels):
        Image.fromarray(photo).save(path / "photos" / f"{number}.png")
    return path


def of_the_c_library(block: Block) -> bool:
    return block.needs == "compiler"


@pytest.fixture(scope="module")
def reader(folder: Path) -> Iterator[Reader]:
    """A reader, in the folder, who has followed the blocks up to those that need a compiler."""
    reader = Reader(SMALLER)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(table3, "_ROUNDS", 2)
        for block in PAGE:
            if not of_the_c_library(block):
                reader.follow(block)
        yield reader


def test_the_blocks_up_to_c_run_in_their_order(reader: Reader) -> None:
    assert reader.n_blocks == 8
    assert {path.name for path in Path("models").iterdir()} == {"statistics", "img2imu", "cpc", "tuned"}
    for name in ("statistics", "img2imu", "cpc", "tuned"):
        table = pd.read_csv(f"scores/{name}.csv")
        assert table["subject"].nunique() == 2  # the people of others/, whom no model has seen
        assert "q0" not in Path(f"models/{name}/source.json").read_text("utf-8")
    for name in ("img2imu", "tuned"):
        parity = json.loads(Path(f"{name}.json").read_text("utf-8"))["parity"]
        assert parity["n_windows"] == 16
        assert parity["probability"] < 0.02
    assert json.loads(Path("img2imu.json").read_text("utf-8"))["parity"]["equal_levels"] > 0.99


def test_the_picture_in_c_is_that_of_the_model(folder: Path, reader: Reader, c_library: Path) -> None:
    (folder / "dist").mkdir()
    (folder / "dist" / "capi").symlink_to(c_library)
    (folder / "imuspec.h").symlink_to(ROOT / "include" / "imuspec.h")
    (folder / "examples").symlink_to(ROOT / "examples")
    commands, program = (block for block in PAGE if of_the_c_library(block))
    assert commands.text.startswith("make capi\n")  # in its place: what cargo built for the tests
    reader.follow(Block("sh", commands.text.removeprefix("make capi\n").replace("-Idist/capi", "-I."), None, None))
    reader.follow(program)
