"""LMM masked auto-encoder, Table V: share of the labelled people, nested, at equal steps."""

from __future__ import annotations

import pandas as pd

from imuspec.experiments._lmm import DATA, OPTIONS, TINY, Study, tabulated, weights
from imuspec.experiments.frame import Result, Setup

__all__ = ["DATA", "OPTIONS", "TINY", "run"]


def run(setup: Setup) -> Result:
    """Probe two pre-trained networks with fewer and fewer people's labels; no pre-training but theirs."""
    study, parts = Study(setup), []
    losses = (("LMM", 0.0), ("LMM + .001 MSE", 0.001))
    for loss, mse in losses[:1] if setup.tiny else losses:
        for seed in range(setup.option("pretrain_seeds", int)):
            encoder = study.encoder(loss, weights(1.0, mse), seed)
            for share in (40, 100) if setup.tiny else (5, 10, 20, 40, 60, 80, 100):
                scores = study.probe(encoder, train_fraction=share / 100)
                parts.append(scores.assign(row=f"{loss}, labelled {share} %", pretrain_seed=seed))
    return tabulated(pd.concat(parts, ignore_index=True))
