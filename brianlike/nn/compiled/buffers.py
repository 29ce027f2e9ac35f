"""Large pieces of memory that runs use again: the pages of fresh memory cost about as much time as the numbers that are put into them.

A piece is lent as an array of numpy, and comes back when the last view of it (a tensor that autograd saved, say) is gone. What waits here is bounded, and goes
back to the system when nobody has wanted it for some seconds.
"""

from __future__ import annotations

import mmap
import os
import platform
import sys
import threading
import time
import weakref
from collections import deque

import numpy as np

LEAST = 128 * 1024  # bytes; smaller arrays are the allocator's business
LARGE = 4 * 2**20  # bytes, from which on large pages are asked for
PATIENCE = 10.0  # seconds
PRIVATE = getattr(mmap, "MAP_PRIVATE", 0) | getattr(mmap, "MAP_ANONYMOUS", 0)  # none where there are no such mappings
_LINUX = 0x4000 if sys.platform == "linux" and platform.machine() in ("x86_64", "aarch64") else 0  # for versions of Python that do not name it
UNCOUNTED = getattr(mmap, "MAP_NORESERVE", _LINUX)
"""For room of which little is touched: it may be larger than the memory that is there."""


def _share_of_memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 8
    except (AttributeError, ValueError, OSError):
        return 2**30


def _rounded(count: int) -> int:
    """The size of the piece for so many bytes: one of eight in each power of two, so that runs of nearly equal length share pieces."""
    step = max(LEAST // 8, 1 << max(0, count.bit_length() - 4))
    return -(-count // step) * step


class Buffers:
    """Pieces of memory that are lent, and those that wait.

    Parameters
    ----------
    most : bytes that wait at most.
    patience : seconds that a piece waits.
    """

    def __init__(self, most: int, patience: float) -> None:
        self.most, self.patience = most, patience
        self._returned: deque[tuple[object, tuple[int, bool]]] = deque()  # arrays end anywhere, also while their thread holds the lock
        self.forget()

    def forget(self) -> None:
        """Begin anew, as after a fork: a thread of the parent may have held the lock."""
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._lent = 0
        self._waiting: list[tuple[float, object, tuple[int, bool]]] = []  # the longest waiting first
        self._returned.clear()

    @property
    def waiting(self) -> int:
        """Bytes that wait."""
        with self._lock:
            self._collect()
            return sum(kind[0] for _, _, kind in self._waiting)

    def release(self) -> None:
        """Give everything that waits back to the system."""
        with self._lock:
            self._collect()
            self._waiting.clear()

    def take(self, count: int, sparse: bool = False) -> np.ndarray:
        """An array of so many bytes, of any values. `sparse`: few of them will be touched, so they are not to come in large pages."""
        if count < LEAST or not PRIVATE:
            return np.empty(count, np.uint8)
        kind = _rounded(count), sparse
        block = self._pop(kind)
        if block is None:
            block = mmap.mmap(-1, kind[0], flags=PRIVATE | (UNCOUNTED if sparse else 0))
            if kind[0] >= LARGE and not sparse and hasattr(mmap, "MADV_HUGEPAGE"):
                try:
                    block.madvise(mmap.MADV_HUGEPAGE)
                except OSError:  # a kernel without them
                    pass
        lent = np.frombuffer(block, np.uint8)
        weakref.finalize(lent, self._returned.append, (block, kind)).atexit = False
        return lent[:count]

    def _pop(self, kind: tuple[int, bool]) -> mmap.mmap | None:
        with self._lock:
            self._collect()
            self._lent += 1
            if self._timer is None:
                self._wake_later()
            for n in range(len(self._waiting) - 1, -1, -1):  # what came last may still be in the cache
                if self._waiting[n][2] == kind:
                    found = self._waiting.pop(n)[1]
                    assert isinstance(found, mmap.mmap)
                    return found
        return None

    def _collect(self) -> None:
        """Take what has come back; what is too much, or has waited for too long, goes."""
        now = time.monotonic()
        while self._returned:
            self._waiting.append((now, *self._returned.popleft()))
            self._lent -= 1
        total = sum(kind[0] for _, _, kind in self._waiting)
        while self._waiting and (total > self.most or now - self._waiting[0][0] > self.patience):
            total -= self._waiting.pop(0)[2][0]

    def _wake_later(self) -> None:
        self._timer = threading.Timer(self.patience, self._wake)
        self._timer.daemon = True
        self._timer.start()

    def _wake(self) -> None:
        with self._lock:
            self._collect()
            self._timer = None
            if self._waiting or self._lent > 0:
                self._wake_later()


buffers = Buffers(_share_of_memory(), PATIENCE)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=buffers.forget)
