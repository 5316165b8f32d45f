"""Engines by name."""

from __future__ import annotations

from imuspec.cluster.engine import Engine
from imuspec.cluster.limits import Limits
from imuspec.cluster.local import LocalEngine
from imuspec.errors import unknown_name

__all__ = ["ENGINES", "open_engine"]

ENGINES = ("local", "dask")


def open_engine(
    name: str = "local",
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    cluster: str | None = None,
    limits: Limits | None = None,
) -> Engine:
    """Return an engine by name.

    Parameters
    ----------
    name : str, default "local"
        ``local``: processes of this machine. ``dask``: a Dask cluster.
    workers : int, optional
        Processes; None takes one for each core. With a cluster that exists: as many as it has.
    scheduler : str, optional
        With dask: the address of a scheduler that runs, as ``tcp://10.0.0.1:8786``, or the path of its file.
    cluster : str, optional
        With dask: ``slurm:FILE.toml``, jobs that dask-jobqueue submits. Neither: processes of this machine.
    limits : Limits, optional
        What one item may use.

    Raises
    ------
    ValueError
        Another name, or options that belong to another engine.
    RuntimeError
        Dask is not installed.
    """
    if name not in ENGINES:
        raise ValueError(unknown_name("engine", name, ENGINES))
    if name == "local":
        if scheduler or cluster:
            raise ValueError("engine: expected dask with a scheduler or a cluster, got local")
        return LocalEngine(workers, limits=limits)
    from imuspec.cluster.dask_engine import DaskEngine

    return DaskEngine(workers, scheduler=scheduler, cluster=cluster, limits=limits)
