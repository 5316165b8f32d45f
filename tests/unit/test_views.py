"""Views: each operation does what it says and no more, one for each picture, all from the generator alone."""

from __future__ import annotations

import colorsys
import json
import math
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

from imuspec import views
from imuspec.views import colour, geometry, sensor
from imuspec.views.automatic import AllViews
from imuspec.views.photo import PhotoViews, colour_jitter
from imuspec.views.photo_v3 import MocoV3Views, solarize
from imuspec.views.sensor import SensorViews, hue, jitter, mixing_matrix, permute_x, translate_x
from reference_data import DATA, needs_data


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(n: int, rows: int = 12, columns: int = 128, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).random((n, 3, rows, columns), np.float32))


def ramp(n: int, columns: int = 128) -> Tensor:
    """Pictures whose every column is its own number, 1 to `columns`."""
    return torch.arange(1.0, columns + 1).expand(n, 3, 4, columns).contiguous()


@needs_data
def test_the_mixing_matrix_is_the_golden_one() -> None:
    golden = json.loads((DATA / "reference" / "misc_golden.json").read_text())["hue"]
    axis = torch.tensor(golden["axis"], dtype=torch.float64)
    matrix = mixing_matrix(axis, torch.tensor(golden["angle"], dtype=torch.float64))
    np.testing.assert_allclose(matrix, golden["M"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(torch.tensor(golden["pixel"], dtype=torch.float64) @ matrix, golden["out"], atol=1e-9)


def test_hue_keeps_the_brightness_of_each_pixel_and_mixes_by_the_sampling_of_the_specification() -> None:
    inputs = pictures(200, 4, 4) / 3  # a third, so that nothing is clipped
    mixed = hue(inputs, generator(), kind="mix")
    torch.testing.assert_close(mixed.sum(1), inputs.sum(1), atol=1e-6, rtol=0)
    axis = torch.rand(40_000, 3, generator=generator(1)) * 2 - 1
    angle = (torch.rand(40_000, generator=generator(2)) * 2 - 1) * math.pi
    diagonal = mixing_matrix(axis, angle).diagonal(dim1=1, dim2=2).mean()
    assert float(diagonal) == pytest.approx(0.44, abs=0.01)


def test_a_third_of_a_turn_about_the_diagonal_swaps_channels_in_a_circle() -> None:
    matrix = mixing_matrix(torch.ones(3), torch.tensor(2 * math.pi / 3))
    torch.testing.assert_close(matrix, torch.eye(3).roll(1, 0), atol=1e-6, rtol=0)


@pytest.mark.parametrize(("kind", "share", "moved"), [("perm", 1.0, 0.0), ("mix", 0.45, 0.0), ("hsv", 1.0, 0.01)])
def test_hue_keeps_the_contrast_of_colours_by_permutation_and_not_by_mixing(
    kind: Literal["perm", "mix", "hsv"], share: float, moved: float
) -> None:
    inputs = pictures(1000, 8, 8) / 3
    changed = hue(inputs, generator(), kind=kind)
    before, after = ((x - x.mean(1, keepdim=True)).square().sum((1, 2, 3)) for x in (inputs, changed))
    assert float((after / before).mean()) == pytest.approx(share, abs=0.03)
    brightness = float((changed.mean(1) - inputs.mean(1)).abs().mean())
    assert brightness < 1e-6 if moved == 0 else brightness > moved
    by_default = hue(inputs, generator())
    assert torch.equal(by_default, changed) == (kind == "perm")


def test_hue_by_permutation_gives_each_of_the_five_other_orders_equally_often() -> None:
    inputs = torch.tensor([0.1, 0.2, 0.3]).view(1, 3, 1, 1).expand(5000, 3, 1, 1)
    got = hue(inputs, generator(), kind="perm")[:, :, 0, 0]
    orders, counts = torch.unique((got * 10).round().long(), dim=0, return_counts=True)
    assert len(orders) == 5
    assert [1, 2, 3] not in orders.tolist()
    assert counts.min() > 900
    assert counts.max() < 1100


def test_hue_turned_is_what_torchvision_turns_it_to() -> None:
    inputs = pictures(6)
    turn = torch.tensor([-0.5, -0.2, 0.0, 0.1, 0.33, 0.5])
    expected = torch.stack([functional.adjust_hue(p, float(t)) for p, t in zip(inputs, turn, strict=True)])
    torch.testing.assert_close(colour.turn_hue(inputs, turn), expected, atol=2e-5, rtol=0)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (colour.brightness, functional.adjust_brightness),
        (colour.contrast, functional.adjust_contrast),
        (colour.saturation, functional.adjust_saturation),
        (colour.sharpness, functional.adjust_sharpness),
    ],
)
def test_a_blend_is_what_torchvision_makes_of_each_picture(ours, theirs) -> None:
    inputs, factors = pictures(4), torch.tensor([0.1, 0.7, 1.0, 1.9])
    expected = torch.stack([theirs(p, float(f)) for p, f in zip(inputs, factors, strict=True)])
    torch.testing.assert_close(ours(inputs, factors), expected, atol=2e-4, rtol=0)  # torchvision's luma has four digits


