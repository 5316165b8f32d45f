"""Commands for pre-training: pretrain, views."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from imuspec.cli import output
from imuspec.cli.app import INTERRUPTED, SEVERAL, command, existing
from imuspec.errors import require
from imuspec.interrupts import Interrupted

__all__ = ["pretrain", "views"]


@command
def pretrain(
    recipe: str,
    /,
    *,
    data: Annotated[list[str], SEVERAL],
    out: Path,
    assignments: Annotated[list[str] | None, Parameter(name="--set", consume_multiple=False)] = None,
    people: Path | None = None,
    resume: bool = False,
    tiny: bool = False,
) -> int:
    """Pre-train an encoder on pictures, windows or days of wear, by a recipe.

    To use several GPUs or CPUs: torchrun --nproc-per-node N -m imuspec.cli pretrain ...

    Parameters
    ----------
    recipe : str
        The name of a recipe, or the path of a TOML file. For pictures: img2imu, moco, moco-all, simsiam, supervised and others;
        add -small for a few thousand pictures. For windows: limu-bert, simclr-har, cpc, multi-task, harnet5, harnet10.
        For days of wear: mae-lmm, mae-mse, mae-lmm-mse, mae-lmm-small. imuspec recipe lists all of them.
    data : list of str
        For pictures: a folder of pictures, a folder with one subfolder per class, or an .npz of encoded pictures, of which more
        than one can be given; or a file of imuspec pictures pack. For windows: NAME=PATH[,setting=value,...], or the folder of
        a cohort. For days of wear: the folder of a cohort.
    out : Path
        The folder for the run.
    assignments : list of str, optional
        Change a setting of the recipe, as training.base_lr=1e-3. Can be given more than once.
    people : Path, optional
        For a cohort: a CSV file with the columns recording and person. No person is both trained on and held out, and each
        part has about the same share of each value of the other columns, as sex or age group. By default each recording is
        taken as another person.
    resume : bool, default False
        Continue a stopped run from its last checkpoint.
    tiny : bool, default False
        Train two epochs on 256 pictures of 48 x 64: the same code in a minute on a CPU, as a test.
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
            if output.is_quiet():  # training shows its progress on standard error
                stack.enter_context(contextlib.redirect_stderr(stack.enter_context(Path(os.devnull).open("w"))))
            run = train(followed.set(*(assignments or ())), data, out, people=people, resume=resume)
    except KeyboardInterrupt as stop:
        output.say(f"{stop or 'stopped'}: the same command with --resume continues")
        return stop.exit_code if isinstance(stop, Interrupted) else INTERRUPTED
    last = [line for line in run.metrics() if "loss" in line][-1]
    output.say(f"{out}: " + ", ".join(f"{key} {value:.4g}" for key, value in last.items() if key != "lr"))
    return 0


@command
def views(image: Path, /, *, out: Path, seed: int = 0) -> int:
    """Draw augmented views of a picture, as pre-training uses them: each operation several times, and whole views.

    Parameters
    ----------
    image : Path
        A photograph or a spectrogram picture.
    out : Path
        The file for the figure: .png, .svg or .pdf.
    seed : int, default 0
        Seed of the random views.
    """
    require("imuspec views", "matplotlib")
    require("imuspec views", "torch")
    from imuspec.report import views_figure

    existing(image)
    views_figure(image, out, seed=seed)
    output.say(out)
    return 0
