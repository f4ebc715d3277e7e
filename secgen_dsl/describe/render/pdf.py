"""The document as PDF: A4, tagged for screen readers (PDF/UA-1), the same bytes on every machine.

Typst sets it (one wheel, with its fonts: Libertinus Serif for Latin, Greek, Cyrillic and Hebrew,
DejaVu Sans Mono for Arabic).  A name in another script is set in a font of the machine, if it has
one; if none has the letters, they are shown by their Unicode numbers and the first page says so.
"""

import json
import unicodedata
from datetime import date
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from secgen_dsl.describe.catalogue import Catalogue
from secgen_dsl.describe.document import Document, Figure
from secgen_dsl.describe.render.words import clean, heading, numbers, record_text

if TYPE_CHECKING:
    from typst import Fonts

_NO_GLYPH = "could not be displayed with font"
_HASH_DIGITS = 12


def render_pdf(document: Document, fonts: Path | None = None) -> bytes:
    """The document as PDF/UA-1.

    The fonts that come with Typst are tried first, so that the bytes are the same everywhere; then
    those of the machine and of the folder.

    Args:
        document: its record's ``date`` (``2026-03-01``) becomes the file's date, which is part of
            the bytes; without one it is the first day of 1980.
        fonts: a folder with further fonts.

    Raises:
        ImportError: typst is not installed (the extra ``pdf``).
    """
    from typst import TypstError

    try:
        return _compile(document, frozenset(), _fonts(None, own=True))
    except TypstError as error:
        if _NO_GLYPH not in error.message:
            raise
    every = _fonts(fonts)
    missing = frozenset(unprintable(document, fonts))
    used = _characters(document)
    marks = {each for each in used if unicodedata.category(each).startswith("M")}
    # A font may have a mark, but not upon the letter that it stands on here.
    for unprinted in (missing, missing | marks):
        try:
            return _compile(document, unprinted, every)
        except TypstError as error:
            if _NO_GLYPH not in error.message:
                raise
    return _compile(document, frozenset(each for each in used if each > "\xff"), every)


def unprintable(document: Document, fonts: Path | None = None) -> tuple[str, ...]:
    """The characters that the document holds and no font has, in order."""
    every = _fonts(fonts)

    def missing(characters: str) -> str:
        if _shown(characters, every):
            return ""
        if len(characters) == 1:
            return characters
        half = len(characters) // 2
        return missing(characters[:half]) + missing(characters[half:])

    return tuple(missing("".join(sorted(_characters(document)))))


def _characters(document: Document) -> set[str]:
    """All that is beyond ASCII and shown, pictures included."""
    return {each for each in clean(document.model_dump_json()) if not each.isascii()}


def _shown(characters: str, fonts: "Fonts") -> bool:
    """Whether the fonts have them all."""
    from typst import TypstError

    program = {
        "main.typ": (
            b'#set document(title: "-")\n#for each in json("characters.json").clusters() [#each ]'
        ),
        "characters.json": json.dumps(characters).encode(),
    }
    try:
        _set(program, fonts)
    except TypstError as error:
        if _NO_GLYPH not in error.message:
            raise
        return False
    return True


def _compile(document: Document, unprinted: frozenset[str], fonts: "Fonts") -> bytes:
    return _set(_program(document, unprinted), fonts)


def _set(program: dict[str, bytes], fonts: "Fonts") -> bytes:
    """The files set by Typst, which refuses what PDF/UA-1 does not allow."""
    import typst

    made: bytes = typst.compile(  # type: ignore[call-overload]  # its stub lacks the dictionary
        program,
        format="pdf",
        font_paths=fonts,
        pdf_standards="ua-1",
    )
    return made


def _program(document: Document, unprinted: frozenset[str]) -> dict[str, bytes]:
    """The files that Typst reads: the template, the document as data, the pictures."""
    say = Catalogue(document.language)
    day = date.fromisoformat(document.record.get("date", "1980-01-01")[:10])
    replaced = str.maketrans({each: f"[U+{ord(each):04X}]" for each in unprinted})

    shown = document.model_dump(exclude={"record"})
    for section, titled in zip(document.sections, shown["sections"], strict=True):
        titled["heading"] = [each.model_dump() for each in heading(section, say)]
    plan = document.record.get("plan_sha256", "")[:_HASH_DIGITS]
    program = document.record.get("program", "secgen")
    words = {
        "contents": say.words("render.contents"),
        "figure": say.words("render.figure", number="#"),
        "table": say.words("render.table", number="#"),
        "nothing": say.words("render.nothing"),
        "plan": say.words("render.plan", hash=plan),
        "missing": say.words("render.missing.note"),
        "made": say.words("render.made", program=program),
        "sources": {
            name: say.words(f"render.sources.{name}")
            for name in ("title", "lead", "caption", "number", "field", "formula")
        },
    }
    figures = [block for block in document.blocks() if isinstance(block, Figure)]
    pictures = {figure.id: f"picture-{place}.svg" for place, figure in enumerate(figures)}
    data = {
        "document": shown,
        "words": words,
        "numbers": numbers(document),
        "pictures": pictures,
        "plan": plan,
        "missing": bool(unprinted),
        "date": [day.year, day.month, day.day],
    }
    template = files("secgen_dsl.describe.render") / "document.typ"
    return {
        "main.typ": template.read_bytes(),
        "document.json": json.dumps(_printed(data, replaced)).encode(),
        "record.json": record_text(document).encode(),
        **{
            pictures[figure.id]: clean(figure.svg).translate(replaced).encode()
            for figure in figures
        },
    }


def _printed(node: object, replaced: dict[int, str]) -> object:
    """The same with all text cleaned, and what no font has replaced."""
    if isinstance(node, str):
        return clean(node).translate(replaced)
    if isinstance(node, dict):
        return {key: _printed(each, replaced) for key, each in node.items()}
    return [_printed(each, replaced) for each in node] if isinstance(node, list | tuple) else node


@lru_cache(maxsize=4)
def _fonts(folder: Path | None, own: bool = False) -> "Fonts":
    """Typst's fonts; and, if not its own alone, those of the machine and of the folder."""
    from typst import Fonts

    return Fonts(include_system_fonts=not own, font_paths=[folder] if folder else [])
