"""The probe's protocol: features once, validation chooses, the test part only judges."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")
pd = pytest.importorskip("pandas")
import imuspec  # noqa: E402
from imuspec import probing  # noqa: E402
from imuspec.datasets import n_shot, subject_split  # noqa: E402
from imuspec.experiments.made_up import made_up_windows  # noqa: E402
from imuspec.recipe.probing import HeadSettings, PictureSettings  # noqa: E402
from imuspec.run.named import load_encoder, picture_size  # noqa: E402
from imuspec.spectral.image import training_range  # noqa: E402

QUICK = HeadSettings(epochs=15, learning_rates=(1e-1, 1e-2), weight_decays=(0.0,))  # type: ignore[call-arg]
SMALL = PictureSettings(nfft=(32, 64), hop=(16,), size=(24, 32))  # type: ignore[call-arg]
WINDOWS = made_up_windows("probing", n_subjects=10, n_windows=4, length=128)


class Watched:
    """Features by hand, which records its calls."""

    layers = ("energy", "nothing")

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []

    def choices(self, n_samples: int) -> list[dict[str, Any]]:
        assert n_samples == 128
        return [{"kind": "bad"}, {"kind": "good"}]

    def features(self, x: np.ndarray, choice: dict[str, Any]) -> dict[str, np.ndarray]:
        self.calls.append((choice["kind"], len(x)))
        moved = np.log(x.std(axis=2) + 1e-3)
        jerk = np.log(np.abs(np.diff(x)).mean(axis=2) + 1e-3)
        useful = np.concatenate([moved, jerk], axis=1).astype(np.float32)
        return {"energy": useful if choice["kind"] == "good" else useful * 0, "nothing": np.zeros_like(useful)}


def test_validation_chooses_and_features_are_asked_for_once() -> None:
    source = Watched()
    result = probing.probe(source, WINDOWS, seeds=(0, 1, 2), shots=(1, 4), settings=QUICK)
    table = result.table.set_index(["layer", "shots", "seed"])
    assert (table.loc["energy", "kind"] == "good").all()
    assert (table.loc["nothing", "kind"] == "bad").all()  # nothing to choose between: the first
    assert table.loc[("energy", 4), "macro_f1"].mean() > 0.6
    assert table.loc[("nothing", 4), "macro_f1"].mean() == pytest.approx(0.1)  # one of four classes for all
    splits = [subject_split(WINDOWS, seed) for seed in (0, 1, 2)]
    fitted = np.unique(
        np.concatenate([[*n_shot(WINDOWS, s.train, 4, seed), *s.validation] for seed, s in enumerate(splits)])
    )
    tested = np.unique(np.concatenate([s.test for s in splits]))
    assert source.calls[:2] == [("bad", len(fitted)), ("good", len(fitted))]
    assert sorted(source.calls[2:]) == [("bad", len(tested)), ("good", len(tested))]


def test_labels_of_the_test_part_change_no_choice() -> None:
    first = probing.probe(Watched(), WINDOWS, seeds=(0,), settings=QUICK)
    label = WINDOWS.label.copy()
    test = subject_split(WINDOWS, 0).test
    label[test] = np.roll(label[test], 7)
    other = probing.probe(
        Watched(),
        WINDOWS.__class__(**{**vars(WINDOWS), "label": label}),
        seeds=(0,),
        settings=QUICK,
        split=lambda _, seed: subject_split(WINDOWS, seed),
    )
    chosen = ["kind", "learning_rate", "weight_decay", "epoch", "validation_f1"]
    assert first.table[chosen].equals(other.table[chosen])
    assert first.table["macro_f1"].iloc[0] > other.table["macro_f1"].iloc[0]


def test_scores_are_those_of_the_chosen_head_on_the_test_part() -> None:
    from sklearn.metrics import f1_score

    result = probing.probe(Watched(), WINDOWS, seeds=(3,), shots=(4,), settings=QUICK)
    test = subject_split(WINDOWS, 3).test
    features = Watched().features(WINDOWS.x[test], {"kind": "good"})["energy"]
    guess = result.heads["energy", 4, 3].predict(features)
    row = result.table.iloc[0]
    assert row["macro_f1"] == pytest.approx(f1_score(WINDOWS.label[test], guess, average="macro"))
    assert row["macro_f1_low"] <= row["macro_f1"] <= row["macro_f1_high"]
    assert (row["n_train"], row["n_test"]) == (16, len(test))
    assert row["n_redraws"] == subject_split(WINDOWS, 3).n_redraws
    assert result.confusion("energy", 4).sum() == len(test)
    assert list(result.per_class().columns) == ["layer", "shots", "seed", "test", *WINDOWS.class_names]
    assert result.summary()["n"].tolist() == [1, 1]
    several = probing.probe(Watched(), WINDOWS, seeds=(0, 1), shots=(4,), settings=QUICK)
    people = {person for seed in (0, 1) for person in several.members[seed]["test"]}
    rarest = int(several.table["n_rarest"].min())
    last = several.summary().iloc[0]
    assert last[["n_test_subjects", "n_rarest", "n_fewest"]].tolist() == [len(people), rarest, 4]
    facts = f"2 distinct splits, {len(people)} test subjects, {rarest} test windows of the rarest class at least"
    assert several.evidence() == facts
    with pytest.raises(ValueError, match="expected a row of the table, got 'last', 4, 'clean'"):
        result.confusion("last", 4)


def test_an_altered_test_set_meets_the_same_heads() -> None:
    silent = np.zeros_like(WINDOWS.x)
    result = probing.probe(
        Watched(), WINDOWS, seeds=(0,), settings=QUICK, altered={"silent": silent, "same": WINDOWS.x}
    )
    f1 = result.table[result.table["layer"] == "energy"].set_index("test")["macro_f1"]
    assert f1["same"] == f1["clean"] > f1["silent"]
    with pytest.raises(ValueError, match="altered short: expected"):
        probing.probe(Watched(), WINDOWS, settings=QUICK, altered={"short": silent[:, :, :10]})


def test_capped_parts_hold_at_most_so_many_of_each_class() -> None:
    part = subject_split(WINDOWS, 0).test
    few = probing.capped(WINDOWS, part, 2, 0)
    assert np.bincount(WINDOWS.label[few]).tolist() == [2, 2, 2, 2]
    assert set(few) <= set(part)
    assert probing.capped(WINDOWS, part, None, 0) is part


def test_an_encoders_features_are_its_own_on_the_kernels_pictures() -> None:
    encoder = load_encoder("random", seed=4)
    layers = ("last", "layer1", "layer1.bands", "layer4")
    source = probing.EncoderSource(encoder, pictures=SMALL, layers=layers, batch=5)
    assert source.choices(128) == [{"nfft": 32, "hop": 16}, {"nfft": 64, "hop": 16}]
    assert source.choices(40) == [{"nfft": 32, "hop": 16}]
    with pytest.raises(ValueError, match="nfft: expected at most the window's 20 samples"):
        source.choices(20)
    got = source.features(WINDOWS.x[:7], {"nfft": 64, "hop": 16})
    pictures = imuspec.rgb_image(WINDOWS.x[:7], nfft=64, noverlap=48, size=(24, 32), dtype="float32")
    with torch.inference_mode():
        want = encoder(torch.from_numpy(pictures)).numpy()
        maps = encoder.maps(torch.from_numpy(pictures))["layer1"]
    np.testing.assert_allclose(got["last"], want, atol=1e-5)
    np.testing.assert_allclose(got["layer4"], want, atol=1e-5)
    assert got["layer1"].shape == (7, 64)
    np.testing.assert_allclose(got["layer1.bands"].reshape(7, 64, 6).mean(2), maps.mean((2, 3)), atol=1e-5)
    with pytest.raises(ValueError, match=r"layer: expected some of last, .*got layer9"):
        probing.embed(encoder, WINDOWS.x[:2], layers=("layer9",))


def test_the_range_of_the_data_set_is_that_of_training_windows_alone() -> None:
    settings = PictureSettings(nfft=(32, 64), hop=(16,), size=(24, 32), norm="dataset")  # type: ignore[call-arg]
    source = probing.EncoderSource(load_encoder("random"), pictures=settings, layers=("last", "layer1"))
    options = {"seeds": (0, 1), "shots": (1, 2), "settings": QUICK}
    table = probing.probe(source, WINDOWS, **options).table
    assert list(zip(table["layer"], table["shots"], table["seed"], strict=True)) == [
        (layer, shots, seed) for layer in ("last", "layer1") for shots in (1, 2) for seed in (0, 1)
    ]
    for row in table.to_dict("records"):
        train = WINDOWS.x[subject_split(WINDOWS, row["seed"]).train]
        expected = training_range(train, nfft=row["nfft"], noverlap=row["nfft"] - 16)
        assert (row["black_db"], row["white_db"]) == expected

    def ranges(part: str) -> list[float]:
        """What one seed draws pictures with when the windows of a part are ten times as strong."""
        x = WINDOWS.x.copy()
        x[getattr(subject_split(WINDOWS, 0), part)] *= 10
        louder = WINDOWS.__class__(**{**vars(WINDOWS), "x": x})
        made = source.fitted(louder.x[subject_split(louder, 0).train]).choices(WINDOWS.n_samples)
        return [edge for choice in made for edge in (choice["black_db"], choice["white_db"])]

    assert ranges("validation") == ranges("test")
    np.testing.assert_allclose(np.subtract(ranges("train"), ranges("test")), 20, atol=1e-3)


def test_batch_norms_take_the_statistics_of_training_windows_alone() -> None:
    encoder = load_encoder("random")
    settings = PictureSettings(nfft=(32,), hop=(16,), size=(24, 32), batch_norm="training")  # type: ignore[call-arg]
    source = probing.EncoderSource(encoder, pictures=settings, layers=("last",))
    choice, picture = {"nfft": 32, "hop": 16}, {"nfft": 32, "noverlap": 16, "size": (24, 32)}
    train = WINDOWS.x[subject_split(WINDOWS, 0).train]
    before = {key: value.clone() for key, value in encoder.state_dict().items()}

    adapted = probing.with_batch_norms_of(encoder, train, picture=picture)
    with torch.inference_mode():
        first = adapted.conv1(torch.from_numpy(imuspec.rgb_image(train, dtype="float32", **picture)))
    torch.testing.assert_close(adapted.bn1.running_mean, first.mean((0, 2, 3)), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(adapted.bn1.running_var, first.var((0, 2, 3)), rtol=1e-3, atol=1e-5)
    assert all(torch.equal(value, before[key]) for key, value in encoder.state_dict().items())
    weights = dict(adapted.named_parameters())
    assert all(torch.equal(value, weights[key]) for key, value in encoder.named_parameters())

    features = source.fitted(train).features(WINDOWS.x[:8], choice)["last"]
    np.testing.assert_array_equal(features, probing.embed(adapted, WINDOWS.x[:8], picture=picture)["last"])
    assert np.abs(features - source.fitted(train * 0.1 + 1).features(WINDOWS.x[:8], choice)["last"]).max() > 1e-3
    options = {"seeds": (0, 1), "shots": (2,), "settings": QUICK}
    remaining = probing.EncoderSource(
        encoder, pictures=settings.model_copy(update={"batch_norm": "kept"}), layers=("last",)
    )
    assert not np.allclose(
        probing.probe(source, WINDOWS, **options).table["validation_f1"],
        probing.probe(remaining, WINDOWS, **options).table["validation_f1"],
    )
    with pytest.raises(ValueError, match="from fitted"):
        source.features(WINDOWS.x[:8], choice)


def test_batch_norms_are_asked_for_where_there_are_some() -> None:
    from imuspec.encoders import build

    with pytest.raises(ValueError, match="expected an encoder with batch norms"):
        probing.with_batch_norms_of(build("limu_bert", n_steps=128), WINDOWS.x)
    with pytest.raises(ValueError, match="at least 2 training windows, got 1"):
        probing.with_batch_norms_of(load_encoder("random"), WINDOWS.x[:1])


def test_the_supervised_row_takes_the_range_of_its_training_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, Any]] = []
    drawn = imuspec.rgb_image
    module = sys.modules[probing.fit_supervised.__module__]
    monkeypatch.setattr(module, "rgb_image", lambda x, **k: (seen.append(k), drawn(x, **k))[1])
    picture = {"nfft": 32, "noverlap": 16, "size": (24, 32), "norm": "dataset", "range_db": None}
    build = lambda seed, _: load_encoder("random", seed=seed)  # noqa: E731
    probing.supervised(build, WINDOWS, seeds=(0,), picture=picture, epochs=1)
    expected = training_range(WINDOWS.x[subject_split(WINDOWS, 0).train], nfft=32, noverlap=16)
    assert {settings["range_db"] for settings in seen} == {expected}


def test_a_frozen_encoder_stays_as_it_was() -> None:
    encoder = load_encoder("random").train()
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    probing.embed(encoder, WINDOWS.x[:8], picture={"nfft": 32, "noverlap": 16, "size": (24, 32)})
    assert not encoder.training
    assert all(torch.equal(value, before[key]) for key, value in encoder.state_dict().items())


def test_random_encoders_follow_their_seed() -> None:
    first, same, other = (load_encoder("random", seed=s).conv1.weight for s in (0, 0, 1))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    with pytest.raises(
        FileNotFoundError,
        match="run: expected a run's folder, random:FOLDER, a weights file, random, imagenet or efficientnet-lite0, got 'no",
    ):
        load_encoder("nowhere/at/all")


def test_a_run_is_probed_on_pictures_of_its_own_size(tmp_path: Path) -> None:
    assert picture_size("random") is None
    assert picture_size(str(tmp_path)) is None
    (tmp_path / "recipe.json").write_text('{"source": {"name": "images", "height": 48, "width": 64}}', "utf-8")
    assert picture_size(str(tmp_path)) == (48, 64)
    (tmp_path / "recipe.json").write_text('{"source": {"name": "signals", "rate_hz": 50}}', "utf-8")
    assert picture_size(str(tmp_path)) is None


def test_a_supervised_encoder_learns_what_a_frozen_one_is_asked() -> None:
    result = probing.supervised(
        lambda seed, _: load_encoder("random", seed=seed),
        WINDOWS,
        seeds=(0,),
        picture={"nfft": 32, "noverlap": 24, "norm": "fixed", "size": (24, 32)},
        epochs=8,
        batch=8,
        max_train=12,
        max_validation=8,
    )
    row = result.table.iloc[0]
    assert row["macro_f1"] > 0.8
    assert (row["layer"], row["shots"], row["n_train"], row["n_redraws"]) == ("all", 0, 48, 0)
    assert result.scores["all", 0, 0, "clean"].confusion.sum() == row["n_test"]


def test_seeds_that_give_one_split_twice_are_refused() -> None:
    few = made_up_windows(n_subjects=3, n_windows=4)
    with pytest.raises(ValueError, match="expected seeds that give distinct splits, got 6 distinct of 7"):
        probing.probe(probing.StatisticsSource(few.rate), few, seeds=range(7), shots=(2,), head="logistic")
    with pytest.raises(ValueError, match="expected seeds that give distinct splits, got 1 distinct of 2"):
        probing.supervised(lambda seed, _: load_encoder("random", seed=seed), few, seeds=(0, 6))


def test_features_without_parameters_are_what_their_names_say() -> None:
    x = WINDOWS.x[:3]
    six = probing.MomentsSource().features(x, {})["statistics"]
    assert six.shape == (3, 6)
    np.testing.assert_allclose(six[:, :3], x.mean(2), atol=1e-6)
    np.testing.assert_allclose(six[:, 3:], np.log(np.sqrt(x.std(2, dtype=np.float64) ** 2 + 1e-6)), atol=1e-5)
    assert probing.moments(np.zeros((3, 8)))[3:] == pytest.approx(np.log(1e-3))
    source = probing.EncoderSource(probing.RowMeans(), pictures=SMALL)
    picture = imuspec.rgb_image(x, nfft=32, noverlap=16, size=(24, 32), dtype="float32")
    rows = source.features(x, {"nfft": 32, "hop": 16})["last"]
    np.testing.assert_allclose(rows, picture.mean(3).reshape(3, -1), atol=1e-5)
    assert not probing.RowMeans().state_dict()


def test_a_row_names_who_was_tested_and_the_windows_of_the_rarest_class() -> None:
    result = probing.probe(probing.StatisticsSource(50.0), WINDOWS, seeds=(0, 1), head="logistic", max_test=3)
    for row in result.table.to_dict("records"):
        tested = result.members[row["seed"]]["test"]
        assert row["test_subjects"] == "; ".join(map(str, tested))
        assert (row["n_test_subjects"], row["n_rarest"], row["n_test"]) == (2, 3, 12)
        assert row["test_over_train"] == 2 / 6


def test_the_six_numbers_can_stand_beside_an_encoder() -> None:
    from imuspec import encoders
    from imuspec.probing.parameter_free import moments
    from imuspec.probing.sources import embed

    torch.manual_seed(0)
    encoder = encoders.build("tpn")
    x = np.random.default_rng(0).normal(0, 1, (5, 3, 128)).astype(np.float32)
    features = embed(encoder, x, layers=("last", "last+moments"))
    np.testing.assert_array_equal(features["last+moments"][:, :-6], features["last"])
    np.testing.assert_array_equal(features["last+moments"][:, -6:], moments(x))
    alone = embed(encoder, x, layers=("last+moments",))
    np.testing.assert_array_equal(alone["last+moments"], features["last+moments"])
    with pytest.raises(ValueError, match="layer: expected some of"):
        embed(encoder, x, layers=("nothing+moments",))
