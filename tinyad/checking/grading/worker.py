"""The worker: the process that runs a student's code, and does nothing else.

It is started as ``python -I -X faulthandler worker.py SETTINGS``, uses the standard library and NumPy only,
and does not import tinyad. It maps arrays to arrays: load a file, call a forward function, call a backward
function, build a small graph of the student's own class. It knows no references, tolerances, seeds of cases
or points: the grader, another process, holds those, and takes nothing from here but numbers and text.

What it reports beside numbers is advice, because the code that runs in it can change it: whether a function
wrote into its inputs, which libraries were imported, whether backward called forward. The reports on imports
and calls leave the process at once, when the event happens: they cannot be taken back later.

A request is a dict with ``id`` and ``do``; the answer is a dict with the same ``id`` and a ``status``:

====================  =================================================================
``ok``                with ``value``, and ``advice``: a list of sentences
``raised``            the student's code raised; ``text`` has the line and the shapes on it
``memory``            it asked for more memory than there is
``import_error``      the file cannot be imported
``missing``           there is no such file or name in the submission
``contract``          it returned what no answer can be made of
``note``              not an answer: ``note`` is (kind, what), and the answer is yet to come
====================  =================================================================
"""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import json
import linecache
import os
import random
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from types import CodeType, FrameType, ModuleType
from typing import Any

import numpy as np

TEXT = 4000  # characters of a report at most
OPERANDS = 8  # arrays named in it
KEPT = 512  # caches, the oldest of which goes when there are more
NEAR = 0.05  # times 1 + |x|: farther than any step of finite differences
OBJECTS = 100_000  # of the student's engine


