"""Python threads for what releases the interpreter's lock: as many as torch uses, the calling one among them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import torch

_pools: dict[int, ThreadPoolExecutor] = {}
_lock = threading.Lock()


def _pool(threads: int) -> ThreadPoolExecutor:
    with _lock:
        if threads not in _pools:
            _pools[threads] = ThreadPoolExecutor(threads, thread_name_prefix="brianlike")
        return _pools[threads]


def forget_pools() -> None:
    """After a fork, the threads of the parent are gone."""
    global _lock
    _lock = threading.Lock()
    _pools.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget_pools)


def thread_count(most: int) -> int:
    """How many threads share a number of pieces."""
    return max(1, min(torch.get_num_threads(), most))


def together(work: Callable[[int], Any], threads: int, stop: np.ndarray) -> list[Any]:
    """`work(n)` for every thread n, all at once. Whatever one of them raises (an interrupt too), `stop[0]` becomes 1, all come to an end, and it is raised."""
    others: Sequence[Future[Any]] = [_pool(threads - 1).submit(work, n) for n in range(1, threads)] if threads > 1 else []
    failure: BaseException | None = None
    results: list[Any] = []
    try:
        results.append(work(0))
    except BaseException as error:
        failure, stop[0] = error, 1
    for future in others:
        while True:
            try:
                results.append(future.result())
                break
            except BaseException as error:  # an interrupt while we wait: the thread still has the memory
                failure, stop[0] = failure or error, 1
                if future.done():
                    break
    if failure is not None:
        try:
            raise failure
        finally:
            del failure  # or this frame and its error would hold each other, and the memory of the run
    return results
