"""What every engine does, whatever its processes are: each item once, and once more when its process died."""

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
        """What is under way."""

    @property
    def room(self) -> bool:
        """Whether another item may begin."""

    def begin(self, item: Any, *, last_try: bool = False) -> None:
        """Have an item worked on."""

    def finished(self, timeout: float) -> Iterator[Ended]:
        """Yield what ended, waiting at most `timeout` s."""


class Engine(ABC):
    """Gives items to processes. Use it inside ``with``, which ends what it started.

    A process that dies (killed, or out of memory) takes its item with it; that item is tried once more, alone, when all
    others are done; a second death is its outcome. So is going beyond a limit, at once.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    @abstractmethod
    def crew(self, work: Callable[[Any], Any]) -> AbstractContextManager[Crew]:
        """Return the processes that do `work`."""

    def map(
        self, work: Callable[[Any], Any], items: Sequence[Any], stop: threading.Event | None = None
    ) -> Iterator[tuple[Any, Any, str]]:
        """Yield (item, result, "") as each is done, or (item, None, why) when there is no result.

        Parameters
        ----------
        work : callable
            A function of a module, of one item; it and the items are pickled.
        items : sequence of object
            What to work on; results come in the order in which they are done.
        stop : threading.Event, optional
            Once set, no item is begun; those under way are finished.

        Raises
        ------
        OSError
            Of the work: it would come with every item, as a full disk does, and ends the map.
        """
        stop = stop or threading.Event()
        waiting, again = deque(items), deque[Any]()
        with self.crew(work) as crew:
            while not stop.is_set() or crew.busy:
                if not stop.is_set():
                    while waiting and crew.room:
                        crew.begin(waiting.popleft())
                    if again and not waiting and not crew.busy:
                        crew.begin(again.popleft(), last_try=True)
                if not crew.busy:
                    break
                for ended in crew.finished(timeout=0.2):
                    if ended.blameless:
                        waiting.append(ended.item)
                    elif ended.died and (not ended.last_try or stop.is_set()):
                        again.append(ended.item)  # a stop may have killed it: it is not the item's fault
                    else:
                        yield ended.item, ended.result, ended.why
