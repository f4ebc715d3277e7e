"""Reads the documentation's pages, and runs what they show.

A fenced block with `title="FILE"` is written to that file.  A `console` block holds commands behind
`$ ` and under each one what it prints.  Both happen in the order of the page, in a folder of its
own that holds a link to `specs/`.  What a command prints must be what the page shows:

- hashes, times and the versions of libraries may differ;
- the class `.varies` says that figures and the order of lines may differ too (noise is fresh);
- a line `…` stands for any lines, or none.

A command fails (exit code 1) if, and only if, the page shows an `error[…]` below it.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner

from secgen_dsl.cli.main import group
from tests.conftest import ROOT, SPECS

DOCS = ROOT / "docs"
GAP = "…"

_FENCE = re.compile(
    r"^(?P<fence>```+)(?:\{ *)?\.?(?P<language>\w+)?(?P<rest>[^\n]*)\n(?P<text>.*?)^(?P=fence)$",
    re.MULTILINE | re.DOTALL,
)
_TITLE = re.compile(r'title="([^"]+)"')
_SHELL = re.compile(r"""[|<>;&$*"'\\~]""")
_HASH = re.compile(r"\b[0-9a-f]{64}\b")
_VERSION = re.compile(r"\((dp-accounting|mpmath|numpy|scipy|secgen) [0-9][0-9a-z.+]*\)")
_TIME = re.compile(r" *\b[0-9]+\.[0-9] s\b")
_NUMBERS = re.compile(r"(?:[ ±-]*[0-9][0-9,.]*(?:e[+-]?[0-9]+)?)+")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        title: the file that it is written to; else empty.
        varies: figures and the order of lines may differ.
        start: offset of its text in the page; likewise ``end``.
    """

    language: str
    title: str
    varies: bool
    text: str
    start: int
    end: int


@dataclass(frozen=True)
class Step:
    """A command of a console block, and what the page shows below it."""

    command: str
    shown: str

    @property
    def fails(self) -> bool:
        """Whether an error is shown."""
        return "error[" in self.shown or '"severity": "error"' in self.shown


def blocks(text: str) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    for match in _FENCE.finditer(text):
        title = _TITLE.search(match["rest"])
        yield Block(
            match["language"] or "",
            title.group(1) if title else "",
            ".varies" in match["rest"],
            match["text"],
            match.start("text"),
            match.end("text"),
        )


def steps(text: str) -> list[Step]:
    """The commands of a console block."""
    found = re.split(r"^\$ ", text, flags=re.MULTILINE)
    assert not found[0], "a console block begins with a command"
    return [Step(*part.split("\n", 1)) for part in found[1:]]


def prepare(folder: Path) -> None:
    """Makes the folder that commands of a page run in."""
    (folder / "specs").symlink_to(SPECS)


def write(folder: Path, block: Block) -> None:
    """Writes a titled block to its file."""
    path = folder / block.title
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(block.text, encoding="utf-8")


def run(command: str, folder: Path) -> tuple[int, str]:
    """Exit code and output (both streams, as a terminal shows them) of a command."""
    if command.startswith("secgen ") and not _SHELL.search(command):
        with chdir(folder):
            result = CliRunner().invoke(
                group, command.split()[1:], prog_name="secgen", terminal_width=80
            )
        return result.exit_code, result.output
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env={**os.environ, "PATH": programs},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def tidy(output: str, folder: Path) -> str:
    """Output as a page shows it: paths from the folder, no spaces at the ends of lines, no blank
    lines around.
    """
    lines = [line.rstrip() for line in output.replace(f"{folder}/", "").splitlines()]
    text = "\n".join(lines).strip("\n")
    return text + "\n" if text else ""


def same(shown: str, printed: str, *, varies: bool) -> bool:
    """Whether a page shows what a command printed."""
    wanted, found = _masked(shown, varies), _masked(printed, varies)
    if not varies:
        return re.fullmatch(_with_gaps(wanted), "\n".join(found)) is not None
    if GAP in wanted:
        return {line for line in wanted if line != GAP} <= set(found)
    return sorted(wanted) == sorted(found)


def _masked(text: str, varies: bool) -> list[str]:
    text = _VERSION.sub(r"(\1 VERSION)", _TIME.sub(" TIME", _HASH.sub("HASH", text)))
    if varies:
        text = _NUMBERS.sub(" #", text)
    return [line.strip() if varies else line for line in text.splitlines()]


def _with_gaps(lines: list[str]) -> str:
    """A pattern of the lines, in which ``…`` stands for any number of them."""
    pattern = ""
    for line in lines:
        pattern += r"(?:[^\n]*\n)*?" if line.strip() == GAP else re.escape(line) + r"\n?"
    return pattern + (r"(?:[^\n]*\n?)*" if lines and lines[-1].strip() == GAP else "")
