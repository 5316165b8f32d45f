"""Hosts of their own addresses on this machine: network namespaces on one bridge."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def hosts(n: int) -> Iterator[list[str]]:
    """Make `n` namespaces; the first has the bridge. Host i has the address of `address(i)`.

    Skips the test, with the reason, where namespaces cannot be made.
    """
    names = [f"imuspec{os.getpid() % 10000}x{number}" for number in range(n)]
    made: list[str] = []
    try:
        for name in names:
            _ip("netns", "add", name)
            made.append(name)
        first = names[0]
        _ip("-n", first, "link", "add", "hub", "type", "bridge")
        for number, name in enumerate(names):
            _ip("-n", name, "link", "set", "lo", "up")
            if number:
                _ip("-n", first, "link", "add", f"to{number}", "type", "veth", "peer", "name", "out", "netns", name)
                _ip("-n", first, "link", "set", f"to{number}", "master", "hub", "up")
            device = "out" if number else "hub"
            _ip("-n", name, "addr", "add", f"{address(number)}/24", "dev", device)
            _ip("-n", name, "link", "set", device, "up")
    except (OSError, subprocess.CalledProcessError) as error:
        _remove(made)
        message = getattr(error, "stderr", None) or str(error)
        pytest.skip(f"network namespaces cannot be made here: {message.strip()}")
    try:
        yield names
    finally:
        _remove(made)


def address(number: int) -> str:
    """The address of a host."""
    return f"10.77.13.{number + 1}"


def on(host: str) -> tuple[str, ...]:
    """What to put before a command to have it run on a host."""
    return ("ip", "netns", "exec", host)


def plug(hub: str, number: int, state: str) -> None:
    """Take the cable of a host out (down), or put it in again (up)."""
    _ip("-n", hub, "link", "set", f"to{number}", state)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


def _remove(names: list[str]) -> None:
    for name in names:
        subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)
