"""Commands that train and show: pretrain, views."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from imuspec.cli import output
from imuspec.cli.app import INTERRUPTED, SEVERAL, app, existing
from imuspec.errors import require
from imuspec.interrupts import Interrupted

__all__ = ["pretrain", "views"]


@app.command
def pretrain(
    recipe: str,
    /,
    *,
    data: Annotated[list[str], SEVERAL],
    out: Path,
    assignments: Annotated[list[str] | None, Parameter(name="--set", consume_multiple=False)] = None,
    resume: bool = False,
    tiny: bool = False,
) -> int:
    """Pre-train an encoder: pictures, views, objective and rates as a recipe says.

    On several GPUs or CPUs: torchrun --nproc-per-node N -m imuspec.cli pretrain ...

    Parameters
    ----------
    recipe
        A recipe by name, or the path of a TOML file. On pictures: img2imu, moco, moco-all, simsiam, supervised and others,
        with -small for some thousand pictures. On windows of signal: limu-bert, simclr-har, cpc, multi-task, harnet5, harnet10,
        harnet30. On days of wear: mae-lmm, mae-mse, mae-lmm-mse, mae-lmm-small. docs/pretraining.md lists all.
    data
        For pictures: a folder, one with a folder for each class, or an npz of encoded pictures; may be given several times.
        For windows: NAME=PATH[,setting=value,...], a labelled set, or the folder of a cohort. For days of wear: a cohort.
    out
        The run's folder.
    assignments
        Change a number of the recipe, as training.base_lr=1e-3; may be given several times.
    resume
        Go on with a run that stopped, from its last checkpoint.
    tiny
        Two epochs on 256 pictures of 48 x 64: the same code in a minute on a CPU, to see that all works.
    """
    require("imuspec pretrain", "torch", "lightning_fabric")
    from imuspec.pretraining.pretraining import pretrain as train
    from imuspec.recipe import PretrainRecipe

    followed = PretrainRecipe.load(recipe)
    for item in data:
        if "=" not in item:
            existing(item)
    if tiny:
        followed = followed.tiny()
        output.say(f"tiny: {followed.about}")
    try:
        with contextlib.ExitStack() as stack:
            if output.is_quiet():  # training shows its progress there
                stack.enter_context(contextlib.redirect_stderr(stack.enter_context(Path(os.devnull).open("w"))))
            run = train(followed.set(*(assignments or ())), data, out, resume=resume)
    except KeyboardInterrupt as stop:
        output.say(f"{stop or 'stopped'}: the same command with --resume goes on")
        return stop.exit_code if isinstance(stop, Interrupted) else INTERRUPTED
    last = [line for line in run.metrics() if "loss" in line][-1]
    output.say(
        f"{out}: " + ", ".join(f"{key} {value:.4g}" for key, value in last.items() if key not in ("lr", "per_s"))
    )
    return 0


@app.command
def views(image: Path, /, *, out: Path, seed: int = 0) -> int:
    """Draw what pre-training shows the encoder of a picture: each operation several times, and whole views.

    Parameters
    ----------
    image
        A picture: a photograph, or a spectrogram picture.
    out
        The figure, ending in .png, .svg or .pdf.
    seed
        Another seed draws other views.
    """
    require("imuspec views", "matplotlib")
    require("imuspec views", "torch")
    from imuspec.report import views_figure

    existing(image)
    views_figure(image, out, seed=seed)
    output.say(out)
    return 0
