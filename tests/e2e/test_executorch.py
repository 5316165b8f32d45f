"""A model as a program of ExecuTorch: one window in, the probabilities of Python out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from imuspec import encoders
from imuspec.cli import main
from imuspec.experiments.made_up import made_up_windows
from imuspec.prediction import executorch as program
from imuspec.prediction import fit_patches, fit_windows
from imuspec.prediction.export import simulated_windows
from imuspec.recipe import FitRecipe
from labelled_days import labelled_days, small_roformer

pytest.importorskip("executorch", reason="ExecuTorch is not installed (pip install 'imuspec[phone]')")
SMALL = FitRecipe().set("split.folds=3", "pictures.nfft=64", "pictures.hop=32", "pictures.size=[24,32]")


@pytest.mark.parametrize("name", ["resnet18", "cpc"])
def test_a_program_gives_the_probabilities_of_python(name: str, tmp_path: Path) -> None:
    windows = made_up_windows(n_subjects=3, n_windows=2)
    torch.manual_seed(0)
    model = fit_windows(encoders.build(name).eval(), windows, SMALL)
    parity = program.export_program(model, tmp_path / "m.pte", simulated_windows(model, 16))
    assert (parity.n_windows, parity.classes) == (16, 0)
    assert parity.probability < 0.02
    contract = json.loads((tmp_path / "m.pte.json").read_text("utf-8"))
    assert contract["input"]["shape"] == [1, 3, windows.n_samples]
    assert contract["parity"]["probability"] == parity.probability
    outputs = program.program_outputs(tmp_path / "m.pte", windows.x[:3])
    np.testing.assert_allclose(outputs[0], model.predict_proba(windows.x[:3]), atol=0.02)
    missing = windows.x[:2].copy()
    missing[1, 0, 5] = np.nan
    probabilities = program.program_outputs(tmp_path / "m.pte", missing)[0]
    assert np.isnan(probabilities).all(axis=1).tolist() == [False, True]
    if name == "resnet18":
        assert parity.equal_levels is not None
        assert parity.equal_levels > 0.99
        assert outputs[1].shape == (3, 3, 24, 32)
        assert list(contract["outputs"]) == ["probability", "levels"]


def test_the_command_writes_a_program_of_a_model_of_patches(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fit_patches(small_roformer(), labelled_days(2, hours=1.0)).save(tmp_path / "model")
    out = tmp_path / "m.pte"
    with pytest.raises(SystemExit) as end:
        main(["export", str(tmp_path / "model"), "--out", str(out), "--n-samples", "1200"])
    shown = capsys.readouterr()
    assert end.value.code == 0, shown.err
    assert "ExecuTorch with XNNPACK, [1, 3, 1200] g at 30 Hz" in " ".join(shown.out.split())
    assert json.loads((tmp_path / "m.pte.json").read_text("utf-8"))["parity"]["probability"] < 1e-4


def test_a_program_that_differs_from_python_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = fit_windows(encoders.build("cpc").eval(), made_up_windows(n_subjects=3, n_windows=2), SMALL)
    outputs = program.program_outputs
    monkeypatch.setattr(program, "program_outputs", lambda *given: [part + 0.1 for part in outputs(*given)])
    with pytest.raises(RuntimeError, match="expected probabilities within"):
        program.export_program(model, tmp_path / "m.pte", simulated_windows(model, 4))
    assert not list(tmp_path.glob("m.pte*"))


def test_eight_bits_and_a_run_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from imuspec.run.run import Run

    Run(tmp_path / "run").save_encoder(encoders.build("cnn1d"))
    for options, message in (
        ((), "out: expected a model of imuspec fit for a program of ExecuTorch"),
        (("--int8",), "int8: expected --out in .onnx"),
    ):
        with pytest.raises(SystemExit) as end:
            main(["export", str(tmp_path / "run"), "--out", str(tmp_path / "m.pte"), *options])
        assert end.value.code == 2
        assert message in " ".join(capsys.readouterr().err.split())
