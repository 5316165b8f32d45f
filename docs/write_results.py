"""Write docs/results/img2imu.md, lmm.md and fine-tuning.md from the folders of `imuspec experiment`.

``python docs/write_results.py FOLDER ...`` stores what the pages rest on in docs/results/evidence, a folder for each of the folders
given: tables, scores of each split, ``experiment.json``, and of each encoder the recipe, the data and the log. Then it writes the
pages from what is stored; without folders it does only that, and a test holds the pages to it. ``--to DIRECTORY`` writes elsewhere.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from imuspec.evaluation import mean_interval
from imuspec.experiments.comparisons import Difference, difference, figure, opposed, planned, score_of, with_set_names
from imuspec.experiments.conclusions import conclusions, verdict
from imuspec.experiments.evidence import paired_table
from imuspec.experiments.experiment import targets
from imuspec.storage import write_atomically

RESULTS = Path(__file__).parent / "results"
EARLIER = RESULTS / "earlier.toml"
MADE = RESULTS / "made.toml"
PAGES = {
    "img2imu": ("IMG2IMU with few labels", ("img2imu", "single-axis", "signal-objectives", "fusion")),
    "lmm": ("LMM masked auto-encoder", ("lmm",)),
    "fine-tuning": ("Fine-tuning", ("fine-tuning",)),
}
FIRST = ("img2imu-table2", "lmm-table1", "fine-tuning")  # experiments whose section comes first
MARK = "TINY: a trial of the code on little data and few steps; its numbers mean nothing"
SCORES = {"value": "", "balanced_accuracy": "balanced_accuracy_"}
_MOST_LINES, _MOST_COLUMNS = 50, 5
_STORED = ("experiment.json", "table.csv", "runs.csv", "splits.csv", "tests.csv", "weights.csv")
_IN_NOTES = (
    "TINY",
    "±",
    "paired.csv",
    "No ",
    "Of each ",
    "Pre-training ",
    "Fine-tuning ",
    "In none of",
    "Rows set against",
    "This rests on",
)
_UNITS = {"macro_f1": "macro-F1", "balanced_accuracy": "balanced accuracy and kappa"}


def page_of(name: str) -> str:
    """The page of an experiment."""
    return next(page for page, (_, starts) in PAGES.items() if name.startswith(starts))


def store(folder: Path, results: Path) -> Path:
    """Copy what a page rests on from the folder of an experiment, and return where it lies."""
    facts = json.loads((folder / "experiment.json").read_text("utf-8"))
    target = results / "evidence" / page_of(facts["experiment"]) / folder.resolve().name
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    data = os.environ.get("IMUSPEC_TEST_DATA", "")
    for name in _STORED:
        if (folder / name).is_file():
            text = (folder / name).read_text("utf-8").replace(f"{folder.resolve().parent}/", "runs/")
            write_atomically(target / name, (text.replace(data, "../shared/data") if data else text).encode())
    if (folder / "seeds.csv").is_file():
        text = pd.read_csv(folder / "seeds.csv").to_csv(index=False, float_format="%.6g")
        write_atomically(target / "seeds.csv", text.encode())
    for encoder in facts.get("encoders", {}).values():
        run = Path(encoder["name"].removeprefix("random:"))
        if (run / "recipe.json").is_file():
            _store_run(run, target / "encoders" / run.name, data)
    return target


def _store_run(run: Path, target: Path, data: str) -> None:
    """Copy recipe, data, split and every so manyth line of the log of a pre-training."""
    target.mkdir(parents=True, exist_ok=True)
    for name in ("recipe.json", "source.json", "split.json"):
        if (run / name).is_file():
            text = (run / name).read_text("utf-8")
            write_atomically(target / name, (text.replace(data, "../shared/data") if data else text).encode())
    lines = (run / "metrics.jsonl").read_text("utf-8").splitlines() if (run / "metrics.jsonl").is_file() else []
    step = -(-len(lines) // _MOST_LINES) or 1
    write_atomically(target / "metrics.jsonl", "".join(f"{line}\n" for line in lines[::-step][::-1]).encode())


class Evidence:
    """The stored folder of an experiment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.facts: dict[str, Any] = json.loads((folder / "experiment.json").read_text("utf-8"))
        self.name: str = self.facts["experiment"]
        self.table = pd.read_csv(folder / "table.csv")
        seeds = folder / "seeds.csv"
        self.judged = pd.read_csv(seeds) if seeds.is_file() else pd.DataFrame()
        self.paired = paired_table(self.judged) if len(self.judged) else None
        self.conclusions: list[str] = []
        if self.paired is not None:
            sets = self.facts.get("windows") or {}
            self.conclusions = conclusions(self.name, self.judged, self.paired, self.facts["options"], sets)
            if self.conclusions:
                self.conclusions[-1] += _scale(self.facts)
            self._add_intervals()
            self.judged, self.paired = with_set_names(self.judged, sets), with_set_names(self.paired, sets)

    def _add_intervals(self) -> None:
        """Compute the intervals of the means where the experiment did not."""
        if "low" in self.table:
            return
        lows = []
        for line in self.table.to_dict("records"):
            whole = self.judged["row"] == line["row"]
            inside = "macro_f1" if line["column"] in set(self.judged["column"]) else line["column"]
            part = (
                self.judged[whole & (self.judged["column"] == line["column"])]
                if inside == "macro_f1"
                else self.judged[whole]
            )
            lows.append(mean_interval(part, value=inside) if len(part) and inside in part else (float("nan"),) * 2)
        self.table[["low", "high"]] = lows

    @property
    def link(self) -> str:
        """Path of the folder from the pages."""
        return f"evidence/{self.folder.parent.name}/{self.folder.name}"


