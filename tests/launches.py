"""Count the operators that a piece of work gives to its device: on a GPU each launches one or more kernels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

# Operators that neither compute nor copy. Views are recognised by their schema.
_NO_LAUNCH = {
    "empty",
    "empty_like",
    "empty_strided",
    "new_empty",
    "new_empty_strided",
    "_unsafe_view",
    "lift_fresh",
    "detach_",
}
# Operators whose result a program on the CPU waits for.
WAITING = {"_local_scalar_dense", "nonzero", "masked_select", "equal", "is_nonzero", "unique_dim", "_unique2"}


class Launches(TorchDispatchMode):
    """A mode that counts operators: ``counts`` of those that launch, ``from_host`` of tensors made from Python numbers.

    The dispatcher sees the operators that a GPU would get, in the backward pass too. The profiler of a CPU also counts what
    the CPU's own kernels call.
    """

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()
        self.from_host = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        name = func.overloadpacket.__name__
        alias = [value.alias_info for value in func._schema.returns]
        view = any(info is not None and not info.is_write for info in alias)
        self.from_host += name == "lift_fresh"
        masks = name in ("index", "index_put", "index_put_") and any(
            index is not None and index.dtype in (torch.bool, torch.uint8) for index in args[1]
        )
        if masks:
            self.counts["nonzero"] += 1
        if not view and name not in _NO_LAUNCH:
            self.counts[name] += 1
        return func(*args, **(kwargs or {}))


def launches(work: Callable[[], object]) -> Launches:
    """Return the operators of `work`, after one call that fills caches."""
    work()
    with Launches() as mode:
        work()
    return mode
