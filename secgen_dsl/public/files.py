"""A public file's bytes, hash and text; gene lists."""

import gzip
import hashlib
import io
import stat
import zlib
from dataclasses import dataclass
from pathlib import Path

from secgen_dsl.diagnostics.diagnostic import SecgenError, fail

MAXIMUM_BYTES = 2_000_000_000
"""A larger public file is refused, as it lies there and unpacked."""

MAXIMUM_LIST_BYTES = 16_000_000
"""A larger list of genes or of gene sets is refused, unpacked."""


@dataclass(frozen=True)
class PublicFile:
    """A public file's bytes and their hash.

    Attributes:
        name: as the spec writes it.
    """

    name: str
    path: Path
    data: bytes
    sha256: str


def public_file(path: Path, name: str, data: bytes) -> PublicFile:
    """A public file whose bytes were read already."""
    return PublicFile(name, path, data, hashlib.sha256(data).hexdigest())


def read_public_file(folder: Path, name: str) -> PublicFile:
    """Read a file that a spec names, relative to the spec's folder.

    Raises:
        SecgenError: SG213 if it cannot be read.
    """
    if name.startswith(("http://", "https://", "ftp://")):
        raise fail(
            "SG213",
            f'"{name}" is an address, not a file',
            place=name,
            next_step="download the file next to the spec, and name that one",
        )
    path = folder / name
    try:
        state = path.stat()
        if not (stat.S_ISREG(state.st_mode) or stat.S_ISDIR(state.st_mode)):
            raise ValueError(name)  # a pipe or a device may never end
        if state.st_size > MAXIMUM_BYTES:
            raise _too_large(name, MAXIMUM_BYTES)
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or "not a file").lower()
        raise fail(
            "SG213",
            f'the file "{name}" cannot be read: {reason}',
            place=name,
            next_step="check the path: it is relative to the spec's folder",
        ) from error
    return public_file(path, name, data)


def text_of(file: PublicFile, most: int = MAXIMUM_BYTES) -> str:
    """The text of a file, unpacked if it is gzip (known by its first bytes).

    Args:
        most: bytes of the unpacked text.

    Raises:
        SecgenError: SG213 if it is not UTF-8 text, or too large.
    """
    try:
        data = _plain(file, most)
        return data.decode("utf-8").removeprefix("\ufeff")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise fail(
            "SG213",
            f'the file "{file.name}" is not UTF-8 text (plain or gzip)',
            place=file.name,
            next_step="save it as UTF-8 text",
        ) from error


def _plain(file: PublicFile, most: int) -> bytes:
    data = file.data
    if data[:2] == b"\x1f\x8b":
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as unpacked:
            data = unpacked.read(most + 1)
    if len(data) > most:
        raise _too_large(file.name, most)
    return data


def _too_large(name: str, most: int) -> SecgenError:
    return fail(
        "SG213",
        f'the file "{name}" is larger than {most // 10**6:,} MB',
        place=name,
        next_step="leave out the genes that the spec does not measure",
    )


def gene_list(file: PublicFile) -> tuple[str, ...]:
    """The genes of a list file: one a line, or separated by commas; ``#`` starts a comment.

    Raises:
        SecgenError: SG213 if the file is not text, or larger than ``MAXIMUM_LIST_BYTES``.
    """
    genes: list[str] = []
    for line in text_of(file, MAXIMUM_LIST_BYTES).splitlines():
        words = line.partition("#")[0].replace(",", " ").replace("\t", " ").split()
        genes.extend(word.strip('"') for word in words)
    return tuple(genes)
