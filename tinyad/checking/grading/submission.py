"""A submission as the grader sees it: functions of arrays, which a worker computes somewhere else.

`Submission.ask` puts one question to the worker and waits for the answer, but not longer than the limits allow.
Everything that comes back is made anew from bytes by `frames`; texts are cut and cleaned. However the worker
ends, the next question starts another one.
"""

from __future__ import annotations

import functools
import os
import select
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from . import frames
from .jail import Cell, Jail, Limits, choose, lock_up

__all__ = ["FOREIGN", "STATUSES", "Ended", "Failed", "Handle", "Submission"]

FOREIGN = (
    "torch", "jax", "jaxlib", "autograd", "tensorflow", "keras", "tinyad", "mygrad", "tinygrad", "micrograd", "theano",
    "pytensor", "aesara", "chainer", "paddle", "mxnet", "casadi", "sympy", "numdifftools", "algopy", "autodiff",
)  # fmt: skip
"""Packages that compute derivatives by themselves."""

STATUSES = {
    "raised": "raised an error",
    "contract": "did not keep to the interface",
    "missing": "missing file or name",
    "import error": "cannot be imported",
    "memory": "asked for too much memory",
    "timed out": "timed out",
    "killed": "ended the process",
    "no frame": "sent what is no answer",
}
"""How a call can go wrong, and how that is said."""

RAISED = ("raised", "memory", "import error")  # those whose text begins with the name of an exception
TEXT = 4000
SAID = 100  # remarks kept


class Failed(Exception):
    """A call that gave no value, of a worker that goes on. ``status`` is one of `STATUSES`, ``text`` the report."""

    def __init__(self, status: str, text: str) -> None:
        super().__init__(text)
        self.status = status

    @property
    def text(self) -> str:
        """The report, with the name of what was raised."""
        name = type(self).__name__
        return str(self) if name == "Failed" else f"{name}: {self}"


def failed(status: str, text: str) -> Failed:
    """A `Failed` that has the name of what the student's code raised, so that reports say ``backward raised ValueError: ...``."""
    name, colon, message = text.partition(": ")
    if colon and name.isidentifier() and status in RAISED:
        return _named(name)(status, message)
    return Failed(status, text)


@functools.lru_cache(maxsize=100)
def _named(name: str) -> type[Failed]:
    return type(name, (Failed,), {})