@pytest.mark.parametrize("fill", ["zero", "edge", "wrap", "mean"])
def test_translate_shifts_whole_columns_and_fills_what_is_left(fill) -> None:
    inputs = ramp(300)
    got = translate_x(inputs, generator(), fill=fill)
    shifts = []
    for before, after in zip(inputs[:, 0, 0].numpy(), got[:, 0, 0].numpy(), strict=True):
        centre = int(after[64]) - 1 if fill != "mean" or after[64] == int(after[64]) else None
        shift = 64 - centre
        expected = np.roll(before, shift)
        vacated = slice(0, shift) if shift >= 0 else slice(shift, None)
        if shift and fill != "wrap":
            expected[vacated] = {"zero": 0.0, "edge": before[0] if shift > 0 else before[-1], "mean": before.mean()}[
                fill
            ]
        np.testing.assert_allclose(after, expected)
        shifts.append(shift)
    assert (got == got[:, :1, :1]).all()  # every row and channel alike
    assert -58 <= min(shifts) < -50
    assert 50 < max(shifts) <= 58
    assert abs(np.mean(shifts)) < 6
    assert np.std(shifts) == pytest.approx(2 * 0.45 * 128 / math.sqrt(12), rel=0.1)


@pytest.mark.parametrize("cuts", ["random", "equal", "poisson"])
def test_permute_moves_whole_pieces_and_never_leaves_the_order(cuts) -> None:
    got = permute_x(ramp(400), generator(), cuts=cuts)[:, 0, 0].numpy().astype(int)
    pieces = []
    for row in got:
        assert sorted(row) == list(range(1, 129))
        breaks = np.flatnonzero(np.diff(row) != 1) + 1
        assert len(breaks)
        lengths = np.diff([0, *breaks, 128])
        assert lengths.min() >= 10  # pieces that stay neighbours look like one longer piece
        pieces.append(len(lengths))
        if cuts == "equal":
            assert (lengths % 32 == 0).all()
    assert max(pieces) == 4 if cuts != "poisson" else 5 <= max(pieces) <= 8
    assert min(pieces) >= 2


def test_every_set_of_cuts_is_as_likely_and_so_is_every_other_order() -> None:
    # Three pieces of at least 2 in 8 columns: the lengths (2 2 4), (2 4 2), (4 2 2), (2 3 3), (3 2 3), (3 3 2).
    source = sensor._permuted(30_000, 8, 3, 2, generator(), equal=False)
    seen, counts = torch.unique(source, dim=0, return_counts=True)
    # 6 ways to cut x 5 orders, some of which give the same columns; each of the 30 has 1000 +- 31.
    assert counts.sum() == 30_000
    assert ((counts / 1000 - (counts / 1000).round()).abs() < 0.2).all()
    assert [0, 1, 2, 3, 4, 5, 6, 7] not in seen.tolist()


def test_permute_says_when_pieces_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"chunks \* min_columns <= 64 columns, got 8 \* 10"):
        permute_x(pictures(2, columns=64), generator(), chunks=8)


@pytest.mark.parametrize(("noise", "sd"), [("uniform", 0.1 / math.sqrt(3)), ("gaussian", 0.1 / math.sqrt(3))])
def test_jitter_adds_noise_of_the_width_asked_for(noise, sd) -> None:
    got = jitter(torch.full((8, 3, 32, 32), 0.5), generator(), noise=noise) - 0.5
    assert float(got.std()) == pytest.approx(sd, rel=0.03)
    assert abs(float(got.mean())) < 1e-3
    assert (float(got.abs().max()) <= 0.1 + 1e-6) == (noise == "uniform")
    assert not torch.equal(got[:, 0], got[:, 1])
    shared = jitter(torch.full((8, 3, 32, 32), 0.5), generator(), noise=noise, shared=True)
    assert torch.equal(shared[:, 0], shared[:, 1])
    assert float(jitter(torch.ones(2, 3, 8, 8), generator()).max()) == 1.0


