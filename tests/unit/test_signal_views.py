"""Operations on windows of signal: what each does, how it is distributed, and that the generator alone decides."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from imuspec.views import signal
from imuspec.views.pretext import SignalPair, SpanMask, TransformCopies, TransformLabels


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def ramp(n_windows: int = 4000, n: int = 100) -> torch.Tensor:
    """Time itself on each axis, the axes distinguished by 1000, 2000, 3000."""
    return (torch.arange(n, dtype=torch.float32) + 1000 * torch.arange(1, 4)[:, None]).expand(n_windows, 3, n).clone()


@pytest.mark.parametrize("name", signal.OPERATIONS)
def test_an_operation_keeps_shape_type_and_input_and_follows_the_generator(name: str) -> None:
    x = torch.randn(8, 3, 100, generator=generator(9))
    before = x.clone()
    once, again = (signal.OPERATIONS[name](x, generator(1)) for _ in range(2))
    assert once.shape == x.shape
    assert once.dtype == x.dtype
    assert torch.equal(x, before)
    assert torch.equal(once, again)
    if name not in ("negate", "reverse"):
        assert not torch.equal(once, signal.OPERATIONS[name](x, generator(2)))


def test_noise_is_normal_with_the_sd_asked() -> None:
    drawn = signal.noise(torch.zeros(500, 3, 100), generator())
    assert abs(float(drawn.mean())) < 1e-3
    assert float(drawn.std()) == pytest.approx(0.05, rel=0.01)
    assert float((drawn.abs() < 0.05).float().mean()) == pytest.approx(math.erf(1 / math.sqrt(2)), abs=0.005)


def test_scale_draws_a_factor_for_each_axis() -> None:
    factors = signal.scale(torch.ones(4000, 3, 10), generator())
    assert float(factors.std(-1).max()) == 0
    assert float(factors[..., 0].std()) == pytest.approx(0.1, rel=0.03)
    correlation = np.corrcoef(factors[:, 0, 0], factors[:, 1, 0])[0, 1]
    assert abs(correlation) < 0.05


def test_a_clear_scale_is_uniform_outside_the_band_around_one() -> None:
    factors = signal.scale_clearly(torch.ones(8000, 3, 1), generator()).flatten().numpy()
    assert factors.min() >= 0.5
    assert factors.max() <= 1.5
    assert np.abs(factors - 1).min() >= 0.15 - 1e-6
    counts, _ = np.histogram(factors, bins=[0.5, 0.675, 0.85, 1.15, 1.325, 1.5])
    np.testing.assert_allclose(counts / len(factors), [0.25, 0.25, 0, 0.25, 0.25], atol=0.015)
    with pytest.raises(ValueError, match="least: expected at most"):
        signal.scale_clearly(torch.ones(1, 3, 1), generator(), least=0.6)


def test_rotations_are_rotations_with_a_uniform_angle() -> None:
    turns = signal.random_rotations(8000, generator(), like=torch.zeros((), dtype=torch.float64))
    torch.testing.assert_close(turns @ turns.transpose(1, 2), torch.eye(3, dtype=torch.float64).expand(8000, 3, 3))
    torch.testing.assert_close(torch.linalg.det(turns), torch.ones(8000, dtype=torch.float64))
    angle = torch.arccos(((turns.diagonal(dim1=1, dim2=2).sum(1) - 1) / 2).clamp(-1, 1)).numpy()
    counts, _ = np.histogram(angle, bins=4, range=(0, math.pi))
    np.testing.assert_allclose(counts / 8000, 0.25, atol=0.02)
    diagonal = turns.diagonal(dim1=1, dim2=2)
    assert float(diagonal.square().mean()) == pytest.approx(0.44, abs=0.02)  # the mean diagonal of the squared rotation


def test_rotate_turns_all_samples_and_all_triads_alike() -> None:
    x = torch.randn(50, 3, 40, generator=generator(3))
    turned = signal.rotate(torch.cat([x, x], 1), generator())
    torch.testing.assert_close(turned[:, :3], turned[:, 3:])
    torch.testing.assert_close(turned[:, :3].norm(dim=1), x.norm(dim=1), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(
        turned[:, :3].transpose(1, 2) @ turned[:, :3], x.transpose(1, 2) @ x, atol=1e-4, rtol=1e-4
    )
    with pytest.raises(ValueError, match="three axes or a multiple"):
        signal.rotate(torch.zeros(1, 2, 10), generator())


def test_negate_and_reverse_undo_themselves() -> None:
    x = torch.randn(3, 3, 20, generator=generator())
    for operation in (signal.negate, signal.reverse):
        assert torch.equal(operation(operation(x, generator()), generator()), x)
    assert torch.equal(signal.reverse(x, generator())[..., 0], x[..., -1])


def segments(row: np.ndarray) -> list[tuple[int, int]]:
    """(start, length) of each stretch of consecutive samples of a permuted ramp."""
    breaks = np.flatnonzero(np.diff(row) != 1) + 1
    return [(int(part[0]), len(part)) for part in np.split(row, breaks)]


def test_permute_moves_whole_segments_and_never_returns_the_window() -> None:
    moved = signal.permute(ramp(), generator()).numpy()
    assert (np.sort(moved[:, 0], 1) == np.arange(100) + 1000).all()
    assert (moved[:, 1] - moved[:, 0] == 1000).all()
    pieces = [segments(row - 1000) for row in moved[:, 0]]
    assert all(2 <= len(result) <= 4 for result in pieces)
    assert min(length for result in pieces for _, length in result) >= 10
    whole = [result for result in pieces if len(result) == 4]
    orders = [tuple(np.argsort(np.argsort([start for start, _ in result]))) for result in whole]
    # Orders that keep two neighbours together show fewer segments; the others are 11 of 24, equally likely.
    counts = {order: orders.count(order) for order in set(orders)}
    kept_apart = [o for o in itertools.permutations(range(4)) if all(b != a + 1 for a, b in itertools.pairwise(o))]
    assert set(counts) == set(kept_apart)
    np.testing.assert_allclose(np.array(list(counts.values())) / len(moved), 1 / 23, atol=0.012)


def test_the_cuts_of_permute_are_spread_over_the_window() -> None:
    moved = signal.permute(ramp(), generator(), n_segments=2, min_length=10).numpy()[:, 0] - 1000
    first = np.array(
        [segments(row)[0][1] for row in moved]
    )  # the second piece's length: two pieces can only change places
    assert (first.min(), first.max()) == (10, 90)
    counts, _ = np.histogram(first, bins=[10, 37, 64, 91])
    np.testing.assert_allclose(counts / len(first), 1 / 3, atol=0.03)
    with pytest.raises(ValueError, match="4 segments of 10 samples, got 39"):
        signal.permute(torch.zeros(1, 3, 39), generator())


def test_a_time_warp_keeps_the_ends_and_never_turns_back() -> None:
    x = torch.arange(100, dtype=torch.float64).expand(2000, 3, 100)
    warped = signal.time_warp(x, generator()).numpy()
    np.testing.assert_allclose(warped[..., 0], 0, atol=1e-9)
    np.testing.assert_allclose(warped[..., -1], 99, atol=1e-9)
    assert (np.diff(warped, axis=-1) >= 0).all()
    assert (warped[:, 0] == warped[:, 1]).all()
    assert np.abs(warped[:, 0].mean(0) - np.arange(100)).max() < 1.0
    each = signal.time_warp(x, generator(), each_axis=True).numpy()
    assert not np.allclose(each[:, 0], each[:, 1])


def test_a_time_warp_reads_straight_lines_between_the_warped_samples() -> None:
    x = torch.randn(4, 3, 50, generator=generator(4), dtype=torch.float64)
    pace = signal._smooth_curves(x, generator(5), 1, 0.2, 4).clamp_min(0.05).numpy()
    clock = np.cumsum(pace, -1)
    clock = (clock - clock[..., :1]) * 49 / (clock[..., -1:] - clock[..., :1])
    warped = signal.time_warp(x, generator(5)).numpy()
    for i, axis in itertools.product(range(4), range(3)):
        np.testing.assert_allclose(warped[i, axis], np.interp(np.arange(50), clock[i, 0], x[i, axis]), atol=1e-9)


def test_smooth_curves_pass_through_their_knots() -> None:
    from scipy.interpolate import CubicSpline

    x = torch.ones(300, 3, 96, dtype=torch.float64)
    curves = signal.magnitude_warp(x, generator(6)).numpy()
    knots = 1 + 0.2 * torch.randn(300, 3, 6, generator=generator(6), dtype=torch.float64).numpy()
    expected = CubicSpline(np.linspace(0, 95, 6), knots, axis=-1)(np.arange(96))
    np.testing.assert_allclose(curves, expected, atol=1e-12)
    assert curves[..., 0].std() == pytest.approx(0.2, rel=0.08)


def test_random_sampling_keeps_kept_samples_and_draws_lines_between_them() -> None:
    x = torch.randn(200, 3, 100, generator=generator(1), dtype=torch.float64)
    drawn = signal.resample_at_random(x, generator(7), keep=0.5).numpy()
    remaining = (torch.rand(200, 100, generator=generator(7), dtype=torch.float64) < 0.5).numpy()
    remaining[:, 0] = remaining[:, -1] = True
    assert remaining[:, 1:-1].mean() == pytest.approx(0.5, abs=0.02)
    for i in range(20):
        at = np.flatnonzero(remaining[i])
        for axis in range(3):
            np.testing.assert_allclose(
                drawn[i, axis], np.interp(np.arange(100), at, x[i, axis].numpy()[at]), atol=1e-12
            )


def test_shuffled_axes_come_in_all_six_orders_alike() -> None:
    moved = signal.shuffle_axes(ramp(6000, 2), generator())[..., 0].numpy()
    orders, counts = np.unique(moved, axis=0, return_counts=True)
    assert len(orders) == 6
    np.testing.assert_allclose(counts / 6000, 1 / 6, atol=0.02)


def test_a_pair_draws_its_views_independently() -> None:
    x = torch.randn(16, 3, 60, generator=generator())
    first, second = SignalPair(("rotate",))(x, generator(1))
    assert not torch.allclose(first, second)
    torch.testing.assert_close(first.norm(dim=1), x.norm(dim=1), atol=1e-5, rtol=1e-5)
    with pytest.raises(ValueError, match="operations: expected one of 'noise', "):
        SignalPair(("wobble",))


def test_one_of_several_operations_is_drawn_for_each_window_alike() -> None:
    x = ramp(6000, 40)
    view, _ = SignalPair(("negate", "reverse"), compose="one")(x, generator())
    negated = (view == -x).flatten(1).all(1)
    reversed_ = (view == x.flip(-1)).flatten(1).all(1)
    assert bool((negated ^ reversed_).all())
    assert float(negated.float().mean()) == pytest.approx(0.5, abs=0.02)


def test_composed_operations_are_applied_in_order() -> None:
    x = torch.randn(4, 3, 30, generator=generator())
    view, _ = SignalPair(("negate", "reverse"))(x, generator())
    assert torch.equal(view, -x.flip(-1))


def test_copies_are_labelled_by_what_was_done_to_them() -> None:
    x = torch.randn(5, 3, 60, generator=generator())
    windows, labels = TransformCopies()(x, generator(1))
    assert windows.shape == (45, 3, 60)
    assert torch.equal(labels[:5], torch.zeros(5, 8))
    assert torch.equal(labels[5:], torch.eye(8).repeat_interleave(5, 0))
    assert torch.equal(windows[:5], x)
    assert torch.equal(windows[20:25], -x)  # negate is the fourth
    assert torch.equal(windows[25:30], x.flip(-1))


def test_harnets_tasks_are_drawn_with_an_even_chance_and_labelled_correctly() -> None:
    x = ramp(4000, 60)
    windows, labels = TransformLabels(turned=False)(x, generator())
    np.testing.assert_allclose(labels.mean(0), 0.5, atol=0.03)
    correlation = np.corrcoef(labels.T.numpy()) - np.eye(4)
    assert np.abs(correlation).max() < 0.05
    untouched = (windows == x).flatten(1).all(1)
    assert torch.equal(untouched, ~labels.bool().any(1))
    reversal = (labels == torch.tensor([1.0, 0, 0, 0])).all(1)
    assert torch.equal(windows[reversal], x[reversal].flip(-1))


def test_the_mask_chooses_the_share_asked_in_spans() -> None:
    mask = SpanMask()
    chosen = mask.steps(4000, 120, generator())
    assert (chosen.sum(1) == 18).all()
    runs = torch.diff(chosen.int(), prepend=torch.zeros(4000, 1, dtype=torch.int32)).eq(1).sum(1).float()
    # Geometric with stop .2, cut at 10: mean span 4.5 steps; independent steps would make 15.3 runs of 18.
    assert 3.0 < float(runs.mean()) < 5.5
    assert float(chosen.float().mean(0).std()) < 0.06  # no place is left out
    single = SpanMask(longest=1).steps(500, 120, generator())
    assert (single.sum(1) == 18).all()


def test_a_hidden_window_is_zero_where_it_is_to_be_reconstructed() -> None:
    x = torch.rand(4000, 3, 40, generator=generator()) + 1
    shown, target, chosen = SpanMask()(x, generator(1))
    assert torch.equal(target, x)
    hidden = (shown == 0).any(1)
    assert float(hidden.any(1).float().mean()) == pytest.approx(0.8, abs=0.02)
    assert torch.equal(hidden[hidden.any(1)], chosen[hidden.any(1)])
    assert torch.equal(shown.where(~hidden[:, None], torch.zeros(())), x.where(~hidden[:, None], torch.zeros(())))
