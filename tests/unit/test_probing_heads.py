"""Heads on frozen features: the batched linear one is the plain one, the grid is chosen, the logistic one is scikit-learn's."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")
from imuspec import probing  # noqa: E402
from imuspec.probing import heads  # noqa: E402
from imuspec.probing.fitting import checked_step  # noqa: E402
from imuspec.recipe.probing import HeadSettings  # noqa: E402

SETTINGS = HeadSettings(epochs=12, learning_rates=(1e-1, 1e-2, 1e-4), weight_decays=(0.0, 1e-2))  # type: ignore[call-arg]


def tasks(n_tasks: int = 3, *, n: int = 22, width: int = 17, n_classes: int = 4, dtype: type = np.float64) -> list:
    rng = np.random.default_rng(3)
    centres = rng.normal(size=(n_classes, width))
    made = []
    for seed in range(n_tasks):
        label, other = rng.integers(0, n_classes, n), rng.integers(0, n_classes, 60)
        train, validation = (centres[y] * 0.6 + rng.normal(size=(len(y), width)) for y in (label, other))
        made.append(probing.Task(train.astype(dtype), label, validation.astype(dtype), other, seed))
    return made


def test_all_heads_at_once_are_the_plain_fits() -> None:
    at_once = probing.fit_linear(tasks(), 4, SETTINGS)
    for got, want in zip(at_once, probing.fit_modules(tasks(), 4, SETTINGS), strict=True):
        assert got.chosen == want.chosen
        assert got.validation_f1 == want.validation_f1
        np.testing.assert_allclose(got.weight, want.weight, rtol=1e-9, atol=1e-10)
        np.testing.assert_allclose(got.bias, want.bias, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("choose", ["best", "last"])
def test_a_grid_of_heads_is_each_head_by_itself_to_the_bit(choose: str) -> None:
    settings = SETTINGS.model_copy(update={"choose": choose})
    problems = tasks(dtype=np.float32)
    at_once = probing.fit_linear(problems, 4, settings)
    for task, got in zip(problems, at_once, strict=True):
        alone = [
            probing.fit_linear([task], 4, settings.model_copy(update={"learning_rates": (a,), "weight_decays": (b,)}))[
                0
            ]
            for a in settings.learning_rates
            for b in settings.weight_decays
        ]
        best = max(alone, key=lambda fitted: fitted.validation_f1)
        assert got.chosen == best.chosen
        np.testing.assert_array_equal(got.weight, best.weight)
        np.testing.assert_array_equal(got.bias, best.bias)


def test_draws_of_unlike_sizes_are_fitted_each_by_its_own() -> None:
    few, many = tasks(2, n=9), tasks(2, n=22)
    mixed = probing.fit_linear([few[0], many[0], few[1], many[1]], 4, SETTINGS)
    for got, want in zip(mixed[::2], probing.fit_linear(few, 4, SETTINGS), strict=True):
        np.testing.assert_allclose(got.weight, want.weight, rtol=1e-12)
        assert got.chosen == want.chosen


def test_fitting_leaves_torchs_own_random_numbers_alone() -> None:
    torch.manual_seed(5)
    want = torch.rand(3)
    torch.manual_seed(5)
    probing.fit_linear(tasks(1), 4, SETTINGS)
    probing.fit_modules(tasks(1), 4, SETTINGS.model_copy(update={"epochs": 1}))
    assert torch.equal(torch.rand(3), want)


def test_a_head_of_ones_own_is_fitted_over_the_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    def mlp(width: int, n_classes: int) -> torch.nn.Module:
        return torch.nn.Sequential(torch.nn.Linear(width, 8), torch.nn.ReLU(), torch.nn.Linear(8, n_classes))

    monkeypatch.setitem(probing.HEADS, "mlp", partial(probing.fit_modules, build=mlp))
    got = probing.fit("mlp", tasks(1), 4, SETTINGS)[0]
    assert got.validation_f1 > 0.5
    assert got.weight is None
    assert got.chosen["learning_rate"] in SETTINGS.learning_rates
    with pytest.raises(ValueError, match="head: expected one of 'logistic', 'mlp', 'linear', got 'lstm'"):
        probing.fit("lstm", tasks(1), 4, SETTINGS)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_the_logistic_head_is_scikit_learns_on_standardised_features(n_classes: int) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    task = tasks(1, n_classes=n_classes)[0]
    got = probing.fit_logistic([task], n_classes, SETTINGS)[0]
    model = make_pipeline(StandardScaler(), LogisticRegression(C=got.chosen["C"], max_iter=2000))
    model.fit(task.train, task.label)
    np.testing.assert_array_equal(got.predict(task.validation), model.predict(task.validation))
    logits = got.logits(task.validation)
    odds = np.exp(logits - logits.max(1, keepdims=True))
    np.testing.assert_allclose(odds / odds.sum(1, keepdims=True), model.predict_proba(task.validation), atol=1e-9)


def test_the_logistic_head_never_says_a_class_that_it_was_not_shown() -> None:
    task = tasks(1, n_classes=3)[0]
    shown = task.label != 1
    remaining = probing.Task(task.train[shown], task.label[shown], task.validation, task.validation_label, 0)
    assert set(probing.fit_logistic([remaining], 3, SETTINGS)[0].predict(task.validation)) == {0, 2}


def test_a_logistic_head_that_has_not_converged_is_reported_with_its_strength(monkeypatch: pytest.MonkeyPatch) -> None:
    task = tasks(1)[0]
    probing.fit_logistic([task], 4, SETTINGS)  # no warning, as warnings are errors here
    monkeypatch.setattr(heads, "_STEPS", 2)
    with pytest.warns(UserWarning, match=r"head\.kind=logistic: C=10, .* has not converged after 2 steps"):
        probing.fit_logistic([task], 4, SETTINGS, strengths=(10.0,))


def test_features_that_are_not_finite_are_refused() -> None:
    task = tasks(1)[0]
    wrong = task.train.copy()
    wrong[2, 3] = np.nan
    with pytest.raises(
        ValueError, match="train: expected finite features, got NaN or infinity: the encoder has diverged"
    ):
        probing.Task(wrong, task.label, task.validation, task.validation_label, 0)
    with pytest.raises(ValueError, match="validation: expected a label for each window, got 60 and 3"):
        probing.Task(task.train, task.label, task.validation, task.validation_label[:3], 0)


class _Rescaled(torch.nn.Linear):
    """A layer whose output is not finite once a weight has grown."""

    limit = 1.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) + torch.where(self.weight.abs().max() > self.limit, torch.nan, 0.0)


def test_a_rate_at_which_a_head_diverges_is_not_selected_and_none_is_refused() -> None:
    (task,) = tasks(1, dtype=np.float32)
    (fitted,) = probing.fit_modules(
        [task], 4, SETTINGS.model_copy(update={"learning_rates": (0.1, 1e-4)}), build=_Rescaled
    )
    assert fitted.chosen["learning_rate"] == 1e-4
    with pytest.raises(ValueError, match=r"learning_rate: expected a finite loss, got nan: try a smaller rate"):
        probing.fit_modules([task], 4, SETTINGS.model_copy(update={"learning_rates": (0.1,)}), build=_Rescaled)


def test_a_gradient_that_is_not_finite_leaves_the_weights_as_they_were() -> None:
    layer = torch.nn.Linear(2, 1)
    before = layer.weight.detach().clone()
    optimiser = torch.optim.SGD(layer.parameters(), lr=0.1)
    loss = layer(torch.zeros(1, 2)).sum() + (layer.weight * 0).square().sum().sqrt()  # 0, whose root has no slope
    assert bool(torch.isfinite(loss))
    with pytest.raises(ValueError, match="rate: expected a finite gradient, got nan"):
        checked_step(loss, optimiser, "rate")
    assert torch.equal(layer.weight, before)