def _operation_of(before: Tensor, after: Tensor) -> str:
    """Which of the four happened, seen in the result alone."""
    if torch.equal(before.flatten().sort().values, after.flatten().sort().values):
        return "permute_x"
    if (after[:, :, 0] == 0).all() or (after[:, :, -1] == 0).all():
        return "translate_x"
    if torch.allclose(before.sum(0), after.sum(0), atol=1e-5):
        return "hue"
    return "jitter"


def test_each_view_has_exactly_one_operation_each_as_likely_and_views_are_independent() -> None:
    inputs = (pictures(1600, 4, 128) + 0.4) / 4.5
    shown = SensorViews(hue="mix")
    draws = generator(5)
    first, second = (shown.one_view(inputs, draws) for _ in range(2))
    kinds = [[_operation_of(a, b) for a, b in zip(inputs, view, strict=True)] for view in (first, second)]
    for kind in kinds:
        counts = {name: kind.count(name) for name in shown.operations}
        # a shift of 0 columns (1 in 115) leaves the picture, which counts as permuted here
        assert all(340 < count < 460 for count in counts.values()), counts
    same = np.mean([a == b for a, b in zip(*kinds, strict=True)])
    assert same == pytest.approx(0.25, abs=0.04)


def test_an_ablation_draws_the_others_more_often() -> None:
    inputs = (pictures(900, 4, 128) + 0.4) / 4.5
    view = SensorViews(operations=("permute_x", "hue", "jitter"), hue="mix").one_view(inputs, generator())
    kinds = [_operation_of(a, b) for a, b in zip(inputs, view, strict=True)]
    assert kinds.count("translate_x") == 0
    assert all(260 < kinds.count(name) < 340 for name in ("permute_x", "hue", "jitter"))


def test_cascading_applies_each_operation_by_its_own_chance() -> None:
    inputs = (pictures(800, 4, 128) + 0.4) / 4.5
    view = SensorViews(cascade=True, cascade_probability=0.5).one_view(inputs, generator())
    unchanged = np.mean([torch.equal(a, b) for a, b in zip(inputs, view, strict=True)])
    assert unchanged == pytest.approx(1 / 16, abs=0.025)
    always = SensorViews(cascade=True, cascade_probability=1.0, operations=("translate_x", "hue"))
    assert not any(torch.equal(a, b) for a, b in zip(inputs, always.one_view(inputs, generator()), strict=True))


def test_a_view_generator_is_a_function_of_its_generator_alone() -> None:
    inputs = (pictures(24, 32, 48) * 255).to(torch.uint8)
    kinds = (SensorViews(permute_min_columns=5), PhotoViews(), PhotoViews(version=1), AllViews(after_moco=True))
    for shown in (*kinds, MocoV3Views()):
        torch.manual_seed(1)
        one = shown(inputs, generator(3))
        torch.manual_seed(2)
        two = shown(inputs, generator(3))
        other = shown(inputs, generator(4))
        assert len(one) == 2
        assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
        assert not torch.equal(one[0], other[0])
        assert not torch.equal(one[0], one[1])
        assert one[0].shape == (24, 3, 32, 48)
        assert torch.isfinite(one[0]).all()
        assert float(one[0].min()) >= -2.2
        assert float(one[0].max()) <= 2.7


def test_bytes_and_floats_of_the_same_pictures_give_the_same_view() -> None:
    inputs = (pictures(8) * 255).to(torch.uint8)
    shown = views.build("img2imu")
    torch.testing.assert_close(shown(inputs, generator())[0], shown(inputs / 255, generator())[0])


