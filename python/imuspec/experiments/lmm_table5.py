"""LMM masked auto-encoder, Table V: share of the labelled people, nested, at equal steps."""

from __future__ import annotations

import pandas as pd

from imuspec.experiments.experiment import Result
from imuspec.experiments.masked_study import Study, StudyOptions, tabulated, tiny_rows, weights
from imuspec.experiments.setup import Setup

DATA = ("cohort", "capture24")
OPTIONS = StudyOptions
_LOSSES = {"LMM": 0.0, "LMM + .001 MSE": 0.001}
RUNS = dict.fromkeys(_LOSSES, "a run of imuspec pretrain in place of a pre-training here")


def run(setup: Setup[StudyOptions]) -> Result:
    """Probe two pre-trained networks, and the baselines, with the labels of fewer and fewer people."""
    study, parts = Study(setup), []
    shares = (40, 100) if setup.tiny else (5, 10, 20, 40, 60, 80, 100)
    for loss, mse in tiny_rows(setup, _LOSSES, ("LMM",)).items():
        for seed in range(study.n_seeds(loss)):
            encoder = study.encoder(loss, weights(1.0, mse), seed)
            for share in shares:
                scores = study.probe(encoder, train_fraction=share / 100)
                parts.append(scores.assign(row=f"{loss}, labelled {share} %", weights_seed=seed))
    parts += [study.baselines(share / 100, f", labelled {share} %") for share in shares]
    return tabulated(pd.concat(parts, ignore_index=True))
