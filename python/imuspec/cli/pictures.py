"""Commands for photographs: pictures pack."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from imuspec.cli import output
from imuspec.cli.app import app, existing, unwrapped
from imuspec.errors import require

__all__ = ["pack"]

pictures_app = App(name="pictures", help="Make photographs ready for pre-training.")
app.command(pictures_app)


@pictures_app.command
@unwrapped
def pack(
    data: Annotated[list[str], Parameter(negative=())],
    /,
    *,
    out: Path,
    height: int = 96,
    width: int = 128,
    workers: int = -1,
) -> int:
    """Decode and resize pictures once, into a file that pretrain maps into memory.

    Without it, a set that does not fit into memory is decoded again in each epoch. The file appears when it is complete; it has
    3 x height x width bytes for each picture.

    Parameters
    ----------
    data : list of str
        Folders of pictures, with a subfolder per class or without, or .npz files of encoded pictures.
    out : Path
        The file, with the ending .npz. Give it to pretrain as --data.
    height : int, default 96
        Rows of a picture, source.height of the recipe.
    width : int, default 128
        Columns of a picture, source.width of the recipe.
    workers : int, default -1
        Processes that decode; -1: one less than the number of cores.
    """
    require("imuspec pictures", "torch")
    from imuspec.pretraining.pictures import pack_pictures
    from imuspec.progress import Progress

    for item in data:
        existing(item)
    for name, value, least in (("height", height, 1), ("width", width, 1), ("workers", workers, -1)):
        if value < least:
            raise ValueError(f"{name}: expected {least} or more, got {value}")
    processes = workers if workers >= 0 else max((os.cpu_count() or 1) - 1, 0)
    with Progress("packing", silent=output.is_quiet()) as progress:
        packed = pack_pictures(data, out, size=(height, width), workers=processes, progress=progress)
    for name, reason in packed.skipped:
        output.say(f"left out: {name}: {reason}")
    output.say(f"{out}: {len(packed)} pictures of {height} x {width}, {len(packed.skipped)} left out")
    return 0