def test_normalised_views_have_imagenets_mean_and_deviation_taken_off() -> None:
    (white,) = views.build("whole")(torch.full((1, 3, 2, 2), 255, dtype=torch.uint8), generator())
    expected = [(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225]
    np.testing.assert_allclose(white[0, :, 0, 0], expected, rtol=1e-5)


def test_a_crop_is_a_smooth_part_of_the_picture_of_the_area_asked_for() -> None:
    rows, columns = torch.meshgrid(torch.arange(96.0), torch.arange(128.0), indexing="ij")
    inputs = torch.stack([rows, columns, rows * 0], 0).expand(400, 3, 96, 128)
    got = geometry.random_crop(inputs, generator())
    high = (got[:, 0, -2, 64] - got[:, 0, 1, 64]) / 93  # rows of the picture for each row of the crop
    wide = (got[:, 1, 48, -2] - got[:, 1, 48, 1]) / 125
    area = (high * wide).numpy()
    assert area.min() >= 0.195
    assert area.max() <= 1.001
    assert area.mean() == pytest.approx(0.57, abs=0.04)  # less than the mean of U(0.2, 1): large ones fit less often
    aspect = (wide / high).numpy()
    assert 0.74 < aspect.min() < 0.8
    assert 1.25 < aspect.max() < 1.35


def test_a_blur_is_scipys_gaussian() -> None:
    from scipy.ndimage import gaussian_filter

    inputs = pictures(1, 40, 40)
    got = geometry.blur(inputs, generator(), narrowest=1.5, widest=1.5 + 1e-6)
    expected = gaussian_filter(inputs[0].numpy(), 1.5, axes=(1, 2), mode="nearest", truncate=10 / 3)
    np.testing.assert_allclose(got[0], expected, atol=2e-4)


def test_colour_jitter_without_width_changes_nothing() -> None:
    inputs = pictures(6, 8, 8)
    torch.testing.assert_close(colour_jitter(inputs, generator(), most=0, most_hue=0), inputs, atol=1e-5, rtol=0)


def test_each_automatic_operation_is_the_one_it_is_named_after() -> None:
    inputs = (pictures(6, 24, 32) * 255).round() / 255
    operations = AllViews().operations
    assert len(operations) == 11
    as_bytes = (inputs * 255).round().to(torch.uint8)
    torch.testing.assert_close(operations["invert"](inputs, generator()), 1 - inputs)
    equalized = functional.equalize(as_bytes) / 255
    torch.testing.assert_close(operations["equalize"](inputs, generator()), equalized)
    torch.testing.assert_close(operations["autocontrast"](inputs, generator()), functional.autocontrast(inputs))
    posterized = (operations["posterize"](inputs, generator()) * 255).round().to(torch.uint8)
    bits = {
        next(b for b in range(4, 9) if torch.equal(functional.posterize(before, b), after))
        for before, after in zip(as_bytes, posterized, strict=True)
    }
    assert len(bits) > 1
    solarized = operations["solarize"](inputs, generator())
    assert all(((s == g) | (s == 1 - g)).all() for s, g in zip(solarized, inputs, strict=True))
    assert not torch.equal(solarized, inputs)
    turned = operations["rotate"](torch.ones(50, 3, 24, 32), generator())
    assert float(turned[:, 0, 12, 16].min()) == pytest.approx(1.0)  # the middle stays
    assert float(turned[:, 0, 0, 0].min()) < 0.5  # a corner turns black


def test_turning_a_quarter_is_turning_a_quarter_and_a_half_is_both_flips() -> None:
    inputs = pictures(1, 16, 16)
    quarter = geometry.warp(inputs, torch.tensor([[[0.0, -1.0], [1.0, 0.0]]]))
    torch.testing.assert_close(quarter, inputs.rot90(1, (2, 3)), atol=1e-5, rtol=0)
    wide = pictures(1, 12, 20)
    torch.testing.assert_close(geometry.warp(wide, -torch.eye(2)[None]), wide.flip(2, 3), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: views.build("imu2img"), "views: expected one of 'img2imu', "),
        (
            lambda: views.build("img2imu", chunks=3),
            "settings of views img2imu: expected one of .permute_chunks., .* got .chunks.",
        ),
        (lambda: SensorViews(operations=("shift",)), "got shift"),
        (lambda: AllViews(operations=()), "got an empty sequence"),
        (lambda: views.build("whole")(torch.zeros(3, 8, 8), generator()), r"\[B, 3, rows, columns\], got \[3, 8, 8\]"),
    ],
)
def test_a_wrong_name_or_shape_says_what_was_expected(build, message) -> None:
    with pytest.raises(ValueError, match=message):
        build()