def grid(
    rows: Sequence[str], columns: Sequence[str], cells: dict[tuple[str, str], str], *extra: tuple[str, dict[str, str]]
) -> str:
    """A Markdown table of rows by columns, at most five columns side by side; extra columns are repeated."""
    tables = []
    for start in range(0, len(columns), _MOST_COLUMNS):
        shown = columns[start : start + _MOST_COLUMNS]
        titles = ["", *shown, *(title for title, _ in extra)]
        lines = [titles, ["---"] * len(titles)]
        lines += [[row, *(cells.get((row, c), "") for c in shown), *(of[row] for _, of in extra)] for row in rows]
        tables.append("\n".join(f"| {' | '.join(line)} |" for line in lines))
    return "\n\n".join(tables)


def scores(evidence: Evidence) -> Iterator[str]:
    """The table as the experiment prints it: mean ± deviation and interval; then splits, subjects and windows of each column."""
    table = evidence.table
    rows, columns = list(dict.fromkeys(table["row"])), list(dict.fromkeys(table["column"]))
    draws = {}
    if "n_weights" in table:
        draws = {row: _span(part["n_weights"].dropna()) for row, part in table.groupby("row", sort=False)}
    extra = [("draws of the weights", draws)] if draws else []
    for score, prefix in SCORES.items():
        if score not in table:
            continue
        cells = {(line["row"], line["column"]): _cell(line, score, prefix) for line in table.to_dict("records")}
        shown = [column for column in columns if any(cells.get((row, column)) for row in rows)]
        if prefix and shown:
            yield "Balanced accuracy:"
        if shown:
            yield grid(rows, shown, cells, *extra)
    known = targets(evidence.name)
    known = known[known["row"].isin(rows) & known["column"].isin(columns)]
    if len(known):
        paper = {
            (line["row"], line["column"]): _paper(line["paper"], line["paper_sd"]) for line in known.to_dict("records")
        }
        yield "The paper's, on its own splits and at its own scale:"
        yield grid(list(dict.fromkeys(known["row"])), [c for c in columns if c in set(known["column"])], paper)
    if "n_rarest" in table:
        lines = []
        for column, part in table.dropna(subset=["n_rarest"]).groupby("column", sort=False):
            numbers = [_span(part[name]) for name in ("n", "n_test_subjects", "n_rarest")]
            lines.append(f"| {' | '.join((str(column), *numbers))} |")
        head = (
            "| column | distinct splits | test subjects | test windows of the rarest class, at least |\n"
            + "| --- " * 4
            + "|"
        )
        yield "\n".join([head, *lines])


def _cell(line: dict[str, Any], score: str, prefix: str) -> str:
    value, sd = line[score], line.get(f"{prefix}sd", float("nan"))
    low, high = line.get(f"{prefix}low", float("nan")), line.get(f"{prefix}high", float("nan"))
    if pd.isna(value):
        return ""
    if abs(value) >= 10:  # per cent
        return f"{value:.1f}"
    return (
        figure(value)
        + ("" if pd.isna(sd) else f" ± {figure(sd)}")
        + ("" if pd.isna(low) else f" [{figure(low)}, {figure(high)}]")
    )


def _paper(value: float, sd: float) -> str:
    return f"{value:.1f}" if abs(value) >= 10 else figure(value) + ("" if pd.isna(sd) else f" ± {figure(sd)}")


