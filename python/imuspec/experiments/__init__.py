"""The tables and figures of the papers, one file each; each prints ours | paper | difference.

How one is written
------------------
A file of this folder is an experiment; its name, with dashes, is what ``imuspec experiment NAME`` takes, and nothing
else registers it. ``img2imu_table2.py``, say, holds

- a docstring whose first line says what is shown (it is the help's line for the experiment);
- ``DATA``: the data sets it needs, as names of `imuspec.datasets` (empty if none). ``--data NAME=PATH`` says where each
  lies, ``--data NAME=LOADER:PATH`` that another loader reads it;
- ``RUNS``: row -> what is said of it, for rows whose encoder comes from a run (``--runs ROW=FOLDER``). A row without its
  run is left out and named among the notes; it is never invented;
- ``OPTIONS``: name -> default of its own numbers, each set by ``--set NAME=VALUE`` and coerced to the default's type;
- ``TINY``: what of the options changes under ``--tiny`` (fewer epochs, shots, settings);
- ``run(setup: Setup) -> Result``: all the work.

`Setup` gives windows (`Setup.windows`: the real set, or made-up motion under ``--tiny`` without data), options, seeds,
the run folders and the results' folder. `Result` takes one long table with the columns ``row``, ``column``, ``value``
and, where there are several seeds, ``sd`` and ``n``; figures by name; notes in words. The frame does the rest: compares
with ``targets.toml`` (section of the experiment's name: ``columns``, then a list for each row under ``mean`` and ``sd``),
prints, and writes ``table.csv|json|txt``, ``comparison.csv|json|txt``, each figure as PNG and SVG, and
``experiment.json``, the recipe: what was run on what, with which numbers and versions.

``--tiny`` runs the same code in minutes on a CPU, and the output says that its numbers mean nothing.
"""

from imuspec.experiments.frame import Experiment, Result, Setup, compare, describe, names, perform, targets

__all__ = ["Experiment", "Result", "Setup", "compare", "describe", "names", "perform", "targets"]
