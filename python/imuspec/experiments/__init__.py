"""The tables and figures of the papers, one file each; each prints ours | paper | difference.

How one is written
------------------
A file of this folder is an experiment; its name, with dashes, is what ``imuspec experiment NAME`` takes, and nothing
else registers it. ``img2imu_table2.py``, say, holds

- a docstring whose first line says what is shown (the help's line for the experiment);
- ``DATA``: labels of the data sets that it takes, written out, as the list reads them without importing the file.
  ``--data NAME=PATH`` gives one, ``--data LABEL@NAME=PATH`` another set in its place. With ``OTHER_DATA = True`` further sets
  are further columns;
- ``RUNS``: row -> description, for rows whose encoder may come from a run (``--runs ROW=FOLDER``). A row without its run is
  pre-trained, or left out and named among the notes; it is never invented;
- ``OPTIONS``: a class of `Options` with its own numbers: type, default, description, and ``TINY``, the numbers that a tiny
  trial changes. ``--set NAME=VALUE`` sets one; an unknown name or a wrong type is an error with the valid ones;
- ``run(setup: Setup[...]) -> Result``: all the work.

`Setup` has windows (`Setup.windows`: the set given, or made-up motion in a tiny trial without data), options, seeds, runs and
the results' folder. `Result` has one long table with the columns ``row``, ``column``, ``value`` and, where there are several
seeds, ``sd`` and ``n``; figures by name; notes in words. `perform` does the rest: compares with ``targets.toml`` (section of the
experiment's name: ``columns``, then a list for each row under ``mean`` and ``sd``), and writes ``table.csv|json|txt``,
``comparison.csv|json|txt``, each figure as PNG and SVG, and ``experiment.json``, the recipe: data, runs, options, versions.

``--tiny`` runs the same code in minutes on a CPU; every table, figure and note says that its numbers mean nothing.
"""

from imuspec.experiments.experiment import Experiment, Result, compare, describe, names, perform, targets
from imuspec.experiments.setup import Options, Setup

__all__ = ["Experiment", "Options", "Result", "Setup", "compare", "describe", "names", "perform", "targets"]
