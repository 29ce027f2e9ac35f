"""About how long kernels take, so that threads share what is worth it. Nothing but time depends on this."""

from __future__ import annotations

from .expr import Binary, Call, Element, children, walk
from .ir import Deliver, Draw, Map, expressions

ACCESS, ARITHMETIC, DIVISION, FUNCTION = 0.03, 0.015, 0.2, 0.7
"""Nanoseconds for 8 bytes in the cache of a core, and for one lane of a vector of 8 doubles (measured, Zen 5)."""
DRAWS = {"uniform": 1.0, "normal": 3.0, "bernoulli": 0.1}
OTHER_DRAW = 5.0


def nanoseconds(kernel: Map | Deliver) -> float:
    """About how long one element takes."""
    total = ACCESS * (len(kernel.loads) + len(kernel.stores))
    for line in kernel.body:
        total += DRAWS.get(line.law, OTHER_DRAW) if isinstance(line, Draw) else ARITHMETIC
        for expr in expressions(line):
            for node in walk(expr):
                match node:
                    case Call() | Element() | Binary("**"):
                        total += FUNCTION
                    case Binary("/" | "//" | "%"):
                        total += DIVISION
                    case _ if children(node):
                        total += ARITHMETIC
    return total
