"""A spec as blocks of statements of tokens, and its text in any layout that means the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

SEPARATOR = "\0separator"
"""Between two items of a list in braces: a comma or a newline, or both."""

_COMMENTS = ("#", "# a note", '# "', "# { panel x", "#}", "\t# marginal a", "# ünïcode ✓")

Statement = tuple[str, ...]
"""Tokens; behind ``,`` and ``*``, and inside braces, the line may end."""


@dataclass(frozen=True)
class Block:
    """``study "…" { … }``, or a line outside all blocks.

    Attributes:
        head: the tokens before the brace, or of the whole line.
        lines: the statements between the braces; None for a line.
    """

    head: Statement
    lines: tuple[Statement, ...] | None = None


def text_of(blocks: Sequence[Block], seed: int | None = None) -> str:
    """The text of a spec.

    Args:
        seed: of a layout with odd spaces, line ends, comments, separators and quotes; None: plain.
    """
    return _Layout(seed).spec(blocks)


class _Layout:
    def __init__(self, seed: int | None) -> None:
        self._random = None if seed is None else Random(seed)  # noqa: S311 (a layout)

    def _often(self, chance: float) -> bool:
        return self._random is not None and self._random.random() < chance

    def _pick(self, choices: Sequence[str]) -> str:
        return choices[0] if self._random is None else self._random.choice(choices)

    def spec(self, blocks: Sequence[Block]) -> str:
        before = self._line_end() if self._often(0.2) else ""
        after = self._pick(("\n", "", "\n\n# the end\n", "\r\n"))
        return before + self._join(blocks) + after

    def _join(self, blocks: Sequence[Block]) -> str:
        text = ""
        for block in blocks:
            text += self._block(block) + self._line_end()
        return text

    def _block(self, block: Block) -> str:
        head = self._statement(block.head)
        if block.lines is None:
            return head
        lines = self._line_end("  ").join(self._statement(line) for line in block.lines)
        start = self._pick((" {", "{", "\t{")) + self._around("\n  ")
        return head + start + lines + self._around("\n") + "}"

    def _line_end(self, indent: str = "") -> str:
        """What ends a statement: a newline or ``;``, with comments and blank lines around."""
        if self._often(0.2):
            return self._pick((";", " ; ", ";\n", "\n;", ";;", "\r\n", "\n \n\t\n"))
        if self._often(0.15):
            return "  " + self._pick(_COMMENTS) + "\n" + indent
        return "\n" + indent

    def _around(self, plain: str) -> str:
        """Next to a brace a line may end, or not."""
        if self._often(0.2):
            return self._line_end()
        return self._pick((plain, " ", ""))

    def _statement(self, tokens: Statement) -> str:
        text = ""
        depth = 0
        for position, token in enumerate(tokens):
            depth += {"{": 1, "}": -1}.get(token, 0)
            text += self._separator() if token == SEPARATOR else token
            if position == len(tokens) - 1:
                break
            following = tokens[position + 1]
            if SEPARATOR in (token, following):
                continue
            if token in (",", "*") and self._often(0.15):
                text += self._pick(("\n", "\n\n    ", "  # goes on\n"))
            elif depth and token == "{" and self._often(0.2):
                text += self._line_end()
            elif depth and following == "}" and self._often(0.3):
                text += self._pick((" ,", "\n", ",\n", " ;\n"))
            elif following in (",", "%") or (token == ".." or following == ".."):
                text += self._pick(("", "", " ", "\t"))
            else:
                text += self._space()
        return text

    def _space(self) -> str:
        if self._often(0.1):
            return self._pick(("  ", "\t", " \t "))
        return " "

    def _separator(self) -> str:
        if self._often(0.3):
            return self._pick((",", "\n", ",\n", " , ", ", # why\n", "\n\n", " ;\n"))
        return ", "
