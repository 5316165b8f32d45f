"""Several triads, and one axis: the same draw for all, an encoder each, experiments that run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from imuspec import encoders, objectives
from imuspec.datasets import Windows
from imuspec.experiments import Setup, describe, perform
from imuspec.experiments.fusion import packed, paired, unpacked
from imuspec.views import build
from imuspec.views.pretext import SignalPair
from imuspec.views.triads import Triads


def test_all_triads_of_a_view_get_the_same_operation_and_two_views_do_not() -> None:
    x = torch.randn(16, 1, 3, 60, generator=torch.Generator().manual_seed(0)).expand(-1, 2, -1, -1)
    views = Triads(SignalPair(("rotate", "permute", "negate"), compose="one"))
    first, second = views(x, torch.Generator().manual_seed(1))
    assert torch.equal(first[:, 0], first[:, 1])
    assert torch.equal(second[:, 0], second[:, 1])
    assert not torch.equal(first, second)


def test_pictures_of_two_triads_are_changed_alike() -> None:
    pictures = torch.randint(256, (6, 1, 3, 48, 64), dtype=torch.uint8).expand(-1, 2, -1, -1, -1)
    first, _ = Triads(build("img2imu", permute_min_columns=5))(pictures, torch.Generator().manual_seed(0))
    assert first.shape == (6, 2, 3, 48, 64)
    assert torch.equal(first[:, 0], first[:, 1])


def test_a_contrast_on_the_fused_vector_teaches_every_encoder() -> None:
    torch.manual_seed(0)
    fused = encoders.build("fusion", encoder="tpn", n_triads=2)
    objective = objectives.build("simclr", fused, widths=(256, 64))
    x = torch.randn(8, 2, 3, 60)
    loss, _ = objective(*Triads(SignalPair())(x, torch.Generator().manual_seed(0)))
    loss.backward()
    assert all(float(p.grad.abs().sum()) > 0 for encoder in fused.encoders for p in encoder.parameters())


def test_moco_takes_fused_pictures() -> None:
    torch.manual_seed(0)
    fused = encoders.build("fusion", encoder="resnet18", n_triads=2)
    objective = objectives.build("moco", fused, queue=8, features=16, norm_group=0)
    pictures = torch.randn(4, 2, 3, 48, 64)
    loss, _ = objective(pictures, pictures.flip(-1))
    loss.backward()
    assert torch.isfinite(loss)
    assert all(encoder.conv1.weight.grad.abs().sum() > 0 for encoder in fused.encoders)


def two_sensors() -> Windows:
    n = 12
    return Windows(
        x=np.arange(n, dtype=np.float32)[:, None, None] * np.ones((1, 3, 10), np.float32),
        label=np.tile([0, 1], 6),
        subject=np.zeros(n),
        recording=["a"] * n,
        start_s=[0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 7],
        rate=5,
        class_names=("a", "b"),
        sensor=["ankle"] * 6 + ["trunk"] * 6,
    )


def test_windows_of_sensors_worn_together_are_paired_by_time() -> None:
    joined = paired(two_sensors(), ("ankle", "trunk"))
    assert len(joined) == 5
    triads = unpacked(joined.x, 2)
    assert triads[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4]
    assert triads[:, 1, 0, 0].tolist() == [6, 7, 8, 9, 10]
    assert np.array_equal(packed(triads), joined.x)
    with pytest.raises(ValueError, match="expected windows of ankle, wrist at the same times"):
        paired(two_sensors(), ("ankle", "wrist"))


@pytest.mark.parametrize("name", ["fusion", "single-axis"])
def test_an_experiment_on_triads_or_one_axis_runs(name: str, tmp_path: Path) -> None:
    experiment = describe(name)
    changes = ["rows=z alone; three axes", "image_limit=32"] if name == "single-axis" else []
    setup = Setup(
        out=tmp_path, seeds=(0,), tiny=True, options=experiment.options(changes, tiny=True), say=lambda _: None
    )
    _, comparison = perform(experiment, setup)
    rows = set(comparison["row"])
    sensors, trained = {
        "fusion": (("ankle alone", "trunk alone", "joined"), "SimCLR"),
        "single-axis": (("z alone", "three axes"), "pre-trained"),
    }[name]
    free = ("statistics of the window", "signed means and log deviations", "means of the picture's rows")
    methods = (*free, *(f"{encoder}{head}" for encoder in ("random", trained) for head in ("", ", logistic")))
    assert rows == {f"{sensor}, {method}" for sensor in sensors for method in methods}
    assert comparison["value"].between(0, 1).all()
