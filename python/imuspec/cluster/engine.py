"""The base class of the engines: every item is tried once, and once more if its process died."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Sequence, Sized
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Protocol, Self

from imuspec.cluster.pool import Ended

__all__ = ["Crew", "Engine"]


class Crew(Protocol):
    """The processes of one `Engine.map`."""

    @property
    def busy(self) -> Sized:
        """The items in progress."""

    @property
    def room(self) -> bool:
        """Whether another item can start."""

    def begin(self, item: Any, *, last_try: bool = False) -> None:
        """Start the work on an item."""

    def finished(self, timeout: float) -> Iterator[Ended]:
        """Yield the items that ended, after waiting at most `timeout` s."""


class Engine(ABC):
    """Gives items to processes. Use it inside ``with``, which ends its processes.

    If a process dies (killed, or out of memory), its item is tried once more, alone, after all others. If that process
    dies too, the item fails. An item that exceeds a limit fails at once.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    @abstractmethod
    def crew(self, work: Callable[[Any], Any], n_items: int) -> AbstractContextManager[Crew]:
        """Return processes for `work` on so many items."""

    def map(
        self, work: Callable[[Any], Any], items: Sequence[Any], stop: threading.Event | None = None
    ) -> Iterator[tuple[Any, Any, str]]:
        """Yield (item, result, "") for each item that succeeds, (item, None, reason) for each that fails.

        Parameters
        ----------
        work : callable
            A module-level function of one item. The function and the items are pickled.
        items : sequence of object
            The items. Results come in the order in which they finish.
        stop : threading.Event, optional
            Once set, no further item starts; those in progress are finished.

        Raises
        ------
        OSError
            If `work` raises it, as on a full disk: every other item would raise it too.
        """
        stop = stop or threading.Event()
        waiting, retries = deque(items), deque[Any]()
        with self.crew(work, len(items)) as crew:
            while not stop.is_set() or crew.busy:
                if not stop.is_set():
                    while waiting and crew.room:
                        crew.begin(waiting.popleft())
                    if retries and not waiting and not crew.busy:
                        crew.begin(retries.popleft(), last_try=True)
                if not crew.busy:
                    break
                for ended in crew.finished(timeout=0.2):
                    if ended.blameless:
                        waiting.append(ended.item)
                    elif ended.died and (not ended.last_try or stop.is_set()):
                        retries.append(ended.item)  # after a stop, the signal may have killed it
                    else:
                        yield ended.item, ended.result, ended.reason
