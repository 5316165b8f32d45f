"""Sources say what they have, objectives what they need; a recipe's sections and the makers agree on both."""

from __future__ import annotations

import inspect
import json
import types
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch

from imuspec import encoders, objectives, views
from imuspec.datasets import Windows
from imuspec.encoders import EncoderSpec
from imuspec.pretraining.pretraining import SOURCES, build_objective, build_source, build_views, pretrain
from imuspec.pretraining.source import Source
from imuspec.recipe import PretrainRecipe
from imuspec.recipe.sections import EncoderSettings, ObjectiveSettings
from imuspec.run.named import PeopleSeen
from imuspec.run.run import Run
from labelled_folder import write_folder
from picture_files import encoded, folder_of, npz_of
from training_task import SmallEncoder
from wear_cohort import write_cohort


def sections(section: str) -> list[Any]:
    """The classes that a section of a recipe may be."""
    return list(get_args(PretrainRecipe.model_fields[section].annotation))


def windows(n: int = 32, length: int = 100) -> Windows:
    x = np.random.default_rng(0).normal(0, 0.3, (n, 3, length)).astype(np.float32)
    who = np.arange(n) % 4
    return Windows(
        x=x,
        label=np.arange(n) % 2,
        subject=who,
        recording=who.astype(str),
        start_s=np.arange(n, dtype=float),
        rate=50.0,
        class_names=("a", "b"),
        name="hapt",
    )


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return npz_of(tmp_path_factory.mktemp("photos") / "a.npz", [encoded(i) for i in range(16)], label=np.arange(16) % 2)


def sources(tmp_path: Path, photos: Path) -> dict[str, Source]:
    write_cohort(tmp_path / "cohort", {"a": 0.2, "b": 0.2, "c": 0.2})
    recipes: dict[str, tuple[PretrainRecipe, Any]] = {
        "images": (PretrainRecipe.load("supervised").set("training.batch=8"), photos),
        "windows": (PretrainRecipe.load("simclr-har").set("training.batch=8", "source.window_s=2"), windows()),
        "wear": (PretrainRecipe.load("mae-lmm").tiny(), tmp_path / "cohort"),
    }
    return {name: build_source(recipe, data) for name, (recipe, data) in recipes.items()}


def test_every_source_honours_the_protocol(tmp_path: Path, photos: Path) -> None:
    built = sources(tmp_path, photos)
    assert sorted(built) == SOURCES.names()
    declared = {name for name in dir(Source) if not name.startswith("_")} | {"steps_per_epoch", "skipped"}
    for name, source in built.items():
        assert all(hasattr(source, member) for member in declared), name
        assert source.name == name
        assert len(source.digest) == 64
        assert isinstance(source.people, PeopleSeen)
        assert all(isinstance(count, int) for count in source.counts.values())
        batches = list(source.epoch(0))
        assert len(batches) == source.steps_per_epoch
        later = list(source.epoch(0, 1))
        first = batches[1] if isinstance(batches[1], tuple) else (batches[1],)
        again = later[0] if isinstance(later[0], tuple) else (later[0],)
        assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True)), name
    assert (built["images"].n_classes, built["windows"].n_classes, built["wear"].n_classes) == (2, None, None)
    assert (built["images"].n_steps, built["windows"].n_steps, built["wear"].n_steps) == (None, 100, None)
    assert built["windows"].people == PeopleSeen("hapt", ("hapt",), (0, 1, 2, 3))
    scaled = built["windows"].scaled(next(iter(built["windows"].epoch(0))))
    assert isinstance(scaled, torch.Tensor)
    assert float(scaled.std()) == pytest.approx(1, abs=0.05)
    assert built["wear"].validate is not None


def test_the_digest_of_a_source_is_that_of_its_data(tmp_path: Path, photos: Path) -> None:
    recipe = PretrainRecipe.load("simclr-har").set("training.batch=8", "source.window_s=2")
    one, other = windows(), windows()
    other.x[3, 1, 7] += 0.001
    assert build_source(recipe, one).digest == build_source(recipe, windows()).digest
    assert build_source(recipe, one).digest != build_source(recipe, other).digest
    pictures = PretrainRecipe.load("supervised").set("training.batch=8")
    fewer = npz_of(tmp_path / "a.npz", [encoded(i) for i in range(15)], label=np.arange(15) % 2)
    assert build_source(pictures, photos).digest != build_source(pictures, fewer).digest


