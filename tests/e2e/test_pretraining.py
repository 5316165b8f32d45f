"""Pre-training as a user runs it: by recipe, from the command line, on two processes, with weights from files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import imuspec
from gate import PATIENCE_S
from imuspec import encoders
from imuspec.cli import main
from imuspec.encoders.weights import read_weights
from imuspec.recipe import PretrainRecipe
from picture_files import encoded, folder_of, npz_of

TINY = ("source.limit=32", "source.height=32", "source.width=32", "training.batch=16", "objective.queue=32",
        "objective.norm_group=8", "training.epochs=1", "training.log_steps=1", "training.device=cpu")  # fmt: skip


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    return npz_of(folder / "photos.npz", [*(encoded(i) for i in range(40)), b"broken"], label=np.arange(41) % 4)


@pytest.fixture(scope="module")
def run(photos, tmp_path_factory) -> imuspec.Run:
    recipe = PretrainRecipe.load("img2imu-small").set(*TINY[1:], "views.permute_min_columns=3").set("training.epochs=2")
    return imuspec.pretrain(recipe, photos, tmp_path_factory.mktemp("runs") / "one")


def test_a_run_holds_recipe_figures_encoder_and_what_was_left_out(run, photos) -> None:
    assert run.recipe(PretrainRecipe).training.epochs == 2
    lines = run.metrics()
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    for key in (
        "loss",
        "top1",
        "positive_cosine",
        "negative_cosine",
        "spread",
        "queue_age",
        "lr",
        "grad_norm",
        "per_s",
    ):
        assert all(np.isfinite(line[key]) for line in lines), key
    left_out = json.loads((run.path / "source.json").read_text())
    assert left_out["counts"] == {"pictures": 40, "undecodable": 1, "pictures_per_epoch": 32}
    assert left_out["skipped"][0]["name"] == f"{photos.name}[40]"
    encoder = run.load_encoder()
    assert not encoder.training
    x = torch.zeros(2, 3, 96, 128)
    assert encoder(x).shape == (2, 512)
    layers = encoder.layers(x)
    assert [value.shape[1] for value in layers.values()] == [64, 64, 128, 256, 512]
    torch.testing.assert_close(layers["layer4"], encoder(x))
    state = run.load_checkpoint()
    trained = {key.removeprefix("encoder."): v for key, v in state["objective"].items() if key.startswith("encoder.")}
    assert all(torch.equal(value, trained[key]) for key, value in encoder.state_dict().items())


def test_a_training_on_packed_pictures_is_the_one_on_their_files(run, photos, tmp_path, capsys) -> None:
    packed = tmp_path / "packed.npz"
    with pytest.raises(SystemExit) as done:
        main(
            ["pictures", "pack", str(photos), "--out", str(packed), "--height", "32", "--width", "32", "--workers", "0"]
        )
    assert done.value.code == 0
    assert f"left out: {photos.name}[40]" in capsys.readouterr().out
    again = imuspec.pretrain(run.recipe(PretrainRecipe), packed, tmp_path / "run")
    expected = run.load_encoder().state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in again.load_encoder().state_dict().items())


def test_maps_shrink_as_the_specification_says() -> None:
    maps = encoders.build("resnet18").eval().maps(torch.zeros(1, 3, 96, 128))
    assert [tuple(m.shape[2:]) for m in maps.values()] == [(24, 32), (24, 32), (12, 16), (6, 8), (3, 4)]


def test_a_run_is_not_begun_twice_nor_resumed_by_another_recipe(run, photos) -> None:
    recipe = run.recipe(PretrainRecipe)
    with pytest.raises(FileExistsError, match="got one with a training: resume"):
        imuspec.pretrain(recipe, photos, run.path)
    with pytest.raises(ValueError, match=r"training\.base_lr: 0\.001 then, 0\.1 now"):
        imuspec.pretrain(recipe.set("training.base_lr=0.1"), photos, run.path, resume=True)


def test_the_weights_of_another_architecture_are_refused_by_name(run, tmp_path) -> None:
    described = json.loads((run.path / "encoder.json").read_text())
    assert described["name"] == "resnet18"
    save_file({"conv1.weight": torch.zeros(64, 1, 7, 7), "extra": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(
        ValueError, match=r"without .*bn1.* with extra; shapes conv1\.weight \[64, 1, 7, 7\] instead of"
    ):
        encoders.build("resnet18", weights=str(tmp_path / "other.safetensors"))


def _torchvision(state: dict[str, torch.Tensor]) -> object:
    return {**state, "fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}


def _moco(state: dict[str, torch.Tensor]) -> object:
    query = {f"module.encoder_q.{key}": value for key, value in state.items()}
    key = {f"module.encoder_k.{key}": torch.zeros_like(value) for key, value in state.items()}
    heads = {"module.encoder_q.fc.0.weight": torch.zeros(512, 512), "module.queue": torch.zeros(128, 4)}
    return {"epoch": 200, "arch": "resnet18", "state_dict": {**key, **query, **heads}, "optimizer": {"state": {}}}


@pytest.mark.parametrize("form", [_torchvision, _moco])
def test_published_forms_of_weights_load_into_the_trunk(form, tmp_path) -> None:
    torch.manual_seed(5)
    network = encoders.build("resnet18")
    torch.save(form(network.state_dict()), tmp_path / "weights.pth")
    loaded = encoders.build("resnet18", weights=str(tmp_path / "weights.pth"))
    assert all(torch.equal(value, network.state_dict()[key]) for key, value in loaded.state_dict().items())
    by_url = read_weights(tmp_path / "weights.pth")
    assert not any(key.startswith("fc") for key in by_url)


class Dangerous:
    """What a malicious weights file would hold."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (os.system, ("echo pwned",))