def shown_by_moco_v3(*colours: tuple[float, float, float], n: int = 2000) -> list[Tensor]:
    """Both views, in 0..1, of n equal pictures of upright bars of these colours; uncut, for no crop of area 1 fits."""
    bars = torch.tensor(colours).T[:, None].repeat_interleave(16 // len(colours), 2).expand(n, 3, 2, 16)
    mean, deviation = (torch.tensor(each)[:, None, None] for each in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    return [view * deviation + mean for view in MocoV3Views(crop_min=1.0)(bars, generator())]


def test_moco_v3_solarises_a_fifth_of_the_second_view_alone_and_brightens_four_fifths_of_both() -> None:
    first, second = (view[:, 0, 0, 0] for view in shown_by_moco_v3((1.0, 1.0, 1.0)))  # white: by brightness 0.6 to 1
    assert float(first.min()) == pytest.approx(0.6, abs=0.01)
    assert float(first.max()) == pytest.approx(1.0, abs=1e-5)
    assert float((first < 0.9999).float().mean()) == pytest.approx(0.8 / 2, abs=0.04)
    assert float((second < 0.45).float().mean()) == pytest.approx(0.2, abs=0.03)
    assert float(second.min()) == pytest.approx(0.0, abs=1e-5)
    inputs = torch.tensor([0.0, 127 / 255, 128 / 255, 1.0]).expand(1, 3, 1, 4)
    torch.testing.assert_close(solarize(inputs, generator())[0, 0, 0], torch.tensor([0.0, 127 / 255, 127 / 255, 0.0]))


def test_moco_v3_blurs_the_first_view_always_and_a_tenth_of_the_second() -> None:
    first, second = shown_by_moco_v3((0.05, 0.1, 0.15), (0.2, 0.3, 0.25))
    visible = 1 - (math.sqrt(0.5 / math.log(1e3)) - 0.1) / 1.9  # share of the sigmas that spread a thousandth or more
    shares = []
    for view in (first, second):
        edge = (view[:, :, 0, 7] - view[:, :, 0, 0]).abs() / (view[:, :, 0, 15] - view[:, :, 0, 0]).abs()
        shares.append(float((edge.amax(1) > 1e-3).float().mean()))
    assert shares == pytest.approx([visible, 0.1 * visible], abs=0.03)


def test_moco_v3_turns_a_fifth_grey_mirrors_half_and_leaves_hue_within_a_tenth() -> None:
    for view in shown_by_moco_v3((0.05, 0.1, 0.15), (0.2, 0.3, 0.25)):
        spread = (view.amax(1) - view.amin(1)).amax((1, 2))
        assert float((spread < 1e-4).float().mean()) == pytest.approx(0.2, abs=0.03)
        assert float((view[:, 1, 0, 0] > view[:, 1, 0, 15]).float().mean()) == pytest.approx(0.5, abs=0.04)
    (coloured,) = (view[:, :, 0, 0] for view in shown_by_moco_v3((0.35, 0.2, 0.2))[:1])
    remaining = coloured[(coloured - coloured[:, :1]).abs().amax(1) > 1e-3]
    turns = np.array([(colorsys.rgb_to_hsv(*colour)[0] + 0.5) % 1 - 0.5 for colour in remaining.tolist()])
    assert float(np.abs(turns).max()) == pytest.approx(0.1, abs=0.003)
    assert float((np.abs(turns) < 1e-4).mean()) == pytest.approx(0.2, abs=0.04)  # not jittered
    assert float(turns.std()) == pytest.approx(math.sqrt(0.8) * 0.2 / math.sqrt(12), rel=0.08)


def test_moco_v3_crops_as_small_as_a_twelfth_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    requested = []

    def crop(inputs: Tensor, generator: torch.Generator, *, smallest: float, flipped: Tensor) -> Tensor:
        requested.append(smallest)
        return geometry.random_crop(inputs, generator, smallest=smallest, flipped=flipped)

    monkeypatch.setattr("imuspec.views.photo_v3.random_crop", crop)
    for settings in ({}, {"crop_min": 0.3}):
        one, two = views.build("moco_v3", **settings)((pictures(6, 20, 32) * 255).to(torch.uint8), generator())
        assert one.shape == two.shape == (6, 3, 20, 32)
        assert not torch.equal(one, two)
    assert requested == [0.08, 0.3]  # both views at once