def test_a_resume_with_other_data_is_refused(tmp_path: Path) -> None:
    recipe = PretrainRecipe.load("multi-task").set(
        "training.batch=8", "source.window_s=2", "training.epochs=1", "training.device=cpu", "training.warmup_epochs=0"
    )
    pretrain(recipe, windows(), tmp_path / "run")  # type: ignore[arg-type]
    facts = json.loads((tmp_path / "run" / "source.json").read_text())
    assert (facts["source"], facts["set"], facts["people"], facts["subjects"]) == (
        "windows",
        "hapt",
        ["hapt"],
        [0, 1, 2, 3],
    )
    other = windows()
    other.x[0, 0, 0] += 1
    with pytest.raises(
        ValueError, match=r"data: expected the data that the run started with, SHA-256 \w{12}, got \w{12}"
    ):
        pretrain(recipe, other, tmp_path / "run", resume=True)  # type: ignore[arg-type]
    assert json.loads((tmp_path / "run" / "source.json").read_text()) == facts
    pretrain(recipe, windows(), tmp_path / "run", resume=True)  # type: ignore[arg-type]


def test_files_of_pictures_with_the_same_names_and_sizes_are_other_data(tmp_path: Path) -> None:
    from PIL import Image

    recipe = (
        PretrainRecipe.load("img2imu-small")
        .tiny()
        .set("training.batch=8", "objective.queue=8", "objective.norm_group=4")
    )
    digests = []
    for seed in (0, 0, 1):
        for number in range(8):
            pixels = np.random.default_rng([seed, number]).integers(0, 256, (48, 64, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / f"{number}.bmp")
        digests.append(build_source(recipe, tmp_path).digest)
    assert digests[0] == digests[1] != digests[2]


def test_a_resume_with_other_stretches_of_wear_of_the_same_recordings_is_refused(tmp_path: Path) -> None:
    from shutil import rmtree

    recipe = PretrainRecipe.load("mae-lmm").tiny().set("source.recordings=2", "source.hours=0.1", "training.epochs=1")
    hours = dict.fromkeys("abcd", 0.2)
    cohort = write_cohort(tmp_path / "cohort", hours)
    pretrain(recipe, cohort.path, tmp_path / "run")
    pretrain(recipe, cohort.path, tmp_path / "run", resume=True)
    rmtree(tmp_path / "cohort")
    write_cohort(tmp_path / "cohort", hours, nonwear=(3000, 6000))
    with pytest.raises(ValueError, match="data: expected the stretches of wear that the run started with, got others"):
        pretrain(recipe, cohort.path, tmp_path / "run", resume=True)


SMALL = ("training.batch=8", "training.warmup_epochs=0")


def test_an_objective_that_needs_labels_names_itself_its_need_and_the_source(tmp_path: Path) -> None:
    folder_of(tmp_path / "flat", {"": 16})
    recipe = PretrainRecipe.load("supervised").set(*SMALL)
    source = build_source(recipe, tmp_path / "flat")
    assert source.n_classes is None
    with pytest.raises(
        ValueError,
        match="objective supervised: expected n_classes, the number of classes, got none from source images with views whole",
    ):
        build_objective(recipe, source)


class _Without:
    """A source that has nothing but batches."""

    steps_per_epoch = 3
    name = "made_up"
    n_classes = n_steps = mean = sd = validate = None
    people, digest, counts, skipped = PeopleSeen(), "", {}, []

    def epoch(self, epoch: int, first_step: int = 0) -> Any:
        del epoch, first_step
        return iter(())

    def scaled(self, batch: Any) -> Any:
        return batch


@pytest.mark.parametrize("section", [each for each in sections("objective") if set(each.needs) - {"total_steps"}])
def test_every_objective_with_a_need_refuses_a_source_without_it(section: Any) -> None:
    chosen = section()
    encoder_of = {each.model_fields["name"].default: each for each in sections("encoder")}
    silent = types.SimpleNamespace(name=chosen.views[0], n_tasks=None)
    recipe = types.SimpleNamespace(
        source=None,
        views=silent,
        encoder=encoder_of[chosen.encoders[0]](),
        objective=chosen,
        training=PretrainRecipe().training,
    )
    (need,) = chosen.needs
    with pytest.raises(ValueError, match=f"^objective {chosen.name}: expected {need}, .* got none from source made_up"):
        build_objective(recipe, _Without())  # type: ignore[arg-type]


def test_an_encoder_that_needs_the_length_of_a_window_refuses_a_source_without_one() -> None:
    recipe = PretrainRecipe.load("limu-bert").set(*SMALL)
    with pytest.raises(
        ValueError, match="encoder limu_bert: expected n_steps, the number of samples of a window, got none"
    ):
        build_objective(recipe, _Without())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("registry", "section", "parts"),
    [(objectives.REGISTRY, "objective", 1), (encoders.REGISTRY, "encoder", 0), (views.REGISTRY, "views", 0)],
)
def test_fields_and_needs_of_a_section_are_arguments_of_its_maker(registry: Any, section: str, parts: int) -> None:
    for kind in sections(section):
        name = kind.model_fields["name"].default
        parameters = list(inspect.signature(registry.maker(name)).parameters.values())[parts:]
        fields = {*kind.model_fields, *getattr(kind, "needs", ())} - {"name"}
        assert fields <= {parameter.name for parameter in parameters}, name
        required = {each.name for each in parameters if each.default is each.empty and each.kind is each.KEYWORD_ONLY}
        assert required <= fields, name


