"""Draw pictures by the fused kernel under Triton's interpreter, and print as JSON how far they are from the operators'.

Run with TRITON_INTERPRET=1, which Triton reads when it is loaded.
"""

from __future__ import annotations

import json
from typing import Any

import torch
from torch import Tensor

from imuspec.nn import RGBImage

KINDS: dict[str, dict[str, Any]] = {
    "paper": {"nfft": 128, "noverlap": 116},
    "long frames": {"nfft": 256, "noverlap": 240},
    "many frames": {"nfft": 64, "noverlap": 60},
    "native grid": {"nfft": 32, "noverlap": 16, "size": None},
    "bilinear": {"nfft": 64, "noverlap": 48, "resize": "bilinear"},
    "linear": {"nfft": 64, "noverlap": 48, "resize": "antialias", "levels": "linear"},
    "fixed": {"nfft": 64, "noverlap": 48, "norm": "fixed", "size": (40, 50)},
}
STEP = 1 / 2000


def windows(n: int = 2, length: int = 300) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return 0.3 * torch.randn(n, 3, length, generator=generator) + torch.tensor([0.0, 0.2, 1.0])[:, None]


def compared(module: RGBImage, x: Tensor, *, stored: Tensor | None = None) -> dict[str, Any]:
    """The distance of the two pictures, in levels."""
    given, scale = (x, None) if stored is None else (stored, STEP)
    drawn, missing = module._fused(given, scale, octets=False)
    octets = module._fused(given, scale, octets=True)[0]
    expected = module.normalised(module.grey_levels(x))
    apart = ((drawn - expected) * module.std * 255).abs().nan_to_num(0.0)
    return {
        "greatest": float(apart.amax()),
        "equal": float((apart < 0.5).float().mean()),
        "same_nan": torch.equal(drawn.isnan(), expected.isnan()),
        "octets": torch.equal(torch.where(missing[..., None, None], torch.nan, module.normalised(octets)).nan_to_num(-9.0),
                              drawn.nan_to_num(-9.0)),
        "missing": missing.nonzero().tolist(),
    }  # fmt: skip


def main() -> None:
    results = {kind: compared(RGBImage(**settings), windows()) for kind, settings in KINDS.items()}
    module = RGBImage(**KINDS["many frames"])
    stored = (windows() / STEP).round().to(torch.int16)
    results["int16"] = compared(module, stored.float() * STEP, stored=stored)
    stored[1, 2, 7] = -32768
    x = torch.where(stored == -32768, torch.nan, stored.float() * STEP)
    results["missing"] = compared(module, x, stored=stored)
    for name, still in {"zero": torch.zeros(1, 3, 300), "one": torch.ones(1, 3, 300)}.items():
        results[name] = compared(module, still)
    results["tiny"] = compared(module, 1e-18 * windows(1))
    results["short"] = compared(module, windows(1, 40))
    print(json.dumps(results))


if __name__ == "__main__":
    main()
