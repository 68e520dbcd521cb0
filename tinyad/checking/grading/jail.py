"""How the process that runs a student's code is started and ended.

What it holds against: code that hangs, in Python or in C, that takes memory, fills the disk, floods its output,
exits, forks, leaves children behind or ignores signals; on Linux also code that looks for the reference and the
results, or for the network. It is no sandbox against a determined attacker, who may know a hole in the kernel
or in the container: where that matters, grade in a container or a virtual machine of its own.

There are three kinds of jail, and `choose` takes the first that works here:

- *namespaces* (Linux, where ``unshare`` is allowed): no network; its own table of processes, which ends as a whole; a file
  system that can be read and not written, but for a small folder in memory; and in it the author's files covered by nothing.
  Graded by root, the worker also becomes a user that owns nothing, if such a one can read Python and NumPy.
- *user* (root, with a user ``student``: containers of Gradescope, where namespaces are not allowed): the worker
  becomes that user; files that others may not read are safe from it; what it leaves behind is ended by user, so that one
  submission is graded at a time.
- *session* (all others): the worker is a session of its own, which is ended as a group. What leaves the session is
  looked for in /proc, where there is one, by its environment; a child that changes that as well outlives the worker. And
  the files of the user who grades are open to it: a warning says so.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Cell", "Jail", "Limits", "choose", "lock_up"]

WORKER = Path(__file__).with_name("worker.py")
DRIVER = Path(__file__).parents[1] / "engine" / "driver.py"  # which the worker loads for engines
USER = "student"
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB_MAXIMUM")}
LARGEST_SUBMISSION = 100 << 20  # bytes
EVENTS = (
    "os.fork",
    "os.forkpty",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "subprocess.Popen",
    "socket.connect",
    "ctypes.dlopen",
)

# The shell stays the first process of the namespace, so that the worker is an ordinary one: signals that would
# end it do end it, and its status comes back.
BARE = """
"$@"
exit $?
"""
# Arguments: the folder in memory, its options, what to copy there, whose it is; how many places to make read-only, their
# options and names; how many files and folders to cover, their names; the command.
SEALED = """
set -e
home=$1; size=$2; given=$3; owner=$4; shift 4
mount -t tmpfs -o "$size" tmpfs "$home"
cp -R "$given" "$home/submission"
[ -z "$owner" ] || chown -R "$owner" "$home/submission"
count=$1; shift
while [ "$count" -gt 0 ]; do
    mount -o "remount,bind,ro,$1" "$2" 2> /dev/null || [ "$2" != / ] || exit 125
    shift 2; count=$((count - 1))
done
count=$1; shift
while [ "$count" -gt 0 ]; do
    if [ -d "$1" ]; then mount -t tmpfs -o ro,size=4k tmpfs "$1"; else mount --bind /dev/null "$1"; fi
    shift; count=$((count - 1))
