"""Parts of a program side by side, each in a thread of its own.

NumPy lets go of the interpreter while it computes, so two threads do elementwise functions on two halves of the examples at once;
NumPy by itself uses threads in matrix products only. While parts run, a matrix product takes one thread: the others are busy.

Nothing here needs tinyad: programs that are saved carry this text with them.
"""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import copy_context
from functools import cache
from typing import Any

__all__ = ["in_threads", "number_of_threads", "one_thread_a_product"]

_lock = threading.Lock()
_running = 0  # calls of `in_threads`
_before: list[tuple[Any, int]] = []  # the libraries, and how many threads each had before the first of these calls


@cache
def _blas() -> list[Any]:
    """The libraries of matrix products in this process; none without threadpoolctl."""
    try:
        from threadpoolctl import ThreadpoolController
    except ModuleNotFoundError:
        return []
    return list(ThreadpoolController().select(user_api="blas").lib_controllers)


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(thread_name_prefix="tinyad")


os.register_at_fork(after_in_child=_pool.cache_clear) if hasattr(os, "register_at_fork") else None  # threads do not survive it


def number_of_threads() -> int:
    """As many as NumPy's matrix products take; 1 if nobody knows."""
    return max([library.num_threads for library in _blas()], default=1)


def in_threads(parts: Sequence[Callable[..., Any]], *args: Any) -> None:
    """Call ``part(k, *args)`` for each k-th part at once, the first in this thread, and wait for all."""
    with one_thread_a_product():
        others = [_pool().submit(copy_context().run, part, k, *args) for k, part in enumerate(parts) if k]
        try:
            parts[0](0, *args)
            wait(others)
        finally:
            wait(others)  # after an interrupt, too: their memory must not be used again before they are through
    for other in others:
        other.result()


@contextmanager
def one_thread_a_product() -> Iterator[None]:
    """A context, or a decorator, in which NumPy's matrix products take one thread each."""
    global _running
    with _lock:
        if not _running:
            _before[:] = [(library, library.num_threads) for library in _blas()]
            for library, _ in _before:
                library.set_num_threads(1)
        _running += 1
    try:
        yield
    finally:
        with _lock:
            _running -= 1
            if not _running:
                for library, count in _before:
                    library.set_num_threads(count)