def test_a_weights_file_that_could_run_code_or_is_damaged_is_refused(tmp_path) -> None:
    torch.save({"state_dict": Dangerous()}, tmp_path / "evil.pth")
    (tmp_path / "cut.safetensors").write_bytes(b"\x10\x00\x00\x00")
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "resnet18-f37072fd.pth")
    torch.save({"fc.weight": torch.zeros(1)}, tmp_path / "heads.pth")
    for name, message in {
        "evil.pth": "expected a state dict of tensors",
        "cut.safetensors": "expected safetensors",
        "resnet18-f37072fd.pth": "expected SHA-256 f37072fd",
        "heads.pth": "got none besides heads",
    }.items():
        with pytest.raises(ValueError, match=message):
            read_weights(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="expected a file, got none"):
        read_weights(tmp_path / "none.pth")


ON_PICTURES = ("img2imu", "img2imu-small", "moco", "moco-all", "moco-all-small", "moco-small", "moco-v1", "simsiam",
               "simsiam-small", "supervised")  # fmt: skip


@pytest.mark.parametrize("name", ON_PICTURES)
def test_every_named_recipe_on_pictures_has_a_tiny_form_that_fits_together(name) -> None:
    assert name in PretrainRecipe.names()
    tiny = PretrainRecipe.load(name).tiny()
    assert (tiny.name, tiny.training.batch, tiny.source.limit) == (name, 32, 256)