def _span(numbers: pd.Series[float]) -> str:
    ends = dict.fromkeys(f"{number:.0f}" for number in (numbers.min(), numbers.max()) if not pd.isna(number))
    return " to ".join(ends)


def differences(evidence: Evidence) -> Iterator[str]:
    """Paired differences: encoders less the statistics, pre-training less random weights, and pre-trained rows among themselves."""
    if evidence.paired is None:
        return
    by_kind, trained, tuned = planned(evidence.name, evidence.judged, evidence.paired)
    questions = [(f"Each {kind} less the statistics of the window:", part) for kind, part in by_kind.items()]
    questions += [("Pre-trained less random weights:", trained), ("Fine-tuned less the head alone:", tuned)]
    against = opposed(evidence.name, evidence.judged, evidence.paired)
    each_pair = [replace(each, first=f"{each.first} less {each.second}", second="") for each in against]
    questions.append(("Rows less those that they are set against:", each_pair))
    for title, part in questions:
        if not part:
            continue
        cells = {(each.first, each.column): f"**{each}**" if each.clear else str(each) for each in part}
        others = {each.first: each.second for each in part}
        names = [("less", others)] if len(set(others.values())) > 1 or part is trained else []
        yield title
        rows, columns = (list(dict.fromkeys(getattr(each, name) for each in part)) for name in ("first", "column"))
        yield grid(rows, columns, cells, *names)
    names, score = {each.first for each in trained}, score_of(evidence.name)
    clear = evidence.paired[(evidence.paired["score"] == score) & (evidence.paired["p_holm"] < 0.05)]
    among = [
        f"{line['column']}: {line['first']} less {line['second']} "
        f"{difference(evidence.paired, line['column'], line['first'], line['second'], score)}"
        for line in clear.to_dict("records")
        if {line["first"], line["second"]} <= names
        and line["first"].partition(", ")[2] == line["second"].partition(", ")[2]  # the same layer and head
    ]
    if len(names) > 1:
        yield (
            "Pre-trained rows among themselves, on the same layer and with the same head, p below .05 after Holm's correction "
            f"over all pairs of a column: {'; '.join(among) or 'none'}."
        )


def provenance(evidence: Evidence) -> Iterator[str]:
    """What was measured on what, by which command, and where it is stored."""
    facts = evidence.facts
    options, n_weights = facts["options"], evidence.table.get("n_weights")
    data = [_set(label, str(text), facts.get("windows", {})) for label, text in facts["data"].items() if text]
    shots = options.get("shots")
    drawn = (
        f"{', '.join(map(str, shots)) if isinstance(shots, list) else shots} labelled windows a class; "
        if shots
        else ""
    )
    weights = "" if n_weights is None else f"; weights of a row: {_span(n_weights.dropna())} draws or pre-trainings"
    numbers = (
        f"{_UNITS[score_of(evidence.name)]}: mean ± standard deviation over the splits (n - 1), "
        "each the mean over draws of the weights, "
        "[95 % interval]; intervals and p by Nadeau and Bengio's corrected resampled t test with the spread of the weights; "
        "**bold**: p below .05 after Holm's correction over the rows of the table in a column"
    )
    taken = f"{facts['seconds'] / 60:.1f} min"
    if facts["experiment"] == "fine-tuning":
        taken += " for the last run, which takes finished cells of earlier runs over"
    lines = {
        "test sets": "; ".join(data),
        "rows": _rows(options),
        "splits": f"by subject, seeds {', '.join(map(str, facts['seeds']))}, all distinct; as many as stated above",
        "windows scored": _caps(options),
        "pictures": _drawn(options),
        "draws": f"{drawn}seeds as of the splits{weights}",
        "numbers": numbers,
        "encoders": _pretraining(facts.get("encoders", {}).values()),
        "machine, date": f"{facts.get('machine', 'not stored')}; {taken}; {facts.get('date', 'not stored')}",
        "versions": ", ".join(f"{name} {number}" for name, number in facts["versions"].items()),
        "stored": f"[settings]({evidence.link}/experiment.json), [table]({evidence.link}/table.csv)"
        + (f", [scores of each split]({evidence.link}/seeds.csv)" if len(evidence.judged) else ""),
    }
    yield "\n".join(["| | |", "| --- | --- |", *(f"| {key} | {text} |" for key, text in lines.items() if text)])
    if "command" in facts:
        made = [lines for path, lines in origins() if path in facts["command"]]
        yield "\n".join(["<!-- needs: hours -->", "```sh", *made, facts["command"], "```"])
    if encoders := facts.get("encoders"):
        head = (
            "| encoder | recipe, seed | steps | computing, s | data | SHA-256 of data, encoder | log |\n"
            + "| --- " * 7
            + "|"
        )
        yield "\n".join([head, *(_encoder(row, values, evidence) for row, values in encoders.items())])
    others = [note for note in facts["notes"] if not note.startswith(_IN_NOTES) and " distinct splits, " not in note]
    if others:
        yield "\n".join(f"- {note}" for note in others)


