"""The authors' LIMU-BERT weights give the authors' outputs."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from imuspec.encoders.limu_bert import LimuBert
from imuspec.objectives.reconstruction import MaskedReconstruction
from reference_data import DATA, needs_data

FOLDER = DATA / "reference" / "limu_bert"
NAMES = [*(f"limu_bert_{name}_20_120" for name in ("hhar", "motion", "shoaib", "uci")), "limu_bert_x"]


def waves(n_steps: int) -> torch.Tensor:
    """sin(2 pi (c + 1) t / 20 / 2) + 0.1 c, [1, 6, n_steps]."""
    t, c = np.arange(n_steps), np.arange(6)[:, None]
    return torch.from_numpy(np.sin(2 * np.pi * (c + 1) * t / 20 * 0.5) + 0.1 * c).float()[None]


@needs_data
@pytest.mark.parametrize("name", NAMES)
def test_public_weights_give_the_golden_outputs(name: str) -> None:
    golden = json.loads((FOLDER / "limu_bert_golden.json").read_text("utf-8"))["models"][name]
    state = torch.load(FOLDER / f"{name}.pt", map_location="cpu", weights_only=True)
    objective = MaskedReconstruction(LimuBert(n_axes=6, n_steps=golden["seq_len"])).eval()
    objective.load_state_dict({key.replace("transformer.", "encoder."): value for key, value in state.items()})
    assert sum(parameter.numel() for parameter in objective.parameters()) == golden["params"]
    x = waves(golden["seq_len"])
    with torch.no_grad():
        hidden, output = objective.encoder.states(x)[0], objective.reconstruct(x)
    close = {"rtol": 0, "atol": 1e-4}
    np.testing.assert_allclose(hidden[0, :6], golden["hidden_first_token_first6"], **close)
    np.testing.assert_allclose(hidden[-1, :6], golden["hidden_last_token_first6"], **close)
    np.testing.assert_allclose(hidden.mean(), golden["hidden_mean"], **close)
    np.testing.assert_allclose(hidden.abs().mean(), golden["hidden_abs_mean"], **close)
    np.testing.assert_allclose(output[0, :, 0], golden["output_first_step"], **close)
    np.testing.assert_allclose(output[0, :, -1], golden["output_last_step"], **close)
    np.testing.assert_allclose((output - x).square().mean(), golden["recon_mse"], **close)