@pytest.mark.parametrize("name", ["img2imu", "moco-v1", "moco-all", "simsiam", "supervised"])
def test_each_kind_of_pretraining_runs_in_its_tiny_form(name, tmp_path, photos, capsys) -> None:
    """Three steps each, through the command line."""
    sets = [*(text for text in TINY if "batch" not in text and "objective" not in text), "training.batch=8"]
    recipe = PretrainRecipe.load(name)
    if recipe.objective.name == "moco":
        sets += ["objective.queue=16", "objective.norm_group=4"]
    if recipe.objective.name == "simsiam":
        sets += ["objective.features=64", "objective.hidden=16"]
    if recipe.views.name == "img2imu":
        sets += ["views.permute_min_columns=3"]
    arguments = [argument for text in sets for argument in ("--set", text)]
    with pytest.raises(SystemExit) as done:
        main(["pretrain", name, "--data", str(photos), "--out", str(tmp_path / "run"), "--tiny", *arguments])
    assert done.value.code == 0
    message = capsys.readouterr()
    assert "tiny, to see that all works" in message.out
    assert "loss" in message.out
    assert len(imuspec.Run(tmp_path / "run").metrics()) == 3
    assert imuspec.Run(tmp_path / "run").load_encoder().n_features == 512


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["img2im"], "recipe: expected one of 'img2imu', "),
        (["moco", "--set", "objective.queu=3"], "set: expected one of 'objective.queue', "),
        (["moco", "--set", "objective.queue=100"], "expected a multiple of the batch, 256, got 100"),
        (["moco", "--set", "objective.name=supervised"], "expected whole for objective supervised, got moco"),
        (["img2imu"], "expected at least a batch, 256, got 40"),
        (
            ["img2imu-small", "--set", "training.batch=8", "--set", "objective.norm_group=4"],
            "expected at most the 40 pictures of an epoch, got 1024",
        ),
    ],
)
def test_a_wrong_command_says_what_was_expected(arguments, message, photos, tmp_path, capsys) -> None:
    with pytest.raises(SystemExit) as done:
        main(["pretrain", *arguments, "--data", str(photos), "--out", str(tmp_path / "run")])
    assert done.value.code == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_a_misspelt_field_of_a_recipe_file_is_named(tmp_path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[views]\nname = "img2imu"\nhue_kind = "mix"\n[training]\nepoch = 3\n')
    with pytest.raises(ValueError, match="hue_kind") as caught:
        PretrainRecipe.load(path)
    assert "training.epoch" in str(caught.value)


def test_views_are_drawn_of_any_picture(tmp_path, capsys) -> None:
    folder_of(tmp_path / "a", {"x": 1})
    with pytest.raises(SystemExit) as done:
        main(["views", str(tmp_path / "a" / "x" / "000.png"), "--out", str(tmp_path / "views.png")])
    assert done.value.code == 0
    assert "views.png" in capsys.readouterr().out
    assert (tmp_path / "views.png").stat().st_size > 20_000


RANKS = """
import sys, torch
from imuspec import objectives
from imuspec.recipe import TrainingSettings
from imuspec.run.run import Run
from imuspec.pretraining import rank_and_world, train
sys.path.insert(0, sys.argv[2])  # tests/
from training_task import ArraySource, SmallEncoder, stripes
torch.set_num_threads(1)
rank, world = rank_and_world()
pictures = stripes(256, 1)[0]
torch.manual_seed(0)
objective = objectives.build("moco", SmallEncoder(), features=8, queue=128, norm_group=8)
source = ArraySource(pictures, pictures + 0.3, batch=32, rank=rank, world=world)
settings = TrainingSettings(epochs=2, batch=32, base_lr=0.05, optimiser="sgd", device="cpu", log_steps=4)
train(objective, source, settings=settings, run=Run(sys.argv[1]))
"""


def test_two_processes_give_what_one_gives_with_the_same_batch(tmp_path, monkeypatch) -> None:
    """MoCo with norm groups, keys in random order across processes, a shared queue: equal but for the order of sums."""
    script = tmp_path / "ranks.py"
    script.write_text(RANKS)
    tests = str(Path(__file__).parents[1])
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    command = [*launcher, str(script), str(tmp_path / "two"), tests]
    two_processes = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    monkeypatch.setattr(sys, "argv", [str(script), str(tmp_path / "one"), tests])
    exec(compile(RANKS, str(script), "exec"), {"__name__": "ranks"})  # meanwhile, in this process
    message, _ = two_processes.communicate(timeout=PATIENCE_S)
    assert two_processes.returncode == 0, message
    one, two = (imuspec.Run(tmp_path / name) for name in ("one", "two"))
    assert [line["step"] for line in one.metrics()] == [line["step"] for line in two.metrics()]
    for mine, theirs in zip(one.metrics(), two.metrics(), strict=True):
        for key in ("loss", "top1", "positive_cosine", "negative_cosine", "grad_norm"):
            assert mine[key] == pytest.approx(theirs[key], rel=2e-4, abs=1e-5), key
    states = [run.load_checkpoint()["objective"] for run in (one, two)]
    for key, value in states[0].items():
        torch.testing.assert_close(value, states[1][key], atol=2e-5, rtol=2e-4, msg=key)
