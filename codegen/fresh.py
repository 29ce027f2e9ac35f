"""Names that nothing else in a Step has."""

from __future__ import annotations

from .ir import Line

Update = tuple[list[Line], dict[str, str]]
"""The lines of one step of time, and the name of each variable's new value."""


class Fresh:
    """Names that nothing else in a Step has: `v_1`, `v_2`, ..."""

    def __init__(self, taken: set[str] | frozenset[str] = frozenset()) -> None:
        self._taken, self._count = set(taken), dict[str, int]()

    def __call__(self, stem: str) -> str:
        while True:
            number = self._count[stem] = self._count.get(stem, 0) + 1
            name = f"{stem}_{number}"
            if name not in self._taken:
                self._taken.add(name)
                return name
