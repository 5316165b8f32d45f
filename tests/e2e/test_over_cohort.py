"""Features and activities of a whole cohort: the same bytes from any engine, faults named, a stopped run resumed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest

from cohort_work import Faulty
from gate import PATIENCE_S, Gate
from imuspec import Cohort
from imuspec.cli import main
from imuspec.cluster import Limits, compute, open_engine
from imuspec.cohort.results import Results
from imuspec.datasets import Windows
from imuspec.prediction import fit_patches, fit_windows, load
from imuspec.prediction.cohort import CohortEmbedding
from imuspec.prediction.predicting import activities_of
from imuspec.recipe import FitRecipe
from imuspec.run.named import load_encoder, weights_digest
from imuspec.run.run import Run
from labelled_days import labelled_days, small_roformer
from stub_files import TESTS, environment, tree, wait_for
from wear_cohort import write_cohort

HOURS = {f"r{number}": 0.4 for number in range(6)}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cohort")
    write_cohort(folder / "cohort", HOURS, nonwear=(9000, 12000))
    return folder / "cohort"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    Run(folder).save_encoder(small_roformer())
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    fit_patches(small_roformer(), labelled_days(3, hours=1.0)).save(folder)
    return folder


def output_of(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    captured = capsys.readouterr()
    assert stop.value.code == code, captured.err
    return captured.out + captured.err


@pytest.mark.parametrize(("command", "split"), [("embed", "dask"), ("predict", "shares")])
def test_a_dask_cluster_and_shares_give_the_bytes_of_one_process(
    command: str, split: str, cohort: Path, run: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = ["embed", str(run), "--data", f"cohort={cohort}"]
    if command == "predict":
        first = ["predict", str(cohort), "--model", str(model), "--smooth"]
    output_of(capsys, *first, "--out", str(tmp_path / "one"), "--workers", "1")
    if split == "dask":
        pytest.importorskip("distributed", reason="dask is not installed")
        output_of(capsys, *first, "--out", str(tmp_path / "many"), "--engine", "dask", "--workers", "2")
    for share in ("2/2", "1/2") if split == "shares" else ():
        output_of(capsys, *first, "--out", str(tmp_path / "many"), "--shard", share, "--workers", "1")
    assert tree(tmp_path / "one") == tree(tmp_path / "many")
    assert len(tree(tmp_path / "one")) == 2 * len(HOURS) + 4  # tables, recipe and manifest
    assert f"{len(HOURS)} recordings: {len(HOURS)} ok; every file" in output_of(
        capsys, "cohort", "verify", str(tmp_path / "many")
    )
    assert "already holds 6 of these 6 recordings; use --resume" in output_of(
        capsys, *first, "--out", str(tmp_path / "one"), code=2
    )


def test_features_and_classes_are_those_of_each_recording(
    cohort: Path, run: Path, model: Path, tmp_path, capsys
) -> None:
    from imuspec.datasets.sequences import PatchSequence, PatchSequences
    from imuspec.probing.patch_features import embed_patches

    output_of(capsys, "embed", str(run), "--data", f"cohort={cohort}", "--out", str(tmp_path / "e"), "--workers", "1")
    table = Results(tmp_path / "e").read("r1")
    prepared = Cohort(cohort).prepared("r1")
    assert prepared.acceleration is not None
    start = table["start_s"].to_numpy()
    np.testing.assert_array_equal(start, np.concatenate([np.arange(30), np.arange(40, 144)]) * 10.0)
    x = prepared.acceleration[:, 12000 : 144 * 300]
    sequences = PatchSequences((PatchSequence(np.ascontiguousarray(x), np.full(104, -1), "", ""),), ())
    expected = embed_patches(Run(run).load_encoder(), sequences).x[0]
    result = np.stack([table[f"feature_{i}"].to_numpy()[30:] for i in range(expected.shape[1])], 1)
    np.testing.assert_allclose(result, expected, atol=1e-5)

    output_of(capsys, "predict", str(cohort), "--model", str(model), "--out", str(tmp_path / "p"), "--workers", "1")
    results, wanted_table = Results(tmp_path / "p"), activities_of(load(model), prepared).table()
    assert results.read("r1")["activity"].to_pylist() == wanted_table["activity"].tolist()
    minutes = results.summary.to_pylist()
    assert sum(row["minutes"] for row in minutes if row["id"] == "r1") == pytest.approx(24.0)


def test_windows_of_a_cohort_are_embedded_by_encoders_of_pictures_and_by_statistics(cohort, tmp_path) -> None:
    from imuspec.spectral.statistics import window_features

    work = CohortEmbedding("statistics", weights_digest("statistics"), window_s=20.0)
    compute(cohort, tmp_path / "s", work, workers=1)
    table, prepared = Results(tmp_path / "s").read("r0"), Cohort(cohort).prepared("r0")
    assert prepared.acceleration is not None
    expected = window_features(prepared.acceleration[None, :, 12000:12600], 30.0)[0][0]
    row = table["start_s"].to_pylist().index(400.0)
    result = [table[f"feature_{i}"][row].as_py() for i in range(len(expected))]
    np.testing.assert_allclose(result, expected, rtol=1e-6)
    resnet = CohortEmbedding("random", "", pictures='{"size": [48, 64]}')
    embedded = resnet(prepared).table
    assert embedded.num_columns == 2 + 512
    assert embedded.num_rows == 30 + 104


def test_a_model_embeds_a_cohort_as_its_head_takes_it(cohort: Path, model: Path, tmp_path: Path, capsys) -> None:
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(24, 3, 120)) * 0.1 + [[0], [0], [1]]).astype(np.float32)
    windows = Windows.from_arrays(x, np.arange(24) % 2, np.arange(24) // 4, rate=30.0)
    recipe = FitRecipe().set("pictures.size=[16,24]", "pictures.nfft=32", "pictures.hop=16", "pictures.norm=fixed")
    pictures = fit_windows(load_encoder("random"), windows, recipe)
    pictures.save(tmp_path / "pictures")
    embed = ["embed", str(tmp_path / "pictures"), "--data", f"cohort={cohort}"]
    output_of(capsys, *embed, "--out", str(tmp_path / "e"), "--workers", "1")
    table, prepared = Results(tmp_path / "e").read("r0"), Cohort(cohort).prepared("r0")
    assert prepared.acceleration is not None
    row = table["start_s"].to_pylist().index(8.0)  # windows of 4 s, not of 10
    got = [table[f"feature_{i}"][row].as_py() for i in range(512)]
    np.testing.assert_allclose(got, pictures.embed(prepared.acceleration[:, 240:360]), atol=1e-5)

    output_of(capsys, "embed", str(model), "--data", f"cohort={cohort}", "--out", str(tmp_path / "p"), "--workers", "1")
    patches = load(model)
    expected = patches.embed(prepared.acceleration[:, 12000 : 144 * 300])
    table = Results(tmp_path / "p").read("r0")
    got = np.stack([table[f"feature_{i}"].to_numpy()[30:] for i in range(expected.shape[1])], 1)
    np.testing.assert_allclose(got, expected, atol=1e-5)

    for option in (("--nfft", "64"), ("--set", "pictures.norm=fixed"), ("--layer", "layer2")):
        message = output_of(capsys, *embed, "--out", str(tmp_path / "none"), *option, code=2)
        assert f"{option[0][2:]}: expected no option that the model" in message
    message = output_of(capsys, *embed[:3], f"cohort={cohort},window_s=10", "--out", str(tmp_path / "none"), code=2)
    assert "window_s: expected no option that the model" in message


@pytest.mark.parametrize("engine", ["local", "dask"])
def test_poison_recordings_are_named_and_take_no_other_with_them(engine: str, cohort: Path, tmp_path: Path) -> None:
    if engine == "dask":
        pytest.importorskip("distributed", reason="dask is not installed")
    damaged = tmp_path / "cohort"
    shutil.copytree(cohort, damaged)
    shard = next(path for path in (damaged / "acceleration" / "r5" / "c").rglob("*") if path.is_file())
    shard.write_bytes(shard.read_bytes()[:-100])
    faults = (("r0", "kill"), ("r1", "hoard"), ("r2", "last"), ("r3", "raise"))
    limits = Limits(900_000_000, 12.0)
    opened = open_engine(engine, workers=2, limits=limits)
    summary = compute(damaged, tmp_path / "out", Faulty(faults), engine=opened)
    results = Results(tmp_path / "out")
    reasons = {row["id"]: row["reason"] for row in results.outcomes.to_pylist() if row["status"] == "failed"}
    assert (summary.count("ok"), summary.count("failed")) == (1, 5)
    assert "killed, twice" in reasons["r0"]
    assert "the limit is 900 MB" in reasons["r1"]
    assert reasons["r2"] == "took longer than the time limit of 12 s"
    assert reasons["r3"] == "RuntimeError: no such luck"
    assert reasons["r5"] == "its array is not what was prepared: the checksum differs"
    assert results.ids == ["r4"]
    assert results.verify() == []
    shutil.copy(cohort / shard.relative_to(damaged), shard)
    again = compute(damaged, tmp_path / "out", Faulty(), workers=1, resume=True, retry_failed=True)
    assert (again.done_before, again.count("ok")) == (1, 5)
    compute(cohort, tmp_path / "whole", Faulty(), workers=1)
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


def start(cohort: Path, out: Path, gate: Gate, **options: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(TESTS / "cohort_work.py"), str(cohort), str(out), json.dumps(options)],
        env=environment(**gate.environment()),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.parametrize("engine", ["local", "dask"])
def test_a_killed_worker_loses_nothing(engine: str, cohort: Path, tmp_path: Path) -> None:
    if engine == "dask":
        pytest.importorskip("distributed", reason="dask is not installed")
    gate = Gate(tmp_path / "gate", "r0")
    process = start(cohort, tmp_path / "out", gate, engine=engine, workers=2)
    try:
        wait_for(process, 1)
        below = psutil.Process(process.pid).children(recursive=True)
        workers = [one for one in below if any("spawn_main" in word for word in one.cmdline()) and not one.children()]
        assert workers
        workers[-1].send_signal(signal.SIGKILL)
        gate.open()
        given, trouble = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
    assert given.endswith("done\n"), trouble
    assert Results(tmp_path / "out").verify() == []
    compute(cohort, tmp_path / "whole", Faulty(), workers=1)
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


def test_a_stopped_run_goes_on(cohort: Path, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate", "r0", "r1")
    process = start(cohort, tmp_path / "out", gate, workers=1)
    wait_for(process, 2)
    os.killpg(process.pid, signal.SIGINT)
    gate.open()
    given, trouble = process.communicate(timeout=PATIENCE_S)
    assert given.endswith("interrupted\n"), trouble
    done = len(Results(tmp_path / "out").outcomes)
    assert 2 <= done < len(HOURS)
    assert compute(cohort, tmp_path / "out", Faulty(), workers=1, resume=True).done_before == done
    compute(cohort, tmp_path / "whole", Faulty(), workers=1)
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


def test_other_weights_other_folders_and_stray_options_are_refused(cohort, run, model, tmp_path, capsys) -> None:
    out = str(tmp_path / "out")
    embed = ["embed", str(run), "--data", f"cohort={cohort}", "--out", out, "--workers", "1"]
    output_of(capsys, *embed)
    for arguments in (("--layer", "layer1"), ("--data", f"cohort={cohort},window_s=5")):
        refused = output_of(capsys, *embed[:2], *embed[4 if "--data" in arguments else 2 :], *arguments, code=2)
        assert "run: expected an encoder of windows for window_s and layers" in refused
    other = tmp_path / "other"
    Run(other).save_encoder(small_roformer(seed=1))
    assert "weights: " in output_of(capsys, "embed", str(other), *embed[2:], "--resume", code=2)
    assert "got" in output_of(capsys, *embed[:5], str(cohort), code=2)
    assert "expected a folder for the tables" in output_of(
        capsys, "predict", str(cohort), "--model", str(model), code=2
    )
    assert not (Path(out) / ".work").exists()
    refused = output_of(capsys, "predict", str(cohort), "--model", str(model), "--out", out, "--plot", "x.png", code=2)
    assert "plot: expected no --plot with a cohort" in refused
    refused = output_of(capsys, "predict", __file__, "--model", str(model), "--engine", "dask", code=2)
    assert "expected a cohort with options of workers" in refused
    table = Path(out) / "recordings" / "r3.parquet"
    table.write_bytes(table.read_bytes()[:-1])
    assert "r3: its table is not what was written" in output_of(capsys, "cohort", "verify", out, code=1)