def test_every_objective_names_views_encoders_and_a_source_that_there_are() -> None:
    for kind in sections("objective"):
        assert issubclass(kind, ObjectiveSettings)
        assert kind.source in SOURCES.names()
        assert set(kind.views) <= set(views.names())
        assert set(kind.encoders) <= set(encoders.names())
    assert all(issubclass(kind, EncoderSettings) for kind in sections("encoder"))


def test_every_objective_has_the_defaults_of_its_base_class() -> None:
    for name in objectives.names():
        maker = objectives.REGISTRY.maker(name)
        assert isinstance(maker, type)
        assert issubclass(maker, objectives.Objective), name
    objective = objectives.build("supervised", SmallEncoder(), n_classes=2)
    (group,) = objective.parameter_groups()
    assert len(group["params"]) == len(list(objective.parameters()))
    before = [parameter.clone() for parameter in objective.parameters()]
    objective.after_step()
    assert all(torch.equal(a, b) for a, b in zip(before, objective.parameters(), strict=True))


def test_an_encoder_remembers_how_it_was_built_and_one_built_otherwise_is_not_saved(tmp_path: Path) -> None:
    built = encoders.build("resnet18", weights="random", zero_init_residual=True)
    assert built.spec == EncoderSpec("resnet18", {"weights": "random", "zero_init_residual": True})
    joined = encoders.build("fusion", encoder="tpn", n_triads=2)
    assert joined.encoders[0].spec == EncoderSpec("tpn", {})  # type: ignore[index, union-attr]
    Run(tmp_path).save_encoder(joined)
    assert Run(tmp_path).load_encoder().spec == joined.spec
    with pytest.raises(
        ValueError, match=r"expected one that encoders\.build returned, got a SmallEncoder without spec"
    ):
        Run(tmp_path).save_encoder(SmallEncoder())


def test_views_get_a_batch_as_the_source_scales_it(tmp_path: Path) -> None:
    write_cohort(tmp_path / "cohort", {"a": 0.2, "b": 0.2, "c": 0.2})
    recipe = PretrainRecipe.load("mae-lmm").tiny()
    source = build_source(recipe, tmp_path / "cohort")
    stored, first_rows, hidden = next(iter(source.epoch(0)))
    shown = build_views(recipe, source)((stored, first_rows, hidden), torch.Generator())
    assert stored.dtype == torch.int16
    assert shown[0].dtype == torch.float32
    assert float(shown[0].norm(dim=1).median()) == pytest.approx(1, abs=0.2)
    assert torch.equal(shown[1], hidden)


def test_a_pretraining_takes_the_stretches_without_a_label_too(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "people", n_people=2)
    for file in folder.iterdir():  # half of the rows lose their label
        head, *rows = file.read_text("utf-8").splitlines()
        half = len(rows) // 2
        file.write_text("\n".join([head, *rows[:half], *(row.rpartition(",")[0] + "," for row in rows[half:])]) + "\n")
    recipe = PretrainRecipe.load("simclr-har").set("training.batch=2", "source.window_s=2", "source.overlap=0")
    data = f"folder={folder},rate=50"
    both = build_source(recipe, data)
    labelled = build_source(recipe.set("source.unlabelled=false"), data)
    assert labelled.counts["windows"] == 2 * 12  # 24 s of each person
    assert both.counts["windows"] == 2 * 24
    assert both.people == labelled.people
    chosen = build_source(recipe, f"{data},of_classes=rest")
    assert chosen.counts["windows"] < labelled.counts["windows"]
