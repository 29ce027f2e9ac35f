"""What a slot and an order leave open: which of several kernels comes first.

Brian compares names then, and where one kernel sees what the other does, that is a rule on which results depend. Where it does not, only the last bits of sums
would depend on names, and automatic ones tell how many objects a process has made before.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heapify, heappop, heappush

from .dataflow import reads, writes
from .functions import calls_python
from .ir import Deliver, Extern, Kernel, Map, expressions

PYTHON = "calls of Python functions, which may see each other"


def in_order_of_creation(kernels: Sequence[tuple[int, Kernel]]) -> list[Kernel]:
    """`Kernels -> Kernels`: sorted by the number that each has, but for those that see each other, which stay as they are."""
    after: list[list[int]] = [[] for _ in kernels]
    waits = [0] * len(kernels)
    writer: dict[str, int] = {}  # of each array, and of the arrivals that each Deliver tells of
    readers: dict[str, list[int]] = {}
    for place, (_, kernel) in enumerate(kernels):
        read = reads(kernel) | ({_arrivals(name) for name in kernel.after} if isinstance(kernel, Map) else set())
        written = writes(kernel) | ({_arrivals(kernel.name)} if isinstance(kernel, Deliver) else set()) | ({PYTHON} if _calls_python(kernel) else set())
        seen = {writer[array] for array in read | written if array in writer} | {one for array in written for one in readers.get(array, ())}
        for one in seen:
            after[one].append(place)
        waits[place] = len(seen)
        for array in written:
            writer[array], readers[array] = place, []
        for array in read - written:
            readers.setdefault(array, []).append(place)
    ready = [(number, place) for place, (number, _) in enumerate(kernels) if not waits[place]]
    heapify(ready)
    found: list[Kernel] = []
    while ready:
        _, place = heappop(ready)
        found.append(kernels[place][1])
        for other in after[place]:
            waits[other] -= 1
            if not waits[other]:
                heappush(ready, (kernels[other][0], other))
    return found


def _arrivals(name: str) -> str:
    """Whether anything arrived, as if it were an array."""
    return f"{name}:arrivals"


def _calls_python(kernel: Kernel) -> bool:
    lines = kernel.body if isinstance(kernel, Map | Deliver) else ()
    return isinstance(kernel, Extern) or any(calls_python(expr) for line in lines for expr in expressions(line))
