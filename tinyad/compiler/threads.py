"""Parts of a program side by side, each in a thread of its own.

NumPy lets go of the interpreter while it computes, so two threads do elementwise functions on two halves of the examples at once;
NumPy by itself uses threads in matrix products only. While parts run, a matrix product takes one thread: the others are busy.

Nothing here needs tinyad: programs that are saved carry this text with them.
"""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import copy_context
from functools import cache
from typing import Any

__all__ = ["in_threads", "number_of_threads", "one_thread_a_product"]

_lock = threading.Lock()
_running = 0  # contexts of `one_thread_a_product` that are open: calls of `in_threads`, and of functions that it decorates
_before: list[tuple[Any, int]] = []  # while any is open: the libraries, and how many threads each had before the first of them


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


def number_of_threads() -> int:
    """As many as NumPy's matrix products take; 1 if nobody knows."""
    return max([library.num_threads for library in _blas()], default=1)


def in_threads(parts: Sequence[Callable[..., Any]], *args: Any) -> None:
    """Call ``part(k, *args)`` for each k-th part at once, the first in this thread, and wait for all."""
    others: list[Future[Any]] = []
    with one_thread_a_product():
        try:
            for k, part in enumerate(parts[1:], start=1):
                others.append(_begun(part, k, *args))
            parts[0](0, *args)
            wait(others)
        finally:
            wait(others)  # after an interrupt, too: their memory must not be used again before they are through
    for other in others:
        other.result()


def _begun(part: Callable[..., Any], *args: Any) -> Future[Any]:
    """A call on its way in another thread; done in this one where the interpreter shuts down and begins nothing more."""
    try:
        return _pool().submit(copy_context().run, part, *args)
    except RuntimeError as error:
        if "cannot schedule" not in str(error):  # otherwise the pool may have it: it must not be made twice
            raise
    done: Future[Any] = Future()
    done.set_result(part(*args))
    return done


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
            _running = max(_running - 1, 0)  # it is 0 in a child process that was forked inside of this context
            if not _running:
                _give_back()


def _give_back() -> None:
    """Let matrix products take the threads that they had before."""
    while _before:
        library, count = _before.pop()
        library.set_num_threads(count)


def _begin_anew() -> None:
    """In a child process, which has one thread: the others will neither close their contexts there nor open the lock."""
    global _lock, _running
    _lock, _running = threading.Lock(), 0
    _pool.cache_clear()
    _give_back()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_begin_anew)
