"""The picture in one kernel: as by operators, within a level, run by Triton's interpreter and compiled for a card."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from draw_fused import KINDS, windows
from imuspec.nn import RGBImage, fused, picture_kernel

pytest.importorskip("triton")


@pytest.fixture(scope="module")
def interpreted() -> dict[str, dict[str, Any]]:
    """Distances of the pictures that the interpreter draws."""
    script = Path(__file__).parents[1] / "draw_fused.py"
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=True)
    results: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return results


@pytest.mark.parametrize("kind", [*KINDS, "int16", "missing", "short"])
def test_the_kernel_draws_what_the_operators_draw(kind: str, interpreted: dict[str, dict[str, Any]]) -> None:
    result = interpreted[kind]
    assert result["greatest"] < 2.5  # the levels that RGBImage states
    assert result["equal"] > 0.998  # 40 rows of 480 are ties of the rounding
    assert result["same_nan"]
    assert result["octets"]
    assert result["missing"] == ([[1, 2]] if kind == "missing" else [])


@pytest.mark.parametrize("kind", ["zero", "one", "tiny"])
def test_still_and_tiny_windows_are_drawn_alike(kind: str, interpreted: dict[str, dict[str, Any]]) -> None:
    assert interpreted[kind]["greatest"] < 2.5


def test_int16_windows_by_operators_have_the_scale_and_nan_where_a_sample_is_missing() -> None:
    module = RGBImage(**KINDS["many frames"])
    stored = (windows() * 2000).round().to(torch.int16)
    assert torch.equal(module(stored, scale=1 / 2000), module(stored.float() * (1 / 2000)))
    stored[1, 2, 7] = -32768
    assert module(stored, scale=1 / 2000).isnan().any((-1, -2)).nonzero().tolist() == [[1, 2]]


def test_a_scale_is_for_int16_alone() -> None:
    with pytest.raises(ValueError, match=r"scale: expected the size of a step for int16 windows alone, got None for"):
        RGBImage()(windows().to(torch.int16))
    with pytest.raises(ValueError, match=r"got 0.1 for torch.float32"):
        RGBImage()(windows(), scale=0.1)


class OnCard(Tensor):
    """A tensor of the CPU that calls itself one of a card."""

    is_cuda = True


def on_card(x: Tensor) -> Tensor:
    return x.as_subclass(OnCard)  # type: ignore[return-value]


def test_a_kernel_that_draws_something_else_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    module, x = RGBImage(**KINDS["many frames"]), windows()

    def pictures(x: Tensor) -> Tensor:
        return module.normalised(module.grey_levels(x.as_subclass(Tensor)))

    monkeypatch.setattr(fused, "draw_fused", lambda x, *_, **__: (pictures(x), None))
    assert not module._draws_fused(x, None)  # on a CPU
    assert module._draws_fused(on_card(x), None)
    assert not module._draws_fused(on_card(x.double()), None)
    assert not module._draws_fused(on_card(x).requires_grad_(), None)
    assert not module._draws_fused(on_card(x[:0]), None)
    assert not RGBImage(**KINDS["many frames"], norm="joint-window")._draws_fused(on_card(x), None)
    assert not RGBImage(**KINDS["many frames"], fused=False)._draws_fused(on_card(x), None)
    wrong = RGBImage(**KINDS["many frames"])
    monkeypatch.setattr(fused, "draw_fused", lambda x, *_, **__: (pictures(x).flip(-1), None))
    with pytest.warns(UserWarning, match=r"RGBImage: the fused kernel differs by \d+\.\d levels, not used"):
        assert not wrong._draws_fused(on_card(x), None)


@pytest.mark.filterwarnings("ignore:TRITON_DEFAULT_FP_FUSION")
def test_the_kernel_compiles_for_a_card() -> None:
    from triton import compile as compiled_for
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    kernel = picture_kernel.draw_axis
    sizes = {"NFFT": 32, "HOP": 16, "TIME": 512, "FRAMES": 32, "BINS": 32, "DEPTH": 32}
    sizes |= {"ROWS": 16, "COLUMNS": 32, "TILE": 32}
    flags = {"INTEGERS": True, "OCTETS": True, "FIXED": False, "LINEAR": False, "RESIZED": True, "ROUNDS": True}
    types = {"x": "*i16", "out": "*u8", "lost": "*i8", "grey": "*u8", "horizontal": "*fp16", "vertical": "*fp16"}
    types |= dict.fromkeys(("transform", "leakage", "factors", "means", "stds"), "*fp32")
    types |= dict.fromkeys(("scale", "low", "high"), "fp32")
    types |= dict.fromkeys(("n", "length", "frames", "bins", "rows", "columns"), "i32")
    constants = {(kernel.arg_names.index(name),): value for name, value in (sizes | flags).items()}
    signature = {name: types.get(name, "constexpr") for name in kernel.arg_names}
    built = compiled_for(
        ASTSource(kernel, signature, constexprs=constants),
        target=GPUTarget("cuda", 90, 32),
        options={"num_warps": 8},
    )
    assert built.asm["cubin"]
    assert built.asm["ptx"].count("st.global") > 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("kind", KINDS)
def test_on_a_card_the_kernel_draws_what_the_operators_draw(kind: str) -> None:
    module, x = RGBImage(**KINDS[kind]).cuda(), windows(64, 500).cuda()
    assert module._draws_fused(x, None)
    expected = module.normalised(module.grey_levels(x))
    apart = ((module(x) - expected) * module.std * 255).abs()
    assert apart.amax() < 2.5
    assert (apart < 1.5).float().mean() > 0.999
