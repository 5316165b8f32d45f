"""LMM masked auto-encoder, Table VI: heads, HARNet10, and the network from scratch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
import torch
from pydantic import Field, PositiveInt

from imuspec import encoders
from imuspec.evaluation import score
from imuspec.experiments.experiment import Result
from imuspec.experiments.masked_study import Study, StudyOptions, tabulated, tiny_rows, weights
from imuspec.experiments.setup import Setup
from imuspec.probing.patch_features import raw_windows
from imuspec.probing.patch_heads import HeadName, PatchHeadSettings, fit_patch_head, predict_patches
from imuspec.probing.results import row_of
from imuspec.run.named import load_encoder

DATA = ("cohort", "capture24")


class Table6Options(StudyOptions):
    """Numbers of this table."""

    scratch_epochs: PositiveInt = Field(70, description="passes over the labelled windows from scratch")

    TINY: ClassVar[Mapping[str, Any]] = {**StudyOptions.TINY, "scratch_epochs": 2}

    def without_effect(self, pretrained: Sequence[str], setup: Setup[Any]) -> dict[str, str]:
        """Return the options of pre-training where no row is pre-trained here, as HARNet10 never is."""
        return super().without_effect([row for row in pretrained if row in _LOSSES], setup)


OPTIONS = Table6Options
_LOSSES = {"LMM": (1.0, 0.0), "MSE": (0.0, 1.0), "LMM + MSE": (1.0, 0.001)}
RUNS = {
    **dict.fromkeys(_LOSSES, "a run of imuspec pretrain in place of a pre-training here"),
    "HARNet10": "the public weights, mtl_best.mdl (academic use only), or a run",
}
_HEADS: tuple[tuple[str, HeadName], ...] = (("linear", "linear"), ("LSTM", "lstm"))
_WIDE: tuple[tuple[str, HeadName], ...] = (("MLP", "mlp"), ("LSTM", "lstm"))


def run(setup: Setup[Table6Options]) -> Result:
    """Probe each encoder with each head; train the network from scratch on the labels alone.

    LSTM rows report the epoch that is best on the part they are scored on, as the paper does.
    """
    study, parts = Study(setup), []
    for loss, (lmm, mse) in tiny_rows(setup, _LOSSES, ("LMM",)).items():
        for seed in range(study.n_seeds(loss)):
            encoder = study.encoder(loss, weights(lmm, mse), seed)
            for name, head in _HEADS:
                parts.append(study.probe(encoder, head).assign(row=f"{loss}, {name}", weights_seed=seed))
    parts += [_from_scratch(study, setup), study.baselines()]
    notes = ["LSTM: the best epoch by the part that is scored"]
    if setup.run_of("HARNet10", "capture24") or setup.tiny:
        harnet: torch.nn.Module = encoders.build("harnet")
        if given := setup.run_of("HARNet10", "capture24"):
            folder = given.removeprefix("random:")
            harnet = load_encoder(given) if Path(folder).is_dir() else _public(harnet, given)
        else:
            notes.append("HARNet10: random weights, as none were given")
        for name, head in _WIDE:
            parts.append(study.probe(harnet, head).assign(row=f"HARNet10, {name}", weights_seed=0))
    else:
        notes.append(
            "HARNet10: left out; --runs HARNet10=mtl_best.mdl, the public weights (academic use only), or a run"
        )
    scores = pd.concat(parts, ignore_index=True)
    return tabulated(scores, notes)


def _public(harnet: torch.nn.Module, path: str) -> torch.nn.Module:
    """Load the authors' file into HARNet: a state dict whose keys begin with ``module.``, task heads among them."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    trunk = {key.removeprefix("module."): value for key, value in state.items()}
    harnet.load_state_dict({key: value for key, value in trunk.items() if key.startswith("feature_extractor.")})
    return harnet.eval()


def _from_scratch(study: Study, setup: Setup[Table6Options]) -> pd.DataFrame:
    sequences, rows = study.labelled(), []
    for seed in setup.seeds:
        encoder = study.random_encoder(seed)
        train, validation = sequences.split(seed)
        window = min(300, int(encoder.n_patches))  # type: ignore[arg-type]  # a RoFormer has it
        settings = PatchHeadSettings(epochs=setup.options.scratch_epochs, batch=4, choose="last", seed=seed)
        head, best = fit_patch_head(
            raw_windows(train, window=window, stride=setup.options.stride or None),
            settings,
            encoder=encoder,
            device=setup.device,
        )
        whole = raw_windows(validation, window=window)
        predicted = predict_patches(torch.nn.Sequential(encoder, head), whole)
        scores = score(whole.truth(), predicted, whole.class_names, subject=whole.who(), seed=seed)
        members = {"train": tuple(train.subjects), "validation": tuple(validation.subjects)}
        key = ("all", 0, seed, "validation")
        rows.append(row_of(key, scores, members, whole.who(), epoch=best["epoch"]))
    return pd.DataFrame(rows).assign(row="from scratch", weights_seed=0, column=study.column)
