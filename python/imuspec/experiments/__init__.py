"""Tables and figures of the papers, one file each, with our numbers, the paper's and the difference.

How to write one
----------------
A file of this folder is an experiment. ``imuspec experiment NAME`` takes its name, with dashes; nothing else registers it.
``img2imu_table2.py``, for example, has

- a docstring, whose first line describes the experiment in the list;
- ``DATA``: labels of the data sets that it takes, as literals, because the list reads them without importing the file.
  ``--data NAME=PATH`` gives a set, ``--data LABEL@NAME=PATH`` another set in its place. With ``OTHER_DATA = True`` further sets
  become further columns;
- ``RUNS``: row -> description, for rows whose encoder may come from a run (``--runs ROW=FOLDER``). A row without its run is
  pre-trained, or left out and named in the notes;
- ``OPTIONS``: a class of `Options` with the experiment's own numbers: type, default, description, and ``TINY``, the numbers of a
  tiny trial. ``--set NAME=VALUE`` sets one; an unknown name or a wrong type is an error that lists the valid ones;
- ``run(setup: Setup[...]) -> Result``, which does the work.

`Setup` has windows (`Setup.windows`: the set given, or simulated motion in a tiny trial without data), options, seeds, runs and
folders. `Result` has a long table with the columns ``row``, ``column``, ``value`` and, over several splits, ``sd`` and ``n``;
figures by name; notes; and the table ``seeds`` with the scores of each split. `perform` compares the table with ``targets.toml``
(section of the experiment's name: ``columns``, then a list for each row under ``mean`` and ``sd``), computes paired differences
of the rows, and writes ``table``, ``comparison``, ``seeds`` and ``paired`` as CSV, JSON and text, each figure as PNG and SVG, and
``experiment.json``: the command, data, runs and pre-trainings with their digests, options, machine, date, versions, and notes,
which begin with what the table allows to conclude.

``--tiny`` runs the same code in minutes on a CPU; every table, figure and note says that its numbers mean nothing.
"""

from imuspec.experiments.experiment import Experiment, Result, compare, describe, names, perform, targets
from imuspec.experiments.setup import Options, Setup

__all__ = ["Experiment", "Options", "Result", "Setup", "compare", "describe", "names", "perform", "targets"]
