"""Views of a whole batch are those of each operation by its definition, and wait for nothing."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from imuspec import views
from imuspec.views import choosing, colour, geometry
from imuspec.views.sensor import SensorViews, hue, jitter, permute_x, translate_x
from launches import WAITING, launches

# Operators that two views may launch on a GPU. Look for the new ones before raising a number.
MOST = {"img2imu": 118, "moco": 217, "moco_v3": 231, "all": 157}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(n: int = 24) -> Tensor:
    return torch.rand(n, 3, 16, 128, generator=generator(9))


@pytest.mark.parametrize("fill", ["zero", "edge", "wrap", "mean"])
@pytest.mark.parametrize("cuts", ["random", "equal", "poisson"])
@pytest.mark.parametrize(("kind", "noise", "shared"), [("mix", "uniform", False), ("perm", "gaussian", True)])
def test_one_pass_over_a_batch_is_each_operation_on_its_pictures(
    fill: Any, cuts: Any, kind: Any, noise: Any, shared: bool
) -> None:
    shown = SensorViews(
        translate_fill=fill, permute_cuts=cuts, hue=kind, jitter_noise=noise, jitter_shared=shared
    ).one_view(pictures(), generator())
    x, g = pictures(), generator()
    choice = torch.randint(4, (len(x),), generator=g)
    each = [
        translate_x(x, g, fill=fill),
        permute_x(x, g, cuts=cuts),
        hue(x, g, kind=kind),
        jitter(x, g, noise=noise, shared=shared),
    ]
    expected = torch.stack(each)[choice, torch.arange(len(x))]
    assert set(choice.tolist()) == {0, 1, 2, 3}
    torch.testing.assert_close(shown, expected, atol=1e-6, rtol=0)


def test_a_turn_of_the_hue_changes_the_chosen_pictures_alone() -> None:
    shown = SensorViews(operations=("hue", "jitter"), hue="hsv", jitter_max=0.0).one_view(pictures(), generator())
    x, g = pictures(), generator()
    choice = torch.randint(2, (len(x),), generator=g)
    turned = hue(x, g, kind="hsv")
    torch.testing.assert_close(shown, torch.where((choice == 0)[:, None, None, None], turned, x))


def test_colours_change_in_the_order_of_each_picture() -> None:
    x, g = pictures(), generator()
    rank = torch.rand(len(x), 4, generator=g).argsort(1)
    factor, turn = 0.5 + torch.rand(len(x), 3, generator=g), 0.2 * torch.rand(len(x), generator=g) - 0.1
    blends = (colour.brightness, colour.contrast, colour.saturation)
    expected = []
    for i, original in enumerate(x.split(1)):
        picture = original
        for position in range(4):
            operation = int((rank[i] == position).nonzero())
            if operation == 3:
                picture = colour.turn_hue(picture, turn[i : i + 1])
            else:
                picture = blends[operation](picture, factor[i : i + 1, operation])
        expected.append(picture)
    assert len(torch.unique(rank, dim=0)) > 10
    torch.testing.assert_close(colour.in_any_order(x, rank, factor, turn), torch.cat(expected), atol=1e-5, rtol=0)


def test_a_flipped_crop_is_the_flip_of_the_crop() -> None:
    flipped = torch.arange(24) % 2 == 0
    got = geometry.random_crop(pictures(), generator(), flipped=flipped)
    crop = geometry.random_crop(pictures(), generator())
    expected = torch.where(flipped[:, None, None, None], crop.flip(3), crop)
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)


def test_operations_on_all_pictures_are_those_on_the_chosen_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    operations = [geometry.flip, lambda x, _: 1 - x]
    choice = torch.arange(24) % 2

    def both() -> tuple[Tensor, Tensor]:
        some = choosing.by_chance(pictures(), geometry.flip, 0.5, generator())
        return some, choosing.one_each(pictures(), choice, operations, generator())

    expected = both()
    monkeypatch.setattr(choosing, "selects", lambda _: False)
    for got, value in zip(both(), expected, strict=True):
        assert torch.equal(got, value)
        assert not torch.equal(got, pictures())


@pytest.mark.parametrize("name", MOST)
def test_two_views_launch_little_and_wait_for_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "selects", lambda _: False)  # as on a GPU
    generate, batch, g = views.build(name), (255 * pictures(8)).to(torch.uint8), generator()
    made = launches(lambda: generate(batch, g))
    assert made.counts.total() <= MOST[name], made.counts
    assert not WAITING & set(made.counts)
    assert not made.from_host
