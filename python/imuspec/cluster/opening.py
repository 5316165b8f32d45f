"""Engines by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imuspec.cluster.engine import Engine
from imuspec.cluster.limits import Limits
from imuspec.cluster.local import LocalEngine
from imuspec.errors import unknown_name

if TYPE_CHECKING:
    from imuspec.cluster.dask_engine import Protection

__all__ = ["ENGINES", "open_engine"]

ENGINES = ("local", "dask")


def open_engine(
    name: str = "local",
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    cluster: str | None = None,
    limits: Limits | None = None,
    protection: Protection = "tls",
) -> Engine:
    """Return an engine by name.

    Parameters
    ----------
    name : str, default "local"
        "local": processes of this machine. "dask": a Dask cluster.
    workers : int, optional
        Number of processes on this machine. The default is the number of cores.
    scheduler : str, optional
        With dask: address of a running scheduler, as ``tcp://10.0.0.1:8786``, or path of its file.
    cluster : str, optional
        With dask: ``slurm:FILE.toml``, a cluster that dask-jobqueue starts. Without `scheduler` and `cluster` Dask starts
        processes on this machine.
    limits : Limits, optional
        Limits on one item.
    protection : {"tls", "none"}, default "tls"
        With dask: whether a cluster that is started takes only connections with a certificate made for the run.

    Raises
    ------
    ValueError
        If there is no engine of this name, or an option belongs to another engine.
    ImportError
        If Dask is not installed.
    """
    if name not in ENGINES:
        raise ValueError(unknown_name("engine", name, ENGINES))
    if name == "local":
        if scheduler or cluster:
            raise ValueError("engine: expected dask with a scheduler or a cluster, got local")
        if protection != "tls":
            raise ValueError(f"protection: expected the engine dask for {protection}, got local")
        return LocalEngine(workers, limits=limits)
    from imuspec.cluster.dask_engine import DaskEngine

    return DaskEngine(workers, scheduler=scheduler, cluster=cluster, limits=limits, protection=protection)