class Refused(Exception):
    """An answer that is no value: its status and text."""

    def __init__(self, status: str, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


def main() -> None:
    """Apply the limits, say so, and answer requests until there are none."""
    settings = json.loads(sys.argv[1])
    limit_resources(settings["rlimits"])
    frames = load_module("_tinyad_frames", os.path.join(os.path.dirname(os.path.abspath(__file__)), "frames.py"))
    random.seed(settings["seed"])
    np.random.seed(settings["seed"] % 2**32)  # noqa: NPY002  (the one students use)
    become(settings["user"])
    channel = Channel(socket.socket(fileno=settings["channel"]), frames, settings["reply"])
    worker = Worker(channel, settings)
    channel.send({"id": 0, "status": "ok", "value": None, "advice": []})
    while True:
        try:
            request = channel.receive()
        except EOFError:
            return
        channel.answer(worker, request)


# ---- what the process may do


def limit_resources(limits: dict[str, int]) -> None:
    """Apply limits by the names of the module `resource`; those the system does not know are left."""
    try:
        import resource
    except ImportError:
        return
    for name, value in limits.items():
        try:
            which = getattr(resource, name)
            _, hard = resource.getrlimit(which)
            most = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(which, (most, most))
        except (AttributeError, ValueError, OSError):
            continue


def become(user: list[int] | None) -> None:
    """Give up the rights of root for those of a user, before anything of the student's runs."""
    if user is None:
        return
    os.setgroups([])
    os.setgid(user[1])
    os.setuid(user[0])


def load_module(name: str, path: str) -> ModuleType:
    """Import a file under a name."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


# ---- speaking with the grader


class Channel:
    """Frames over a socket that is neither stdin nor stdout, so that no print of the student's gets into it."""

    def __init__(self, connection: socket.socket, frames: ModuleType, limit: int) -> None:
        self.connection, self.frames, self.limit = connection, frames, limit
        self.sending = threading.RLock()
        # A child that the student's code forks goes on as this process would, and must not answer as well.
        os.register_at_fork(after_in_child=connection.close)

    def receive(self) -> dict[str, Any]:
        request: dict[str, Any] = self.frames.read(self._exactly, 1 << 40)
        return request

    def _exactly(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            part = self.connection.recv(min(count - len(data), 1 << 20))
            if not part:
                raise EOFError
            data += part
        return bytes(data)

    def send(self, answer: dict[str, Any]) -> None:
        frame = self.frames.encode(answer, self.limit)
        with self.sending:  # a thread of the student's may have something noted at the same time
            self.connection.sendall(frame)

    def answer(self, worker: Worker, request: dict[str, Any]) -> None:
        """Do what is asked, and say how it went."""
        answer: dict[str, Any] = {"id": request["id"]}
        worker.forget(request["forget"])
        try:
            value, advice = getattr(worker, f"do_{request['do']}")(**request["with"])
            self.send(answer | {"status": "ok", "value": value, "advice": advice})
        except Refused as refused:
            self.send(answer | {"status": refused.status, "text": refused.text[:TEXT]})
        except self.frames.FrameError as error:
            self.send(answer | {"status": "contract", "text": f"{worker.last} returned {error}"[:TEXT]})
        except MemoryError:
            self.send(answer | {"status": "memory", "text": f"MemoryError after {worker.last}"})
        except (OSError, EOFError):
            raise
        except BaseException as error:  # objects of the student's that raise when looked at
            self.send(answer | {"status": "contract", "text": f"{worker.last}: {report(error, worker.folder)}"[:TEXT]})


# ---- the student's code


class Worker:
    """The submission in this process: its modules, the caches it made, and the objects of its engine."""

    def __init__(self, channel: Channel, settings: dict[str, Any]) -> None:
        self.channel, self.folder = channel, settings["folder"]
        self.modules: dict[str, ModuleType] = {}
        self.caches: dict[int, tuple[Any, tuple[Any, ...]]] = {}  # with copies of the inputs they belong to
        self.objects: dict[int, Any] = {}
        self.drivers: dict[tuple[str, str], Any] = {}
        self.driver: Any = None  # the module, when it is needed
        self.driver_file = settings["driver"]
        self.made = 0
        self.last = "the student's function"
        self.forwards: set[CodeType] = set()
        os.chdir(self.folder)
        sys.path.insert(0, self.folder)
        report_imports(self.note, set(settings["foreign"]), set(settings["noticed"]))

    def note(self, kind: str, what: str | int) -> None:
        """Tell the grader something at once. In a child that was forked there is nobody to tell."""
        with contextlib.suppress(OSError):
            self.channel.send({"id": -1, "status": "note", "note": (kind, what)})

    # -- loading

    def do_load(self, file: str, names: tuple[str, ...]) -> tuple[Any, list[str]]:
        """Import a file of the submission, and see that it has these names."""
        module = self._module(file)
        for name in names:
            if not callable(getattr(module, name, None)):
                there = sorted(each for each, value in vars(module).items() if callable(value) and not each.startswith("_"))
                what = "is not callable" if hasattr(module, name) else "is not there"
                listed = f" It has {', '.join(there[:20])}." if there else ""
                raise Refused("missing", f"{file}: {name} {what}.{listed}")
        return None, []

    def _module(self, file: str) -> ModuleType:
        if file not in self.modules:
            path = os.path.join(self.folder, file)
            if not os.path.isfile(path):
                there = sorted(each for each in os.listdir(self.folder) if each.endswith(".py"))
                raise Refused(
                    "missing", f"there is no file {file}. The submission has {', '.join(there[:20]) or 'no .py file'}."
                )
            name = os.path.splitext(file)[0].replace(os.sep, ".").replace("/", ".")
            self.modules[file] = self._run(f"import of {file}", load_module, name, path, failed="import_error")
        return self.modules[file]

    def _function(self, file: str, name: str) -> Callable[..., Any]:
        function: Callable[..., Any] = getattr(self._module(file), name)
        return function

    def _run(
        self, what: str, f: Callable[..., Any], *args: Any, failed: str = "raised", passed: Any = (), **kwargs: Any
    ) -> Any:
        """Call the student's code. However it ends, this process goes on; exceptions ``passed`` are the caller's."""
        self.last = what
        try:
            return f(*args, **kwargs)
        except passed:
            raise
        except MemoryError as error:
            raise Refused("memory", report(error, self.folder)) from None
        except BaseException as error:  # SystemExit and KeyboardInterrupt as well: sys.exit(0) is no success
            raise Refused(failed, report(error, self.folder)) from None

    # -- rules

    def do_forward(self, file: str, name: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, list[str]]:
        """The output of a forward function, and the number under which its cache is kept here."""
        forward = self._function(file, name)
        if code := getattr(forward, "__code__", None):
            self.forwards.add(code)
        before = copies(inputs)
        returned = self._run(name, forward, *inputs, **kwargs)
        if not isinstance(returned, tuple) or len(returned) != 2:
            got = f"a tuple of {len(returned)}" if isinstance(returned, tuple) else describe(returned)
            raise Refused("contract", f"{name} returned {got}; expected two things: (output, cache).")
        y, cache = returned
        self.made += 1
        self.caches[self.made] = cache, before
        if len(self.caches) > KEPT:
            del self.caches[next(iter(self.caches))]
        advice = changes(name, before, inputs, [f"input {i}" for i in range(len(inputs))])
        advice += sharing(name, [("its output", y)], [(f"input {i}", x) for i, x in enumerate(inputs)])
        return (y, self.made), advice

    def do_backward(self, file: str, name: str, cache: int, gy: Any, dout_first: bool) -> tuple[Any, list[str]]:
        """The gradients by a backward function from a cache that is kept here."""
        backward = self._function(file, name)
        if cache not in self.caches:
            raise Refused("contract", f"cache {cache} is not kept any more.")
        before = copies(gy)
        kept, inputs = self.caches[cache]
        pair = (gy, kept) if dout_first else (kept, gy)
        with NearCalls(self.forwards, inputs) as near:
            grads = self._run(name, backward, *pair)
        if near.count:
            self.note("forward_called", near.count)
        advice = changes(name, (before,), (gy,), ["the upstream gradient"])
        listed = list(grads) if isinstance(grads, (tuple, list)) else [grads]
        named = [(f"gradient {i}", g) for i, g in enumerate(listed)]
        return grads, advice + sharing(name, named, [("the upstream gradient", gy)])

    def forget(self, caches: list[int]) -> None:
        """Drop caches and objects that the grader will not ask for again."""
        for number in caches:
            self.caches.pop(number, None)
            self.objects.pop(number, None)

    def do_call(self, file: str, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, list[str]]:
        """What a function returns."""
        return self._run(name, self._function(file, name), *args, **kwargs), []

    # -- engines: objects of the student's class by their numbers

    def do_engine(self, file: str, name: str, method: str, operands: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Call a method of a driver of the student's class.

        Objects of the class are kept here, and are ``{"object": number}`` in questions and answers. What an operation raises is
        an answer as well: ``("failure", stage, kind, message, where)``.
        """
        self.last = f"{name}, {method}"
        driver = self._driver(file, name)
        given = [self._operand(each) for each in operands]
        try:
            returned = self._run(f"{name}.{method}", getattr(driver, method), *given, passed=self.driver.Failure, **options)
        except self.driver.Failure as failure:
            cause = failure.__cause__
            where = report(cause, self.folder).partition("\n")[2].strip() if cause is not None else ""
            return ("failure", failure.stage, failure.kind, failure.message[: TEXT // 2], where[: TEXT // 2]), []
        if method in ("make", "apply", "chain"):
            if len(self.objects) >= OBJECTS:
                raise Refused("memory", f"more than {OBJECTS} objects of {name}.")
            self.made += 1
            self.objects[self.made] = returned
            return {"object": self.made}, []
        return returned, []

    def _driver(self, file: str, name: str) -> Any:
        if (file, name) not in self.drivers:
            if not self.drivers:
                self.driver = load_module("_tinyad_driver", self.driver_file)
            make = self._function(file, name)
            self.drivers[file, name] = self._run(name, self.driver.LocalDriver, make, name)
        return self.drivers[file, name]

    def _operand(self, given: Any) -> Any:
        """An operand as the driver takes it."""
        match given:
            case {"object": int(number)}:
                if number not in self.objects:
                    raise Refused("contract", f"object {number} is not kept any more.")
                return self.objects[number]
            case {"slice": tuple(parts)}:
                return slice(*parts)
        return given


# ---- what is noticed


def report_imports(note: Callable[[str, str], None], foreign: set[str], noticed: set[str]) -> None:
    """Tell the grader of imports of ``foreign`` packages and of the events ``noticed``, when they happen.

    An audit hook cannot be taken away again, and sees imports that are later deleted from `sys.modules`.
    """
    said: set[tuple[str, str]] = set()

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event == "import":
            what = ("import", str(args[0]).partition(".")[0])
            if what[1] not in foreign or what in said or not is_there(what[1]):
                return
        elif event in noticed:
            what = ("event", event)
        else:
            return
        if what not in said:
            said.add(what)
            note(*what)

    sys.addaudithook(hook)


def is_there(package: str) -> bool:
    """Whether a package could be imported: libraries try which others there are."""
    try:
        return importlib.util.find_spec(package) is not None
    except Exception:
        return True


class NearCalls:
    """While it is entered: how often functions with these codes are called near ``inputs``, by whatever name.

    Near, but not there: at the inputs themselves backward computes again what it did not keep; far away it uses forward for
    something else, as the gradient of a convolution is a convolution. Close by it can only be after differences.
    """

    def __init__(self, codes: set[CodeType], inputs: tuple[Any, ...]) -> None:
        self.codes, self.inputs, self.count = codes, inputs, 0

    def __enter__(self) -> NearCalls:
        sys.setprofile(self._profile)
        return self

    def __exit__(self, *error: object) -> None:
        sys.setprofile(None)

    def _profile(self, frame: FrameType, event: str, arg: Any) -> None:
        if event == "call" and frame.f_code in self.codes:
            given: list[Any] = [frame.f_locals.get(name) for name in frame.f_code.co_varnames[: frame.f_code.co_argcount]]
            pairs = [(x, z) for x, z in zip(self.inputs, given, strict=False) if isinstance(x, np.ndarray)]
            near = [is_near(x, z) for x, z in pairs]
            self.count += all(near) and not all(np.array_equal(x, z) for x, z in pairs)


def is_near(x: np.ndarray, z: Any) -> bool:
    """Whether no entry of two arrays is farther from the other's than a step of finite differences may be."""
    return isinstance(z, np.ndarray) and x.shape == z.shape and bool((np.abs(z - x) <= NEAR * (1 + np.abs(x))).all())


def copies(value: Any) -> Any:
    """A copy of what a function is given, to see afterwards whether it wrote into it."""
    if isinstance(value, (tuple, list)):
        return type(value)(copies(part) for part in value)
    return value.copy() if isinstance(value, np.ndarray) else value


def changes(name: str, before: tuple[Any, ...], after: tuple[Any, ...], names: list[str]) -> list[str]:
    """A sentence for each array that a function wrote into."""
    said = []
    for old, new, what in zip(before, after, names, strict=True):
        if isinstance(new, np.ndarray) and isinstance(old, np.ndarray):
            same = (old == new) | ((old != old) & (new != new)) if old.shape == new.shape else np.zeros(1, bool)
            if not same.all():
                said.append(f"{name} wrote into {what} ({int(np.sum(~same))} entries)")
    return said


def sharing(name: str, given: list[tuple[str, Any]], others: list[tuple[str, Any]]) -> list[str]:
    """A sentence for each pair of arrays that share memory: ``given`` with ``others``, and with one another."""
    arrays = [(what, value) for what, value in given if isinstance(value, np.ndarray)]
    pairs = [(a, b) for a in arrays for b in others if isinstance(b[1], np.ndarray)]
    pairs += [(a, b) for i, a in enumerate(arrays) for b in arrays[:i]]
    return [f"{name}: {a[0]} shares its memory with {b[0]}" for a, b in pairs if np.shares_memory(a[1], b[1])]


# ---- what is said of an error


def report(error: BaseException, folder: str) -> str:
    """An exception as text: type and message, the student's line, and the shapes of the arrays on it."""
    said = f"{type(error).__name__}: {_message(error)}"
    frames = list(traceback.walk_tb(error.__traceback__))
    inside = [(frame, line) for frame, line in frames if frame.f_code.co_filename.startswith(folder)]
    if isinstance(error, SyntaxError) and error.filename and str(error.filename).startswith(folder):
        return f"{said}\n  {os.path.relpath(error.filename, folder)}, line {error.lineno}: {(error.text or '').strip()}"
    if not inside:
        return said
    frame, line = inside[-1]
    file = frame.f_code.co_filename
    source = linecache.getline(file, line).strip()
    said += f"\n  {os.path.relpath(file, folder)}, line {line}, in {frame.f_code.co_name}: {source}"
    operands = list(arrays_on(source, frame))[:OPERANDS]
    return said + (f"\n  where {', '.join(operands)}" if operands else "")


def _message(error: BaseException) -> str:
    try:
        return str(error)[: TEXT // 2]
    except Exception:  # a __str__ of the student's own
        return "(its message could not be read)"


def arrays_on(source: str, frame: FrameType) -> Iterator[str]:
    """The arrays and numbers that a line names, with their shapes: ``x (5, 3) float64``."""
    for name in dict.fromkeys(_names(source)):
        value = frame.f_locals.get(name, frame.f_globals.get(name))
        if isinstance(value, (np.ndarray, np.generic, int, float, tuple, list)) and not isinstance(value, bool):
            yield f"{name} is {describe(value)}"


def _names(source: str) -> list[str]:
    """The names that a line reads. A line that is only the head of a statement is completed first."""
    for text in (source, f"{source} pass", source.rstrip("([{,"), source.partition("=")[2].strip()):
        try:
            tree = ast.parse(text)
        except SyntaxError:
            continue
        return [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)]
    return []


def describe(value: Any) -> str:
    """What a value is, in a few words."""
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}, {value.dtype}"
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of {len(value)}"
    if isinstance(value, (int, float, np.generic)):
        return f"{value!r}"[:40]
    return f"a {type(value).__name__}" if value is not None else "None"


if __name__ == "__main__":
    main()