def _rows(options: dict[str, Any]) -> str:
    """The rows that the command asked for, if not all."""
    asked = options.get("rows")
    return (
        f"{', '.join(asked)}; beside them those of every table; others of the experiment were not run" if asked else ""
    )


def _caps(options: dict[str, Any]) -> str:
    """How many windows of a class are scored and validate at most, where this is limited."""
    if most := options.get("max_judged"):
        return (
            f"at most {most} of a class in the test part of a split, and in the validation part, the same for all rows"
        )
    if most := options.get("max_validation"):
        return f"all of the test part of a split; at most {most} of a class validate"
    return ""


def _drawn(options: dict[str, Any]) -> str:
    """Frames, size and scale of the pictures."""
    if not options.get("nfft"):
        return ""
    frames, hops = (", ".join(map(str, options[name])) for name in ("nfft", "hop"))
    size = (
        f", {options['height']} x {options['width']} pixels" if options.get("height") and options.get("width") else ""
    )
    chosen = "" if len(options["hop"]) > 1 else "; a single hop, so that no overlap is chosen"
    return (
        f"nfft {frames}, hop {hops}{size}, norm `{options.get('norm', '')}`{chosen if len(options['nfft']) > 1 else ''}"
    )


def _pretraining(encoders: Iterable[dict[str, Any]]) -> str:
    """How many encoders were pre-trained, by how many steps on how much, and the computing of all; empty without any."""
    if not (made := [each for each in encoders if each.get("steps")]):
        return ""
    minutes = sum(each["seconds"] for each in made) / 60
    return f"{len(made)} pre-trained, {_lengths(made)}; {minutes:.0f} min in all, beside other work"


def _lengths(made: Sequence[dict[str, Any]]) -> str:
    """Steps of pre-trainings, and pictures."""
    counts = [each.get("counts", {}).get("pictures") for each in made]
    pictures = f" on {_span(pd.Series(counts))} pictures" if all(counts) else ""
    return f"{_span(pd.Series([each['steps'] for each in made]))} steps each{pictures}"


def _scale(facts: dict[str, Any]) -> str:
    """The scale of the pre-trainings that conclusions hold at, as a sentence; empty without any."""
    if not (made := [each for each in facts.get("encoders", {}).values() if each.get("steps")]):
        return ""
    height, width = (facts["options"].get(name) for name in ("height", "width"))
    size = f"; pictures of {height} x {width}" if height and width else ""
    return f" It holds at this scale: {len(made)} pre-trained encoder{'s' * (len(made) > 1)}, {_lengths(made)}{size}."


def origins() -> list[tuple[str, str]]:
    """Paths of made data in the commands of experiments, and the lines of a shell that make them."""
    stated = tomllib.loads(MADE.read_text("utf-8"))["made"]
    return [(made["path"], made["commands"].strip()) for made in stated]


def _set(label: str, text: str, shown: dict[str, dict[str, Any]]) -> str:
    """A data set: how it was given, how many windows of whom it has, and its digest."""
    made = ", simulated" if text in (f"{label}={path}" for path, _ in origins()) else ""
    parts = [f"{label} (`{text}`{made})" if text != "made up" else f"{label} (made up)"]
    for name, facts in shown.items():
        if re.match(rf"{re.escape(label)}($|[,@])", name):
            classes = ", ".join(f"{n} {name}" for name, n in facts["classes"].items())
            parts.append(
                f"{facts['windows']} windows of {facts['window_s']:g} s at {facts['rate_hz']:g} Hz, {facts['subjects']} subjects "
                f"({classes}), SHA-256 {facts['sha256'][:16]}"
            )
    return ": ".join(parts[:2]) + "".join(f"; and {part}" for part in parts[2:])


