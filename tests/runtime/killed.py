"""Runs a function in a child process and kills it at a chosen step.

Steps are the child's system calls; Linux lets a parent stop its own child before and after each.
Between two of them nothing outside the process changes, so a kill after every one is a kill at
every instruction.
"""

import ctypes
import os
import platform
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

TRACEME, GETREGS, SYSCALL, SETOPTIONS = 0, 12, 24, 0x4200
GOOD_TRAPS, END_WITH_PARENT = 1, 0x100000

_LIBC = ctypes.CDLL(None, use_errno=True)


def can_trace() -> bool:
    """Whether this system lets a process trace its child."""
    if sys.platform != "linux":
        return False
    pid = os.fork()
    if pid == 0:
        os._exit(0 if _LIBC.ptrace(TRACEME, 0, 0, 0) == 0 else 1)
    return os.waitpid(pid, 0)[1] == 0


def can_read_calls() -> bool:
    """Whether system calls can be told apart: their numbers and registers are x86-64's."""
    return can_trace() and platform.machine() == "x86_64"


def kill_at_line(step: int, work: Callable[[], None]) -> bool:
    """Run ``work`` in a child that is killed at its ``step``-th line of Python.

    Returns:
        Whether it ended before that.
    """
    pid = os.fork()
    if pid == 0:
        left = step

        def trace(frame: FrameType, event: str, _: Any) -> Any:
            nonlocal left
            if event == "line":
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
            return trace

        _end(work, lambda: sys.settrace(trace))
    return _ended(os.waitpid(pid, 0)[1])


@dataclass(frozen=True)
class Stop:
    """The child stands before or after a system call."""

    pid: int

    def call(self) -> tuple[int, int]:
        """Number and first argument of the call (x86-64)."""
        registers = (ctypes.c_ulonglong * 27)()
        assert _LIBC.ptrace(GETREGS, self.pid, 0, registers) == 0
        return int(registers[15]), int(registers[14])  # orig_rax, rdi

    def file(self, descriptor: int) -> Path:
        """The path behind a descriptor of the child."""
        return Path(f"/proc/{self.pid}/fd/{descriptor}").readlink()


def kill_at_call(step: int | None, work: Callable[[], None], watch: Any = None) -> bool:
    """Run ``work`` in a child that is killed after its ``step``-th system call; None: never.

    Args:
        watch: called with each ``Stop``, before and after each call.

    Returns:
        Whether it ended before that.
    """
    pid = os.fork()
    if pid == 0:
        _LIBC.ptrace(TRACEME, 0, 0, 0)
        _end(work, lambda: os.kill(os.getpid(), signal.SIGSTOP))
    os.waitpid(pid, 0)
    _LIBC.ptrace(SETOPTIONS, pid, 0, GOOD_TRAPS | END_WITH_PARENT)
    stops = 0
    while True:
        assert _LIBC.ptrace(SYSCALL, pid, 0, 0) == 0
        _, status = os.waitpid(pid, 0)
        if not os.WIFSTOPPED(status):
            return _ended(status)
        stops += 1
        if watch is not None:
            watch(Stop(pid))
        if step is not None and stops == 2 * step:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return False


def _end(work: Callable[[], None], begin: Callable[[], None]) -> None:
    try:
        begin()
        work()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _ended(status: int) -> bool:
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the child failed"
    return os.WIFEXITED(status)
