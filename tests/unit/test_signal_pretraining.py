"""Pre-training on signals: where the windows come from, what is kept with the encoder, which recipes fit together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from imuspec.datasets import Windows
from imuspec.encoders.standardised import Standardised
from imuspec.pretraining.pretraining import build_objective, build_views, pretrain
from imuspec.pretraining.window_source import WindowSource, _at_rate, pretraining_subjects, window_source
from imuspec.recipe import PretrainRecipe
from imuspec.recipe.grid import expand
from imuspec.run.named import PeopleSeen, load_encoder, people_seen, window_form
from imuspec.run.run import Run

ON_SIGNALS = ["limu-bert", "simclr-har", "multi-task", "multi-task-composed", "cpc", "cpc-original", "harnet5"]


def windows(n: int = 96, length: int = 100, rate: float = 50.0, *, subjects: int = 6) -> Windows:
    rng = np.random.default_rng(0)
    phase = rng.uniform(0, 6, (n, 3, 1))
    waves = np.sin(np.arange(length) / rate * 12 + phase) * [[0.2], [0.5], [1.0]] + [[0.0], [0.1], [1.0]]
    who = np.arange(n) % subjects
    return Windows(
        x=waves.astype(np.float32),
        label=np.arange(n) % 2,
        subject=who,
        recording=who.astype(str),
        start_s=np.arange(n, dtype=float),
        rate=rate,
        class_names=("a", "b"),
    )


def small(name: str, length: int = 100, rate: float = 50.0) -> PretrainRecipe:
    recipe = PretrainRecipe.load(name).set(
        f"source.window_s={length / rate}", f"source.rate_hz={rate}", "training.device=cpu"
    )
    return recipe.set("training.epochs=1", "training.batch=32", "training.warmup_epochs=0")


def test_batches_are_a_function_of_seed_epoch_step_and_rank() -> None:
    x = np.arange(50, dtype=np.float32)[:, None, None] * np.ones((1, 3, 4), np.float32)
    source = WindowSource(x, batch=12, seed=3)
    whole = [batch[:, 0, 0] for batch in source.epoch(1)]
    assert source.steps_per_epoch == len(whole) == 4
    assert len(torch.unique(torch.cat(whole))) == 48
    assert all(torch.equal(a, b[:, 0, 0]) for a, b in zip(whole[2:], source.epoch(1, 2), strict=True))
    parts = [list(WindowSource(x, batch=12, seed=3, rank=rank, world=2).epoch(1)) for rank in (0, 1)]
    for step, batch in enumerate(whole):
        assert torch.equal(torch.cat([parts[0][step], parts[1][step]])[:, 0, 0], batch)
    assert not torch.equal(whole[0], next(iter(source.epoch(2)))[:, 0, 0])


def test_statistics_are_those_of_the_axes() -> None:
    made = windows(5000, 10)
    source = WindowSource(made.x, batch=10)
    np.testing.assert_allclose(source.mean, made.x.mean((0, 2), dtype=np.float64), rtol=1e-6)
    np.testing.assert_allclose(source.sd, made.x.std((0, 2), dtype=np.float64), rtol=1e-6)
    assert WindowSource(made.x, batch=10, standardise=False).mean is None


def test_a_share_of_the_subjects_is_left_for_probing() -> None:
    made = windows()
    recipe = small("simclr-har").set("source.subjects=0.5", "source.subject_seed=4")
    source = window_source(recipe, made)
    seen = pretraining_subjects(made.subject, 0.5, 4)
    assert len(seen) == 3
    assert source.counts["windows"] == int(np.isin(made.subject, seen).sum()) == 48
    assert source.counts["windows_of_other_subjects"] == 48
    assert set(pretraining_subjects(made.subject, 1, 0)) == set(range(6))


def test_windows_of_another_form_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected windows of 500 samples at 50 Hz .*got 100 at 50 Hz"):
        window_source(PretrainRecipe.load("simclr-har"), windows())
    with pytest.raises(ValueError, match=r"data: expected NAME=PATH\[,setting=value,...\], got 'nowhere'"):
        window_source(small("simclr-har"), "nowhere")


def test_wear_of_a_higher_rate_is_resampled_without_aliasing() -> None:
    x = np.sin(2 * np.pi * 40 * np.arange(2000) / 100)[None].repeat(3, 0).astype(np.float32)  # 40 Hz at 100 Hz
    slower = _at_rate(x, 100.0, 50.0)
    assert slower.shape == (3, 1000)
    assert np.abs(slower[:, 20:-20]).max() < 0.01
    slow = np.sin(2 * np.pi * 3 * np.arange(2000) / 100)[None].repeat(3, 0).astype(np.float32)
    assert _at_rate(slow, 100.0, 50.0)[0, 20:-20] == pytest.approx(slow[0, 40:-40:2], abs=0.01)


def test_a_cohorts_wear_becomes_windows_at_the_recipes_rate(tmp_path: Path) -> None:
    from imuspec import Cohort, Recipe, simulation
    from imuspec.cluster import prepare_cohort

    simulation.simulate(tmp_path / "week.cwa", days=0.05, seed=0)
    recipe = Recipe.load("ukb").set("segments.min_wear_h=0", "calibration.enabled=false")
    prepare_cohort([tmp_path / "week.cwa"], tmp_path / "cohort", recipe=recipe, workers=1)
    expected = small("simclr-har", 500, 50.0).set("source.limit=200")
    source = window_source(expected, str(tmp_path / "cohort"))
    assert source.x.shape[1:] == (3, 500)
    assert source.counts["recordings"] == 1
    first = Cohort(tmp_path / "cohort").segments.to_pylist()[0]
    assert first["hours"] > 0.5
    assert float(source.x.norm(dim=1).median()) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("name", ON_SIGNALS)
def test_a_recipe_on_signals_trains_and_keeps_its_encoder(name: str, tmp_path: Path) -> None:
    length, rate = (150, 30.0) if name == "harnet5" else (100, 50.0)
    made = windows(16, length, rate)
    run = pretrain(small(name, length, rate).set("training.batch=8"), made, tmp_path / "run")
    assert np.isfinite(run.metrics()[-1]["loss"])
    encoder = run.load_encoder()
    assert isinstance(encoder, Standardised) == (name != "harnet5")
    if isinstance(encoder, Standardised):
        np.testing.assert_allclose(encoder.mean.flatten(), made.x.mean((0, 2)), atol=1e-5)
    assert encoder(torch.from_numpy(made.x[:4])).shape == (4, encoder.n_features)


def test_a_stopped_training_on_signals_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    made, recipe = windows(64), small("limu-bert").set("training.epochs=2", "training.checkpoint_steps=1")
    whole = pretrain(recipe, made, tmp_path / "whole").load_encoder().state_dict()
    remaining: dict[str, int] = {}

    save = Run.save_checkpoint

    def stopping(self: Run, state: dict[str, object]) -> None:
        save(self, state)
        remaining["n"] = remaining.get("n", 0) + 1
        if remaining["n"] == 2:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("imuspec.run.run.Run.save_checkpoint", stopping)
        with pytest.raises(KeyboardInterrupt):
            pretrain(recipe, made, tmp_path / "stopped")
    again = pretrain(recipe, made, tmp_path / "stopped", resume=True).load_encoder().state_dict()
    assert all(torch.equal(whole[key], again[key]) for key in whole)


def test_views_see_standardised_windows() -> None:
    made, recipe = windows(), small("cpc")
    source = window_source(recipe, made)
    (shown,) = build_views(recipe, source)(source.x, torch.Generator())
    np.testing.assert_allclose(shown.mean((0, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(shown.std((0, 2), correction=0), 1, atol=1e-5)


def test_heads_are_as_many_as_the_operations_of_the_views() -> None:
    recipe = small("multi-task").set('views.operations=["negate", "reverse"]')
    objective = build_objective(recipe, window_source(recipe, windows()))
    assert len(objective.heads) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (("views.name=unchanged",), "views: expected signal_pair for objective simclr, got unchanged"),
        (("encoder.name=resnet18",), "encoder: expected cnn1d or tpn"),
        (("source.name=images",), "source: expected windows for objective simclr, got images"),
    ],
)
def test_sections_that_do_not_fit_are_refused(changes: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PretrainRecipe.load("simclr-har").set(*changes)


@pytest.mark.parametrize(("batch", "group", "other"), [(80, 32, 20), (48, 48, 24), (64, 24, 16)])
def test_norm_groups_that_are_no_part_of_the_batch_are_refused(batch: int, group: int, other: int) -> None:
    recipe = PretrainRecipe.load("img2imu-small").set(
        "objective.norm_group=0", f"training.batch={batch}", f"objective.queue={4 * batch}"
    )
    with pytest.raises(ValueError, match=f"expected a part of the batch, {batch}, such as {other}, or 0, got {group}"):
        recipe.set(f"objective.norm_group={group}")
    assert recipe.set(f"objective.norm_group={other}").objective.norm_group == other


def test_every_named_recipe_loads_and_has_a_tiny_form() -> None:
    for name in PretrainRecipe.names():
        recipe = PretrainRecipe.load(name)
        assert recipe.about
        assert recipe.tiny().training.epochs == 2


def test_the_papers_grid_is_forty_five_recipes_and_ninety_for_simclr() -> None:
    recipes = expand("multi-task", "baselines")
    assert len(recipes) == 5 * 3 * 3
    assert len({recipe.name for recipe in recipes}) == 45
    assert {recipe.training.batch for recipe in recipes} == {64, 128, 256}
    assert len(expand("simclr-har", "baselines-simclr")) == 5 * 6 * 3
    assert {recipe.training.base_lr for recipe in recipes} == {1e-1, 1e-2, 1e-3, 1e-4, 1e-5}
    assert recipes[1].training.weight_decay == 1e-3
    assert len(expand("cpc", "cpc")) == 2 * 2 * 5 * 3 * 2
    with pytest.raises(
        ValueError,
        match="grid: expected one of 'baselines', 'baselines-simclr', 'cpc' or the path of a TOML file, got 'none'",
    ):
        expand("cpc", "none")


def test_moco_v3_and_mae_train_on_pictures(tmp_path: Path) -> None:
    from imuspec.experiments.methods import made_up_pictures

    pictures = made_up_pictures(tmp_path)
    for name in ("moco-v3-vit-s", "mae-vit-s"):
        recipe = (
            PretrainRecipe.load(name)
            .tiny()
            .set("training.epochs=1", "training.device=cpu", "source.limit=16", "training.batch=8")
        )
        small_head = ("objective.hidden=32",) if "moco" in name else ("objective.width=32", "objective.n_blocks=1")
        run = pretrain(recipe.set(*small_head), pictures, tmp_path / name)
        encoder = run.load_encoder()
        assert encoder(torch.zeros(1, 3, 48, 64)).shape == (1, 192)


def test_a_probe_of_a_run_takes_its_windows_and_leaves_out_the_subjects_that_it_saw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    pd = pytest.importorskip("pandas")
    from imuspec.cli import main

    made = replace(windows(120, subjects=10), label=np.arange(120) // 10 % 2, name="hapt")
    recipe = small("simclr-har").set("source.subjects=0.5", "training.batch=8")
    run = pretrain(recipe, made, tmp_path / "run")
    seen = pretraining_subjects(made.subject, 0.5, 0)
    assert people_seen(str(run.path)) == PeopleSeen("hapt", ("hapt",), tuple(seen.tolist()))
    assert window_form(f"random:{run.path}") == (2.0, 50.0)

    def load(name: str, path: str, **settings: float) -> Windows:
        assert (name, path, settings) == ("hapt", "somewhere", {"window_s": 2.0, "rate": 50.0})
        return made

    monkeypatch.setattr("imuspec.datasets.reference.load", load)
    few, quick = ["--seeds", "2", "--shots", "2"], ["--set", "head.epochs=2", "--set", "head.learning_rates=[0.01]"]
    tested = {}
    for item, more in ((str(run.path), []), ("random:" + str(run.path), []), ("statistics", [str(run.path)])):
        out = tmp_path / f"probe-{len(tested)}"
        requested = ["probe", item, "--data", "hapt=somewhere", "--out", str(out), *few]
        with pytest.raises(SystemExit) as ended:
            main([*requested, *(["--unseen-by", *more] if more else quick)])
        assert ended.value.code == 0
        assert "judged on 5 subjects; pre-training saw the other 5" in " ".join(capsys.readouterr().out.split())
        tested[item] = pd.read_csv(out / "seeds.csv")["n_test"].tolist()
    with pytest.raises(SystemExit) as ended:
        main(["probe", "statistics", "--data", "hapt=somewhere", "--unseen-by", str(tmp_path / "no")])
    assert ended.value.code == 1
    assert "unseen_by: expected the folder of a pre-training run, got" in capsys.readouterr().err
    assert len({tuple(n) for n in tested.values()}) == 1  # the same test windows for all three
    assert set(tested["statistics"]) == {12}  # one of five subjects


def test_a_random_encoder_has_the_form_of_the_run_and_other_weights(tmp_path: Path) -> None:
    run = pretrain(small("multi-task").set("training.batch=8"), windows(16), tmp_path / "run")
    trained, initial, other = run.load_encoder(), run.random_encoder(), run.random_encoder(seed=1)
    assert not initial.training
    shared = dict(initial.named_buffers())
    assert {"mean", "sd"} <= set(shared)
    for name, value in trained.state_dict().items():
        assert torch.equal(value, initial.state_dict()[name]) == (name in shared)
        assert torch.equal(other.state_dict()[name], initial.state_dict()[name]) == (name in shared)
    assert torch.equal(run.random_encoder().inner.blocks[0][0].weight, initial.inner.blocks[0][0].weight)  # by the seed
    assert torch.equal(load_encoder(f"random:{run.path}")(torch.ones(1, 3, 100)), initial(torch.ones(1, 3, 100)))
