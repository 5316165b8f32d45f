"""Write docs/results/deployment.md from folders in which docs/how-to/from-labels-to-phone.md was followed.

``python docs/write_deployment.py FOLDER ...`` stores what the page rests on in docs/results/evidence/deployment, a folder for each
of them: the predictions of the people left out, the descriptions of the exported files, the recipes of the models,
``commands.sh`` as it was followed, ``NOTE.txt`` on the data, and ``pictures.json`` of the comparison with C. Beside them lie
``times/MODEL.json``, what ``imuspec bench table3 --json`` printed, with machine, date and load. Then it writes the page from what
is stored; without folders it does only that, and a test holds the page to it.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imuspec.evaluation import confusion_matrix, metrics, score
from imuspec.experiments.comparisons import figure
from imuspec.storage import write_atomically

RESULTS = Path(__file__).parent / "results"
ORDER = ("statistics", "img2imu", "cpc", "tuned")
TITLES = {
    "statistics": "statistics of the window",
    "img2imu": "IMG2IMU, head only",
    "cpc": "CPC, head only",
    "tuned": "CPC, all weights",
}
DIFFERENCES = (("img2imu", "statistics"), ("cpc", "statistics"), ("tuned", "statistics"), ("tuned", "cpc"))
_N_DRAWS = 2000


def store(folder: Path, results: Path) -> Path:
    """Copy what the page rests on from a folder, and return where it lies."""
    from imuspec.experiments.provenance import encoder_facts, machine, versions

    target = results / "evidence" / "deployment" / folder.resolve().name
    times = target / "times"
    measured = {path.name: path.read_bytes() for path in times.glob("*.json")} if times.is_dir() else {}
    shutil.rmtree(target, ignore_errors=True)
    times.mkdir(parents=True)
    for name, content in measured.items():
        write_atomically(times / name, content)
    tables = {name: pd.read_csv(folder / "scores" / f"{name}.csv", dtype={"subject": str}) for name in ORDER}
    first = tables[ORDER[0]]
    classes = json.loads((folder / "models" / ORDER[0] / "classifier.json").read_text("utf-8"))["class_names"]
    stored = first[["subject", "recording", "start_s"]].assign(truth=[classes.index(name) for name in first["truth"]])
    for name, table in tables.items():
        if not table[["subject", "recording", "start_s", "truth"]].equals(
            first[["subject", "recording", "start_s", "truth"]]
        ):
            raise ValueError(f"{folder}: the windows of scores/{name}.csv are not those of scores/{ORDER[0]}.csv")
        stored[name] = [classes.index(activity) for activity in table["activity"]]
    stored = stored.drop(columns=["recording", "start_s"])
    write_atomically(target / "predictions.csv", stored.to_csv(index=False).encode())
    models = {}
    for name in ORDER:
        model = folder / "models" / name
        described = json.loads((model / "classifier.json").read_text("utf-8"))
        recipe = json.loads((model / "recipe.json").read_text("utf-8"))
        models[name] = {
            "rate_hz": described["front"]["rate_hz"],
            "n_samples": described["front"]["n_samples"],
            "picture": described["front"].get("picture"),
            "folds": recipe["split"]["folds"],
            "tuning": recipe["tuning"] if recipe["tuning"]["train"] != "head" else None,
            "fitted_to": json.loads((model / "source.json").read_text("utf-8"))["subjects"],
        }
    exported = {path.name: json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))}
    pictures = exported.pop("pictures.json", None)
    note = folder / "NOTE.txt"
    facts = {
        "note": note.read_text("utf-8").strip() if note.is_file() else "",
        "class_names": classes,
        "models": models,
        "encoders": {name: encoder_facts(str((folder / "runs" / name).resolve())) for name in ("img2imu", "cpc")},
        "exported": exported,
        "pictures": pictures,
        "machine": machine(),
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "versions": versions(),
    }
    data = os.environ.get("IMUSPEC_TEST_DATA", "")

    def placed(text: str) -> bytes:
        text = text.replace(f"{folder.resolve()}/", "")
        return (text.replace(data, "../shared/data") if data else text).encode()

    write_atomically(target / "facts.json", placed(json.dumps(facts, indent=1) + "\n"))
    write_atomically(target / "commands.sh", placed((folder / "commands.sh").read_text("utf-8")))
    return target


class Evidence:
    """The stored folder of one set."""

    def __init__(self, folder: Path) -> None:
        self.name = folder.name
        self.facts: dict[str, Any] = json.loads((folder / "facts.json").read_text("utf-8"))
        self.predictions = pd.read_csv(folder / "predictions.csv", dtype={"subject": str})
        self.commands = (folder / "commands.sh").read_text("utf-8").strip()
        self.times = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("times/*.json"))}

    def scored(self, name: str) -> tuple[float, float, float]:
        """Macro-F1 of a model, and its interval over people."""
        table = self.predictions
        result = score(table["truth"], table[name], self.facts["class_names"], subject=table["subject"])
        return float(result.values["macro_f1"]), *result.interval["macro_f1"]

    def difference(self, first: str, second: str) -> tuple[float, float, float]:
        """Difference of macro-F1 between two models, and its interval over people, drawn together for both."""
        n = len(self.facts["class_names"])
        people = [
            [confusion_matrix(part["truth"], part[name], n) for name in (first, second)]
            for _, part in self.predictions.groupby("subject")
        ]
        counts = np.array(people)  # [person, model, truth, predicted]
        drawn = np.random.default_rng(0).multinomial(len(counts), np.full(len(counts), 1 / len(counts)), _N_DRAWS)

        def less(weights: NDArray[np.int64]) -> float:
            one, two = np.tensordot(weights, counts, 1)
            return float(metrics(one)["macro_f1"]) - float(metrics(two)["macro_f1"])

        low, high = np.quantile([less(weights) for weights in drawn], (0.025, 0.975))
        return less(np.ones(len(counts), np.int64)), float(low), float(high)


def table(titles: Sequence[str], rows: Iterator[Sequence[str]] | Sequence[Sequence[str]], *, right: int = 0) -> str:
    """A Markdown table; the last `right` columns are numbers."""
    rules = ["---"] * (len(titles) - right) + ["---:"] * right
    return "\n".join(f"| {' | '.join(row)} |" for row in [titles, rules, *rows])


def interval(values: Sequence[float], *, signed: bool = False) -> str:
    """A score with its interval."""
    value, low, high = (figure(each, signed=signed) for each in values)
    return f"{value} [{low}, {high}]"


def conclusions(sets: Sequence[Evidence]) -> Iterator[str]:
    """What the differences allow to say."""
    for first, second in DIFFERENCES:
        parts: dict[str, list[str]] = {"above": [], "below": [], "not shown to differ from": []}
        for evidence in sets:
            values = evidence.difference(first, second)
            kind = "above" if values[1] > 0 else "below" if values[2] < 0 else "not shown to differ from"
            parts[kind].append(f"{evidence.name} ({interval(values, signed=True)})")
        outcomes = "; ".join(f"{kind} {TITLES[second]} on {', '.join(names)}" for kind, names in parts.items() if names)
        yield f"{TITLES[first]}: {outcomes}."


def meaning(sets: Sequence[Evidence]) -> str:
    """What the words of the conclusions mean, and what they leave open."""
    return (
        "Above and below: the 95 % interval of the difference over the people left out is without 0, not corrected for "
        f"{len(DIFFERENCES) * len(sets)} differences. There is one split of each set and one pre-training of each encoder, so "
        "nothing is said of other splits, pre-trainings or fits."
    )


def exports(sets: Sequence[Evidence]) -> Iterator[Sequence[str]]:
    """A row for each exported file."""
    for evidence in sets:
        for file, contract in evidence.facts["exported"].items():
            name = file.removesuffix(".json")
            if cost := contract.get("int8"):
                before, after = cost["macro_f1"]
                size = " to ".join(f"{n_bytes / 1e6:.1f}" for n_bytes in cost["size"])
                differing = f"{cost['classes']} of {cost['n_windows']}"
                yield (
                    evidence.name,
                    name,
                    f"{cost['probability']:.2g}",
                    differing,
                    "",
                    f"{figure(before)} to {figure(after)}",
                    size,
                )
                continue
            parity = contract["parity"]
            levels = (
                "" if parity["levels"] is None else f"{parity['levels']}; {100 * parity['equal_levels']:.4g} % equal"
            )
            differing = f"{parity['classes']} of {parity['n_windows']}"
            suffix = "" if "executorch" in contract else ".onnx"
            yield (evidence.name, f"{name}{suffix}", f"{parity['probability']:.2g}", differing, levels, "", "")


def times(sets: Sequence[Evidence]) -> Iterator[str]:
    """A table of times for each set."""
    for evidence in sets:
        if not evidence.times:
            continue
        models = [name for name in ORDER if name in evidence.times]
        steps: dict[tuple[str, str, str], dict[str, str]] = {}
        for name in models:
            for cost in evidence.times[name]["measured"]:
                _, threads, _, runtime = (part.strip() for part in cost["machine"].split(","))
                memory = "" if cost["memory_mb"] is None else f", {cost['memory_mb']:.1f} MB"
                steps.setdefault((threads, cost["step"], runtime), {})[name] = f"{cost['ms']:.2f} ms{memory}"
        rows = [
            (threads, step, runtime, *(cells.get(name, "") for name in models))
            for (threads, step, runtime), cells in steps.items()
        ]
        window = evidence.facts["models"][models[0]]
        seconds = window["n_samples"] / window["rate_hz"]
        stated = evidence.times[models[0]]
        yield (
            f"A window of {evidence.name}, {seconds:g} s at {window['rate_hz']:g} Hz, one at a time "
            f"({stated['machine']}, {stated['date']}, load {stated['load']}):"
        )
        yield table(["threads", "step", "in", *(TITLES[name] for name in models)], rows, right=len(models))


def page(results: Path) -> str:
    """The page, from what is stored."""
    folders = sorted((results / "evidence" / "deployment").iterdir())
    sets = [Evidence(folder) for folder in folders if (folder / "facts.json").is_file()]
    titles = ["", *(evidence.name for evidence in sets)]
    parts = [
        "# Models on people left out",
        "Four models were fitted to half of the people of a set, and scored on the other half, whom no model had seen, as in "
        "[](../how-to/from-labels-to-phone.md).",
        "\n".join(f"- {line}" for line in conclusions(sets)),
        meaning(sets),
        *(f"{evidence.name}: {evidence.facts['note']}" for evidence in sets if evidence.facts["note"]),
        "## Scores",
        "Macro-F1 on the people left out, with 95 % intervals over them:",
        table(titles, [(TITLES[name], *(interval(e.scored(name)) for e in sets)) for name in ORDER]),
        "Differences, with people drawn together for both models:",
        table(
            titles,
            [
                (f"{TITLES[a]} less {TITLES[b]}", *(interval(e.difference(a, b), signed=True) for e in sets))
                for a, b in DIFFERENCES
            ],
        ),
        table(["", ""], list(_facts(sets))),
        "## Exported",
        "Windows of the people left out, spread evenly over them. The files are compared with Python; those of eight bits with the "
        "graph of floats:",
        table(
            ["set", "file", "largest difference of a probability", "of another class", "grey levels", "macro-F1", "MB"],
            list(exports(sets)),
            right=1,
        ),
        *_pictures(sets),
    ]
    timed = list(times(sets))
    if timed:
        how = (
            "`imuspec bench table3 --model`, a run for each column: medians of ten rounds in which the steps of a column take "
            "turns. Columns did not take turns, and other programs ran beside them. Memory is the growth in the first call."
        )
        parts += ["## Times", how, *timed]
    parts += ["## Commands", *_origin(sets, results)]
    for evidence in sets:
        parts.append(f"{evidence.name}:\n\n<!-- needs: hours -->\n```sh\n{evidence.commands}\n```")
    parts.append("`docs/write_deployment.py` writes this page.")
    return "\n\n".join(parts) + "\n"


def _origin(sets: Sequence[Evidence], results: Path) -> Iterator[str]:
    """Where the pre-trainings come from, if the page of fine-tuning has the same encoders."""
    experiments = sorted((results / "evidence" / "fine-tuning").glob("*/experiment.json"))
    known = {
        each.get("sha256") for file in experiments for each in json.loads(file.read_text("utf-8"))["encoders"].values()
    }
    if all(each["sha256"] in known for e in sets for each in e.facts["encoders"].values()):
        yield (
            "`runs/img2imu` and `runs/cpc` are pre-trained by the command of [](fine-tuning.md): the encoders with the SHA-256 "
            "above, of CPC the one on the other set."
        )


def _facts(sets: Sequence[Evidence]) -> Iterator[Sequence[str]]:
    described, splits = [], []
    for evidence in sets:
        n = (
            evidence.predictions["truth"]
            .value_counts()
            .reindex(range(len(evidence.facts["class_names"])), fill_value=0)
        )
        named = ", ".join(f"{k} {name}" for k, name in zip(n, evidence.facts["class_names"], strict=True))
        people = evidence.predictions["subject"].nunique()
        described.append(f"{evidence.name}: {len(evidence.predictions)} windows of {people} people ({named})")
        splits.append(
            f"{evidence.name}: fitted to {len(evidence.facts['models']['cpc']['fitted_to'])} people, scored on {people}"
        )
    yield "test sets", "; ".join(described)
    yield "splits", "; ".join(splits) + "; one split, odd and even numbers"
    groups = [
        f"{e.name}: " + ", ".join(f"{m['folds']} for {TITLES[n]}" for n, m in e.facts["models"].items()) for e in sets
    ]
    yield "groups of a fit", "; ".join(groups)
    tuned = {e.name: e.facts["models"]["tuned"] for e in sets}
    done = "; ".join(f"{name}: {m['tuning']['epochs']} epochs at most" for name, m in tuned.items())
    yield "fine-tuning", f"{done}; the epoch is chosen on people of the fit"
    for name, title in (("img2imu", "IMG2IMU"), ("cpc", "CPC")):
        made = "; ".join(
            f"{e.name}: {facts['recipe']}, seed {facts['seed']}, {facts['steps']} steps on {', '.join(facts['data'])}, SHA-256 "
            f"of the encoder {facts['sha256'][:12]}"
            for e in sets
            for facts in [e.facts["encoders"][name]]
        )
        yield f"pre-training of {title}", made
    drawn = "; ".join(
        f"{e.name}: nfft {picture['nfft']}, hop {picture['nfft'] - picture['noverlap']}, "
        f"{picture['size'][0]} x {picture['size'][1]} pixels"
        for e in sets
        if (picture := e.facts["models"]["img2imu"]["picture"])
    )
    if drawn:
        yield "pictures", drawn
    yield "draws", "one pre-training of each encoder, one seed"
    yield "numbers", f"macro-F1 [95 % interval over people, {_N_DRAWS:,} draws for differences and 1,000 for scores]"
    yield "machine, date", f"{sets[0].facts['machine']}; {max(e.facts['date'] for e in sets)}"
    yield "versions", ", ".join(f"{name} {version}" for name, version in sets[0].facts["versions"].items())


def _pictures(sets: Sequence[Evidence]) -> Iterator[str]:
    for evidence in sets:
        if drawn := evidence.facts["pictures"]:
            share = "bit for bit" if drawn["differing"] == 0 else f"but for {drawn['differing']:,} greys"
            yield (
                f"Pictures of {drawn['n_windows']:,} windows of {evidence.name} by `examples/c/pictures.c` ({drawn['size'][0]} x "
                f"{drawn['size'][1]} pixels, nfft {drawn['nfft']}, hop {drawn['hop']}) are those of Python, {share}. "
                f"The model gives {drawn['of_another_class'] or 'none'} of them another class."
            )


def main() -> None:
    """Store the folders of the command line, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER")
    parser.add_argument("--to", type=Path, default=RESULTS, metavar="DIRECTORY")
    arguments = parser.parse_args()
    for folder in arguments.folders:
        store(folder, arguments.to)
    write_atomically(arguments.to / "deployment.md", page(arguments.to).encode())


if __name__ == "__main__":
    main()
