"""The statements of `grammar/secgen.lark` in a form that people read.

[x]        may be left out
x …        may come again
a | b      one of them
‹word›     written out below the statement
{ … }      the lines that a block may hold, in any order
"""

from functools import cached_property
from importlib.resources import files

from lark import Lark, Token, Tree

_PIECES = {
    "name": "NAME",
    "expected": "NAME",
    "text": '"TEXT"',
    "table_file": '"FILE"',
    "number": "NUMBER",
    "unit": "UNIT",
    "names": "{ NAME, … }",
    "NUMBER": "NUMBER",
    "STRING": '"TEXT"',
    "COUNTS": "log2(cpm + 1)",
}
"""How the smallest parts are shown."""

_UNSEEN = ("_NL", "_separator", "WORD", "OTHER_CONVERSION")
"""Line ends, and words that the grammar takes only to say what is wrong with them."""


class Grammar:
    """The rules of a lark grammar, to be shown."""

    def __init__(self, text: str) -> None:
        own = (files("lark") / "grammars" / "lark.lark").read_text(encoding="utf-8")
        parsed = Lark(own, parser="lalr").parse(text)
        self._rules = {str(rule.children[0]): rule.children[2] for rule in parsed.find_data("rule")}
        self.shown: set[str] = set()

    @cached_property
    def statements(self) -> tuple[str, ...]:
        """The rules of what stands outside all blocks."""
        return tuple(str(name) for name in self._rules["_item"].scan_values(_is_rule))

    @cached_property
    def reachable(self) -> frozenset[str]:
        """Every rule that a statement can lead to, but for the smallest parts."""
        found: set[str] = set()
        todo = list(self.statements)
        while todo:
            name = todo.pop()
            if name in found or name in _PIECES or name not in self._rules:
                continue
            found.add(name)
            todo += [str(part) for part in self._rules[name].scan_values(_is_rule)]
        return frozenset(name for name in found if not name.startswith("_"))

    def form(self, statement: str) -> str:
        """A statement and, below it, the parts that it names."""
        self._later: list[str] = []
        text = "\n".join(self._alternatives(statement))
        done: set[str] = set()
        while self._later:
            part = self._later.pop(0)
            if part in done:
                continue
            done.add(part)
            lines = "\n".join(f"    {line}" for line in self._alternatives(part))
            text += f"\n\n{_marked(part)}\n{lines}"
        return text.replace(" .. ", "..").replace("NUMBER %", "NUMBER%")

    def _alternatives(self, name: str) -> list[str]:
        """One text for each alternative of a rule."""
        self.shown.add(name)
        body = self._rules[name]
        several = body.children if body.data == "expansions" else [body]
        return [self._show(one) for one in several]

    def _show(self, node: Tree[Token] | Token | None) -> str:
        if node is None:
            return ""
        if isinstance(node, Token):
            return self._piece(node)
        if node.data == "alias":  # the tree's name of an alternative: not for people
            return self._show(node.children[0])
        if node.data == "expansion":
            return " ".join(part for child in node.children if (part := self._show(child)))
        if node.data == "expansions":
            several = [part for child in node.children if (part := self._show(child))]
            return several[0] if len(several) == 1 else f"({' | '.join(several)})"
        if node.data == "expr":
            return _repeated(self._show(node.children[0]), node.children[1])
        if node.data == "template_usage":
            return self._block(str(node.children[1].children[0]))
        return " ".join(part for child in node.children if (part := self._show(child)))

    def _piece(self, token: Token) -> str:
        name = str(token)
        if token.type == "STRING":
            return name.strip('"')
        if name in _UNSEEN:
            return ""
        if name in _PIECES:
            return _PIECES[name]
        if name not in self._rules:
            raise ValueError(f"tools/grammar_forms.py does not say how {name} is shown")
        body = self._rules[name]
        if name == "_query" or body.data == "expansions":
            self._later.append(name)
            return _marked(name)
        self.shown.add(name)
        return self._show(body)

    def _block(self, line: str) -> str:
        """The lines that a block may hold."""
        body = self._rules[line]
        several = body.children if body.data == "expansions" else [body]
        self.shown.add(line)
        return "{\n" + "\n".join(f"  {self._show(one)}" for one in several) + "\n}"


def _is_rule(token: object) -> bool:
    return isinstance(token, Token) and token.type == "RULE"


def _marked(name: str) -> str:
    return f"‹{name.strip('_').replace('_', ' ')}›"


def _repeated(text: str, sign: Token | None) -> str:
    if not text or sign is None:
        return text
    if sign == "+":
        return f"{text} …"
    return f"[{text}]" + (" …" if sign == "*" else "")
