"""The page of each code: what it does, why it matters, an example, what to use instead.

A page is the file ``pages/CODE.md`` with these four headings (``pages/README.md`` says how to write
one); its title stands in ``codes.TITLES``.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files

from secgen_dsl.diagnostics.codes import TITLES

HEADINGS = ("What it does", "Why it matters", "Example", "Use instead")

_HEADING = re.compile(r"^## (.+)\n", re.MULTILINE)
_FENCE = re.compile(r"^```(\w+)(?: +(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Part:
    """A paragraph or a block of a section.

    Attributes:
        kind: ``prose``, or how the block reads: ``secgen`` a spec or some of its blocks, ``table``
            a site's table, ``console`` commands behind ``$``, ``text`` anything else.
        name: of a table, its file's name; else empty.
        text: without fences.
    """

    kind: str
    name: str
    text: str


@dataclass(frozen=True)
class Page:
    """The page of one code.

    Attributes:
        markdown: the file's text.
    """

    code: str
    markdown: str

    @property
    def title(self) -> str:
        """The code's title, without a full stop."""
        return TITLES[self.code]

    @cached_property
    def sections(self) -> dict[str, str]:
        """Heading → its Markdown, in the order of the file."""
        _, *found = _HEADING.split(self.markdown)
        return {found[k].strip(): found[k + 1].strip() for k in range(0, len(found), 2)}

    def parts(self, heading: str) -> tuple[Part, ...]:
        """The paragraphs and blocks of a section, in order."""
        parts: list[Part] = []
        text = self.sections[heading] + "\n"
        end = 0
        for match in (*_FENCE.finditer(text), None):
            prose = text[end : match.start() if match else None]
            parts += [Part("prose", "", p.strip()) for p in prose.split("\n\n") if p.strip()]
            if match:
                parts.append(Part(match.group(1), match.group(2) or "", match.group(3)))
                end = match.end()
        return tuple(parts)


def page_of(code: str) -> Page:
    """The page of a code of ``codes.TITLES``."""
    file = files("secgen_dsl.diagnostics") / "pages" / f"{code}.md"
    return Page(code, file.read_text(encoding="utf-8"))
