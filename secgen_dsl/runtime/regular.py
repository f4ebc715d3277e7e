"""Reads files of folders that come from others: regular files only, and never without a limit."""

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

MOST_BYTES = 64_000_000
"""Of a file whose content is read; a plan of 10⁶ counts, or its opened values, take 20 MB."""

MOST_HASHED_BYTES = 16_000_000_000
"""Of a file of which only the hash is taken: synthetic rows."""

_SPARSE = 16
"""How many times less than its size a large file with holes may have on disk."""


class UnreadError(ValueError):
    """A file is not read; why, in words that follow its name: "it is a link"."""


def read_regular(path: Path, most: int = MOST_BYTES) -> bytes:
    """The bytes of a regular file.

    Raises:
        UnreadError: it is not there, is a link, a folder, a pipe or a device, has more than
            ``most`` bytes, or cannot be read.
    """
    with _opened(path, most) as file:
        data = file.read(most + 1)
    if len(data) > most:  # it grew
        raise _too_large(most)
    return data


def hash_regular(path: Path, most: int = MOST_HASHED_BYTES) -> str:
    """SHA-256, 64 hex digits, of a regular file of any size up to ``most``.  Raises UnreadError."""
    digest = hashlib.sha256()
    room = most
    with _opened(path, most) as file:
        while data := file.read(2**20):
            digest.update(data)
            room -= len(data)
            if room < 0:
                raise _too_large(most)
    return digest.hexdigest()


def is_there(path: Path) -> bool:
    """Whether anything has that name, be it a link that leads nowhere."""
    return os.path.lexists(path)


@contextmanager
def _opened(path: Path, most: int) -> Iterator[BufferedReader]:
    try:
        if path.is_symlink():
            raise UnreadError("it is a link")
        # Without O_NONBLOCK a pipe would be waited for.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW), "rb") as file:
            state = os.fstat(file.fileno())
            if not stat.S_ISREG(state.st_mode):
                raise UnreadError("it is no regular file")
            if state.st_size > most:
                raise _too_large(most)
            if _is_sparse(file, state):
                raise UnreadError(
                    f"it has holes: {state.st_size // 10**6:,} MB, of which "
                    f"{state.st_blocks * 512 // 10**6:,} MB are on the disk"
                )
            yield file
    except FileNotFoundError as error:
        raise UnreadError("it is not there") from error
    except IsADirectoryError as error:
        raise UnreadError("it is no regular file") from error
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise UnreadError(reason) from error


def _is_sparse(file: BufferedReader, state: os.stat_result) -> bool:
    """Whether a large file is mostly holes, which take long to read and nothing to make.

    Blocks alone do not tell: file systems that compress, or write late, have fewer as well.
    """
    if state.st_size <= MOST_BYTES or state.st_blocks * 512 * _SPARSE >= state.st_size:
        return False
    try:
        hole = os.lseek(file.fileno(), 0, os.SEEK_HOLE)
    except OSError:  # a file system that does not tell
        return False
    os.lseek(file.fileno(), 0, os.SEEK_SET)
    return hole < state.st_size


def _too_large(most: int) -> UnreadError:
    size = f"{most // 10**6:,} MB" if most >= 10**6 else f"{most // 10**3} kB"
    return UnreadError(f"it is larger than {size}, the most that is read")