done
set +e
"$@"
exit $?
"""
NO_RIGHTS = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]
NOBODY = (64_999, 64_999)  # owns nothing: a number that no account has


@dataclass(frozen=True)
class Limits:
    """What student code may take.

    Attributes:
        wall: seconds of a call.
        start: seconds until the worker has NumPy; the student's code is not running yet.
        cpu: seconds of processor time of a worker.
        memory: bytes of address space. None for code that uses a GPU, whose driver needs a huge one.
        file: bytes of a file that is written, and
        folder: of all files together, where they are in memory.
        files: open at a time.
        processes: of the user ``student``.
        log: bytes kept of what is printed.
        reply: bytes of an answer.
    """

    wall: float = 5.0
    start: float = 30.0
    cpu: int = 120
    memory: int | None = 1 << 30
    file: int = 16 << 20
    folder: int = 64 << 20
    files: int = 64
    processes: int = 64
    log: int = 64 << 10
    reply: int = 64 << 20

    def for_worker(self, own_user: bool) -> dict[str, int]:
        """The limits that the kernel keeps, by the names of the module `resource`."""
        limits = {"RLIMIT_CPU": self.cpu, "RLIMIT_FSIZE": self.file, "RLIMIT_NOFILE": self.files, "RLIMIT_CORE": 0}
        if self.memory is not None:
            limits["RLIMIT_AS"] = self.memory
        if own_user:  # of another user it would count what else that user runs
            limits["RLIMIT_NPROC"] = self.processes
        return limits


@dataclass(frozen=True)
class Jail:
    """A kind of jail.

    Attributes:
        kind: ``"namespaces"``, ``"user"`` or ``"session"``.
        user: the (uid, gid) that the worker takes, or None.
        sealed: whether the file system can be made read-only, and the author's files be covered.
        drops: whether rights can be dropped, so that what is sealed stays so.
        warning: what it does not hold against; empty if nothing needs to be said.
    """

    kind: str
    user: tuple[int, int] | None = None
    sealed: bool = False
    drops: bool = False
    warning: str = ""

    def folder(self, home: Path) -> Path:
        """Where in its home the worker finds the submission; copied there from ``given`` if it is sealed."""
        return home / ("run/submission" if self.sealed else "given")

    def command(self, worker: Sequence[str], home: Path, size: int, covered: Sequence[Path] = ()) -> list[str]:
        """How to start ``worker`` in it.

        Args:
            worker: program and arguments.
            home: a folder with the folders ``given`` and ``run``.
            size: bytes that may be written.
            covered: files to cover.
        """
        if self.kind != "namespaces":
            return list(worker)
        if self.drops:
            user = self.user and ["--reuid", str(self.user[0]), "--regid", str(self.user[1]), "--clear-groups"]
            worker = [*(["setpriv", *user, "--no-new-privs"] if user else NO_RIGHTS), *worker]
        unshare = ["unshare", *(["-r"] if self.user is None else []), "-n", "-p", "-f", "--kill-child", "--mount-proc", "--"]
        if not self.sealed:
            return [*unshare, "sh", "-c", BARE, "sh", *worker]
        owner = "" if self.user is None else f"{self.user[0]}:{self.user[1]}"
        folder = [str(home / "run"), f"size={size},mode=755", str(home / "given"), owner]
        places = [word for place in writable_places() for word in place]
        files = [str(path) for path in covered if path.exists()]
        listed = [str(len(places) // 2), *places, str(len(files)), *files]
        return [*unshare, "sh", "-c", SEALED, "sh", *folder, *listed, *worker]


UNDONE = "setpriv is missing: a submission can take away what covers the author's files. Install util-linux."
OPEN = "the submission can read and write the files of the user who grades. Grade in a container, or as root with a user 'student'."
SESSION = Jail(
    "session",
    warning="namespaces are not allowed here and there is no user 'student': processes that the submission detaches may "
    f"outlive it, and {OPEN}",
)


@functools.cache
def writable_places() -> tuple[tuple[str, str], ...]:
    """The options and places of what is mounted and can be written, the outermost first. /proc is mounted anew."""
    places = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        place, options = line.split()[4:6]
        parts = options.split(",")
        if "rw" in parts and not place.startswith(("/proc", "/sys")):
            place = place.encode().decode("unicode_escape")  # spaces are written as octal numbers there
            places.append((",".join(part for part in parts if part != "rw"), place))
    return tuple(places)


@functools.cache
def choose() -> Jail:
    """The best jail that works on this machine. They are tried once.

    Raises:
        OSError: on Windows.
    """
    if os.name != "posix":
        raise OSError("grading needs a POSIX system (Linux, macOS): use WSL or a container on Windows.")
    root, student = os.geteuid() == 0, _student()
    if shutil.which("unshare"):
        users = [student or NOBODY] if root else []
        tries = [Jail("namespaces", user, True, True) for user in (*users, None)]
        weaker = Jail("namespaces", None, True, False, UNDONE), Jail("namespaces", warning=OPEN)
        for jail in (*tries, *weaker):
            if _works(jail):
                return jail
    return Jail("user", user=student) if student is not None else SESSION


def _student() -> tuple[int, int] | None:
    """The user to become, if grading runs as root and there is one."""
    if os.geteuid() != 0:
        return None
    import pwd

    try:
        entry = pwd.getpwnam(USER)
    except KeyError:
        return None
    return entry.pw_uid, entry.pw_gid


# What a jail must hold against, and let through. Arguments: a covered file, Python.
TRIAL = """
umount "$1" 2> /dev/null; cat "$1"; echo > "$1.new"; "$2" -I -c "import numpy; print(numpy.__file__)"
"""


def _works(jail: Jail) -> bool:
    """Whether this Python and this NumPy run in a jail; and what is covered is empty, and what is outside is not written."""
    import numpy

    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        for name in ("given", "run"):
            (home / name).mkdir()
        secret = home / "secret"
        secret.write_text("x")
        command = jail.command(["sh", "-c", TRIAL, "sh", str(secret), sys.executable], home, 1 << 20, [secret])
        try:
            done = subprocess.run(command, capture_output=True, timeout=20, stdin=subprocess.DEVNULL, env=environment(home))
        except (OSError, subprocess.TimeoutExpired):
            return False
        imported = done.stdout.endswith(f"{numpy.__file__}\n".encode())
        kept = not done.stdout.startswith(b"x") and not (home / "secret.new").exists()
        return imported and (kept or not jail.drops)


# ---- one worker


@dataclass
class Cell:
    """A running worker: the process, the grader's end of the socket, what it prints, its folder, and when it started."""

    process: subprocess.Popen[bytes]
    channel: socket.socket
    output: int
    folder: Path
    jail: Jail
    started: float

    def end(self) -> str:
        """End the worker and everything it started; how it had ended by itself, or ``""`` if it was still running."""
        status = self.process.poll()
        _kill_all(self)
        self.process.wait(timeout=10)
        self.channel.close()
        os.close(self.output)
        shutil.rmtree(self.folder, ignore_errors=True)
        return "" if status is None else ending(status)