def _encoder(row: str, facts: dict[str, Any], evidence: Evidence) -> str:
    name = Path(facts["name"]).name
    log = f"{evidence.link}/encoders/{name}/metrics.jsonl"
    stored = (evidence.folder / "encoders" / name / "metrics.jsonl").is_file()
    cells = [
        row,
        f"{facts['recipe']}, {facts['seed']}" if "recipe" in facts else facts["name"],
        str(facts.get("steps", "")),
        str(facts.get("seconds", "")),
        "; ".join(facts.get("data", [])),
        f"{facts.get('data_sha256', '')[:12]}, {facts['sha256'][:12]}",
        f"[{name}]({log})" if stored else "",
    ]
    return f"| {' | '.join(cells)} |"


def earlier(page: str, evidence: Sequence[Evidence]) -> Iterator[str]:
    """The conclusions of earlier pages, each kept or withdrawn by these tables."""
    claims = [claim for claim in tomllib.loads(EARLIER.read_text("utf-8"))["claim"] if claim["page"] == page]
    tables = [(each.name, each.paired) for each in evidence if each.paired is not None]
    lines = []
    for claim in claims:
        chosen = [table for table in tables if table[0] in claim.get("experiments", [name for name, _ in tables])]
        pairs = [(first, second) for first, second in claim.get("pairs", [])]
        answer, rests = verdict(pairs, chosen, claim.get("columns", ()), not_above=claim.get("not_above", False))
        shown = sorted(rests, key=lambda each: -each.value)
        shown = shown if len(shown) <= 4 else [*shown[:2], *shown[-2:]]
        text = "; ".join(f"{each.first} less {each.second} on {each.column} {each}" for each in shown)
        omitted = f"; highest and lowest two of {len(rests)}" if len(rests) > len(shown) else ""
        scope = _scope(answer, rests, not_above=claim.get("not_above", False))
        lines.append(f"| {claim['text']} | {claim['basis']} | {answer}{scope} | {text}{omitted} |")
    if lines:
        yield "## Earlier conclusions"
        yield (
            "A conclusion of an earlier page is kept if every paired difference that it speaks of is above 0 with p below .05, and "
            "one that nothing is above, if no such difference is. Holm's correction is over the differences of the conclusion in a "
            "column, not over conclusions, so that one of a single difference can be kept where a table with more rows shows none."
        )
        yield "\n".join(["| conclusion | it rested on | now | differences |", "| --- | --- | --- | --- |", *lines])


def _scope(answer: str, rests: Sequence[Difference], *, not_above: bool) -> str:
    """The columns that an answer is about: those with a difference to the contrary if that is the answer, else all."""
    contrary = [each for each in rests if each.clear and (each.value > 0) == not_above]
    columns = list(dict.fromkeys(each.column for each in (contrary if answer.endswith("the contrary") else rests)))
    return f" on {('; ' if any(',' in name for name in columns) else ', ').join(columns)}" if columns else ""


def page(name: str, evidence: Sequence[Evidence]) -> str:
    """A page as Markdown: the conclusions, then for each experiment table, differences and provenance."""
    tiny, title = any(each.facts["tiny"] for each in evidence), PAGES[name][0]
    blocks = [f"# {title}{' (TINY: numbers mean nothing)' if tiny else ''}"]
    lead = next((each for each in evidence if each.conclusions), None)
    blocks += [*(lead.conclusions if lead else []), *([f"**{MARK}.**"] if tiny else [])]
    for each in evidence:
        about = re.sub(r"\.$", "", each.facts["about"])
        blocks += [
            f"## {each.folder.name}",
            f"{about}{' (TINY)' if each.facts['tiny'] else ''}{'' if about.endswith('?') else '.'}",
        ]
        blocks += [] if each is lead else each.conclusions
        blocks += [*scores(each), *differences(each), *provenance(each)]
    blocks += [*earlier(name, evidence), "`docs/write_results.py` writes this page."]
    return "\n\n".join(blocks) + "\n"


def pages(results: Path) -> dict[str, str]:
    """Name of a page -> its text, for each page with stored evidence."""
    texts = {}
    for name in PAGES:
        folders = [file.parent for file in sorted((results / "evidence" / name).glob("*/experiment.json"))]
        evidence = sorted(
            map(Evidence, folders), key=lambda each: (each.name not in FIRST, each.name, each.folder.name)
        )
        if evidence:
            texts[name] = page(name, evidence)
    return texts


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path, help="folders of imuspec experiment")
    parser.add_argument("--to", type=Path, default=RESULTS, help="folder of the pages")
    arguments = parser.parse_args()
    for folder in arguments.folders:
        store(folder, arguments.to)
    for page_name, text in pages(arguments.to).items():
        write_atomically(arguments.to / f"{page_name}.md", text.encode())