class Ended(BaseException):
    """A call after which there is no worker. As a BaseException it passes by those who catch errors of a rule.

    A check that goes on asking after a call that timed out would wait again, and again.
    """

    def __init__(self, status: str, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


@dataclass(eq=False)
class Handle:
    """The number of a cache, or of an object of an engine, that a worker keeps. The grader never sees what is in it."""

    number: int
    worker: int
    forgotten: list[tuple[int, int]] = field(repr=False)

    def __del__(self) -> None:
        self.forgotten.append((self.worker, self.number))


@dataclass
class Submission:
    """One student's files, with a worker that runs them.

    Use it in a ``with`` statement, or call `close`: a worker is a process.

    Attributes:
        folder: with the student's files; the worker gets a copy.
        limits: of a call and of the worker.
        jail: how workers are locked up; by default the best that works here.
        seed: of the random numbers the student's code draws.
        covered: files that the student's code shall not read.
        deadline: on `time.monotonic`, after which every question is answered by `Ended`.
        advice: remarks of the worker. They are worth no more than the worker.
        imported: packages of `FOREIGN` that were imported.
        differences: what speaks for finite differences of forward in backward; empty if nothing does.
        failures: the statuses of the calls that gave no value.
        log: the first bytes of what was printed.
    """

    folder: Path
    limits: Limits = field(default_factory=Limits)
    jail: Jail = field(default_factory=choose)
    seed: int = 0
    covered: Sequence[Path] = ()
    deadline: float = float("inf")
    foreign: Sequence[str] = FOREIGN
    advice: dict[str, None] = field(default_factory=dict)
    imported: dict[str, None] = field(default_factory=dict)
    differences: str = ""
    failures: list[str] = field(default_factory=list)
    log: bytearray = field(default_factory=bytearray)
    _cell: Cell | None = None
    _workers: int = 0
    _asked: int = 0
    _forgotten: list[tuple[int, int]] = field(default_factory=list)

    def __enter__(self) -> Submission:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the worker."""
        if self._cell is not None:
            self._cell.end()
            self._cell = None

    # -- the student's functions

    def rule(
        self, file: str, forward: str, backward: str, kwargs: Mapping[str, Any] | None = None, dout_first: bool = False
    ) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """Two of the student's functions as ``forward(*inputs) -> (y, cache)`` and ``backward(cache, gy)``.

        Args:
            kwargs: of every call of forward.
            dout_first: whether the student's backward is ``backward(gy, cache)``.
        """

        def forward_there(*inputs: Any) -> tuple[Any, Handle]:
            value = self.ask("forward", file=file, name=forward, inputs=inputs, kwargs=dict(kwargs or {}))
            match value:
                case (y, int(number)):
                    return y, self.kept(number)
            raise self._end("no frame", "it answered with something else than an output and a number.")

        def backward_there(cache: Handle, gy: Any) -> Any:
            number = self.number(cache)
            return self.ask("backward", file=file, name=backward, cache=number, gy=gy, dout_first=dout_first)

        return forward_there, backward_there

    def load(self, file: str, *names: str) -> None:
        """Import one of the files, and see that it has these functions.

        Raises:
            Failed, Ended: if not.
        """
        self.ask("load", file=file, names=names)

    def call(self, file: str, name: str, *args: Any, **kwargs: Any) -> Any:
        """What one of the student's functions returns."""
        return self.ask("call", file=file, name=name, args=args, kwargs=kwargs)

    def kept(self, number: int) -> Handle:
        """The handle of something that the worker keeps until the handle is gone."""
        return Handle(number, self._workers, self._forgotten)

    def number(self, handle: Handle) -> int:
        """Raises Failed if what it stands for went with another worker."""
        if handle.worker != self._workers or self._cell is None:
            raise Failed("killed", "what was kept is lost with the process that kept it.")
        return handle.number

    # -- questions and answers

    def ask(self, do: str, **what: Any) -> Any:
        """The worker's answer.

        Raises:
            Failed: if there is no value, but the worker can be asked again.
            Ended: if the worker ended, was ended, or could not be understood.
        """
        if time.monotonic() > self.deadline:
            raise Ended("timed out", "the time for the whole submission is used up.")
        cell = self._cell or self._start()
        self._asked += 1
        forget = [number for worker, number in self._forgotten if worker == self._workers]
        self._forgotten.clear()
        question = frames.encode({"id": self._asked, "do": do, "with": what, "forget": forget}, 1 << 40)
        until = min(time.monotonic() + self.limits.wall, self.deadline)
        answer = self._exchange(cell, question, until)
        if answer["status"] == "ok":
            self._remark(self.advice, answer.get("advice"))
            return answer.get("value")
        status = str(answer["status"]).replace("_", " ")
        if status not in STATUSES:
            raise self._end("no frame", f"it answered with the status {cleaned(status)[:40]!r}.")
        self.failures.append(status)
        raise failed(status, cleaned(answer.get("text")))

    def _start(self) -> Cell:
        """A new worker, once it has said that it is there.

        Raises:
            RuntimeError: if it does not; the student's code is not running yet.
        """
        self._cell = lock_up(self.folder, self.jail, self.limits, self.covered, seed=self.seed, foreign=list(self.foreign))
        self._workers += 1
        asked, self._asked = self._asked, 0
        try:
            self._exchange(self._cell, b"", time.monotonic() + self.limits.start)
        except Ended as ended:
            raise RuntimeError(f"the worker did not start: {ended.text}\n{self.printed()}") from None
        self._asked = asked
        return self._cell

    def _exchange(self, cell: Cell, question: bytes, until: float) -> dict[str, Any]:
        """Send a question, and wait for its answer; remarks on the way are noted."""
        line = Line(cell, until, self.log, self.limits.log)
        try:
            line.send(question)
            while True:
                answer = frames.read(line.receive, self.limits.reply)
                if type(answer) is not dict or type(answer.get("id")) is not int or "status" not in answer:
                    raise frames.FrameError("an answer without id and status.")
                if answer["status"] == "note":
                    self._noted(answer.get("note"))
                elif answer["id"] == self._asked:
                    return answer
                elif answer["id"] > self._asked:
                    raise frames.FrameError(f"an answer to question {answer['id']}, which was not asked.")
        except TimeoutError:
            seconds = f"{self.limits.wall:g} s" if time.monotonic() < self.deadline else "the time for the whole submission"
            raise self._end("timed out", f"no answer within {seconds}.") from None
        except (EOFError, OSError):
            raise self._end("killed", "") from None
        except frames.FrameError as error:
            raise self._end("no frame", f"what came is no answer: {cleaned(str(error))}") from None

    def _end(self, status: str, text: str) -> Ended:
        """The error to raise after the worker was ended."""
        assert self._cell is not None
        if status == "killed":
            try:
                self._cell.process.wait(timeout=1.0)
            except subprocess.TimeoutExpired:
                text = "it closed its line to the grader."
        Line(self._cell, 0.0, self.log, self.limits.log).drain()
        how = self._cell.end()
        self._cell = None
        return Ended(status, text or f"{how}.")

    def _noted(self, note: Any) -> None:
        match note:
            case ("import", str(package)) if package in self.foreign:
                self._remark(self.imported, [package])
            case ("forward_called", int(count)):
                self.differences = self.differences or f"backward calls forward at {count} points near by"
            case ("event", str(event)):
                self._remark(self.advice, [f"the code used {event}"])

    def _remark(self, where: dict[str, None], said: Any) -> None:
        if type(said) is list and len(where) < SAID:
            where.update((cleaned(each)[:300], None) for each in said[:SAID] if type(each) is str)

    def printed(self) -> str:
        """What the student's code printed, as far as it was kept."""
        return cleaned(self.log.decode("utf-8", "replace"), self.limits.log)


class Line:
    """A worker's socket until a moment. What the worker prints is read meanwhile, so that it never waits for a reader."""

    def __init__(self, cell: Cell, until: float, log: bytearray, most: int) -> None:
        self.cell, self.until, self.log, self.most = cell, until, log, most
        self.cell.channel.setblocking(False)
        self.prints = True

    def send(self, data: bytes) -> None:
        """Raises TimeoutError, or OSError if nobody is there."""
        view = memoryview(data)
        while view:
            self._wait(writing=True)
            view = view[self.cell.channel.send(view[: 1 << 20]) :]

    def receive(self, count: int) -> bytes:
        """So many bytes. Raises TimeoutError, or EOFError if no more will come."""
        data = bytearray()
        while len(data) < count:
            self._wait(writing=False)
            part = self.cell.channel.recv(min(count - len(data), 1 << 20))
            if not part:
                raise EOFError
            data += part
        return bytes(data)

    def _wait(self, writing: bool) -> None:
        """Until the socket can be used."""
        channel = self.cell.channel
        while True:
            left = self.until - time.monotonic()
            if left <= 0:
                raise TimeoutError
            printing = [self.cell.output] if self.prints else []
            waiting = [channel.fileno()]
            readable, writable, _ = select.select(printing + waiting * (not writing), waiting * writing, [], left)
            if self.cell.output in readable:
                self.drain()
            if writable or waiting[0] in readable:
                return

    def drain(self) -> None:
        """Read what was printed, at most a pipe's fill of it; keep the beginning."""
        try:
            printed = os.read(self.cell.output, 1 << 16)
        except BlockingIOError:
            return
        self.prints = bool(printed)
        self.log += printed[: max(self.most - len(self.log), 0)]


def cleaned(text: Any, most: int = TEXT) -> str:
    """Text that came from a worker, cut, without what a terminal or a page would take for commands."""
    if not isinstance(text, str):
        return ""
    return "".join(letter if letter in "\n\t" or letter.isprintable() else "?" for letter in text[:most])
