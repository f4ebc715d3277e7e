"""A public file's bytes, hash and text; gene lists."""

import gzip
import hashlib
import io
import zlib
from dataclasses import dataclass
from pathlib import Path

from secgen_dsl.diagnostics.diagnostic import SecgenError, fail

MAXIMUM_BYTES = 2_000_000_000
"""A larger public file is refused."""


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
        if path.stat().st_size > MAXIMUM_BYTES:
            raise _too_large(name)
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or "not a path").lower()
        raise fail(
            "SG213",
            f'the file "{name}" cannot be read: {reason}',
            place=name,
            next_step="check the path: it is relative to the spec's folder",
        ) from error
    return public_file(path, name, data)


def text_of(file: PublicFile) -> str:
    """The text of a file, unpacked if it is gzip (known by its first bytes).

    Raises:
        SecgenError: SG213 if it is not UTF-8 text, or too large.
    """
    try:
        data = _plain(file)
        return data.decode("utf-8").removeprefix("\ufeff")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise fail(
            "SG213",
            f'the file "{file.name}" is not UTF-8 text (plain or gzip)',
            place=file.name,
            next_step="save it as UTF-8 text",
        ) from error


def _plain(file: PublicFile) -> bytes:
    if file.data[:2] != b"\x1f\x8b":
        return file.data
    with gzip.GzipFile(fileobj=io.BytesIO(file.data)) as unpacked:
        data = unpacked.read(MAXIMUM_BYTES + 1)
    if len(data) > MAXIMUM_BYTES:
        raise _too_large(file.name)
    return data


def _too_large(name: str) -> SecgenError:
    return fail(
        "SG213",
        f'the file "{name}" is larger than {MAXIMUM_BYTES // 10**9} GB',
        place=name,
        next_step="give a table with the panel's genes only",
    )


def gene_list(file: PublicFile) -> tuple[str, ...]:
    """The genes of a list file: one a line, or separated by commas; ``#`` starts a comment.

    Raises:
        SecgenError: SG213 if the file is not text.
    """
    genes: list[str] = []
    for line in text_of(file).splitlines():
        words = line.partition("#")[0].replace(",", " ").replace("\t", " ").split()
        genes.extend(word.strip('"') for word in words)
    return tuple(genes)