def lock_up(submission: Path, jail: Jail, limits: Limits, covered: Sequence[Path] = (), **settings: Any) -> Cell:
    """Start a worker on a private copy of a submission.

    Args:
        submission: the folder with the student's files.
        covered: files that the worker shall not read.
        settings: for the worker, beside its limits: ``seed``, ``foreign``.
    """
    home = Path(tempfile.mkdtemp(prefix="tinyad-"))
    ours, theirs = socket.socketpair()
    output, printed = os.pipe()
    os.set_blocking(output, False)
    try:
        copy_submission(submission, home / "given")
        (home / "run").mkdir()
        if jail.user is not None:
            _give(home, jail.user)
        settings |= {"channel": theirs.fileno(), "folder": str(jail.folder(home)), "reply": limits.reply}
        settings |= {"rlimits": limits.for_worker(jail.user is not None), "noticed": EVENTS}
        settings |= {"driver": str(DRIVER), "user": jail.user if jail.kind == "user" else None}
        worker = [sys.executable, "-I", "-B", "-u", "-X", "faulthandler", str(WORKER), json.dumps(settings)]
        process = subprocess.Popen(
            jail.command(worker, home, limits.folder, covered),
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=printed,
            pass_fds=[theirs.fileno()],
            env=environment(jail.folder(home)),
            cwd=home,
            start_new_session=True,
        )
    except BaseException:
        ours.close()
        os.close(output)
        shutil.rmtree(home, ignore_errors=True)
        raise
    finally:
        theirs.close()
        os.close(printed)
    return Cell(process, ours, output, home, jail, _start_time(process.pid))


def environment(home: Path) -> dict[str, str]:
    """The environment of a worker: nothing of the grader's own."""
    return {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "HOME": str(home), "TMPDIR": str(home), "LANG": "C.UTF-8", **ONE_THREAD}


def copy_submission(submission: Path, target: Path) -> None:
    """Copy the plain files of a submission. Links are left out: they may lead to the author's files.

    Raises:
        ValueError: if there are more than 100 MB of them.
    """
    size = 0
    for here, folders, names in os.walk(submission, followlinks=False):
        folders[:] = [name for name in folders if name not in (".git", "__pycache__", "node_modules", ".venv")]
        there = target / Path(here).relative_to(submission)
        there.mkdir(parents=True, exist_ok=True)
        for name in names:
            source = Path(here) / name
            if source.is_symlink() or not source.is_file():
                continue
            size += source.stat().st_size
            if size > LARGEST_SUBMISSION:
                raise ValueError(f"the submission has more than {LARGEST_SUBMISSION >> 20} MB of files.")
            shutil.copyfile(source, there / name)


def _give(home: Path, user: tuple[int, int]) -> None:
    """Give a folder and what is in it to a user."""
    for here, _, names in os.walk(home):
        for path in (here, *(os.path.join(here, name) for name in names)):
            os.chown(path, *user)


# ---- how it ends


def _kill_all(cell: Cell) -> None:
    """End a worker with all it started, however it resists.

    Killing ``unshare`` kills the first process of its namespace, and the kernel all others with it. Elsewhere there is its
    session; and what left the session is still known by its user, or by its environment, which names the worker's home.
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(cell.process.pid, signal.SIGKILL)
    if cell.jail.kind == "user" and cell.jail.user is not None:
        uid = cell.jail.user[0]
        _kill_each(cell, lambda pid: os.stat(f"/proc/{pid}").st_uid == uid)
    elif cell.jail.kind == "session":
        mark = f"HOME={cell.jail.folder(cell.folder)}\0".encode()
        _kill_each(cell, lambda pid: mark in Path(f"/proc/{pid}/environ").read_bytes())


def _kill_each(cell: Cell, is_ours: Callable[[int], bool]) -> None:
    """Kill the processes that are a worker's and started after it; again, until there are none. It takes a /proc to see them."""
    for _ in range(100):
        found = [pid for pid in _running_since(cell.started) if _is(is_ours, pid)]
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if not found:
            return
        time.sleep(0.01)


def _is(condition: Callable[[int], bool], pid: int) -> bool:
    """Whether a condition holds for a process that may be gone meanwhile, or be none of ours to look at."""
    try:
        return condition(pid)
    except OSError:
        return False


def _running_since(moment: float) -> list[int]:
    """The processes that started then or later and still run."""
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()] if os.path.isdir("/proc") else []
    return [pid for pid in pids if _start_time(pid) >= moment and _is(lambda pid: _fields(pid)[0] != "Z", pid)]


def _fields(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _start_time(pid: int) -> float:
    """When a process started, in the kernel's ticks; 0 if it is not there."""
    try:
        return float(_fields(pid)[19])
    except (OSError, IndexError):
        return 0.0


def ending(status: int) -> str:
    """How a process ended, in words. A shell gives 128 and the signal."""
    number = -status if status < 0 else status - 128 if 128 < status < 128 + 65 else 0
    if not number:
        return f"it exited with status {status}"
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    causes = {
        "SIGSEGV": "a crash in C code",
        "SIGKILL": "out of memory or of processor time",
        "SIGXCPU": "out of processor time",
    }
    return f"it was ended by {name}" + (f": {causes[name]}" if name in causes else "")
