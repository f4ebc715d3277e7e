"""Habits from other languages, and how a spec writes the same: numbers, words, signs, comments."""

import re
import unicodedata
from collections.abc import Callable
from decimal import Decimal
from re import Match

from secgen_dsl.diagnostics.diagnostic import nearest
from secgen_dsl.syntax.scene import BARE, WORD, Explanation, Scene
from secgen_dsl.syntax.shapes import BLOCKS, KEYWORDS, SELDOM, STATEMENTS

_ANY_NAME = "any_name"
_LONGEST_TRIAL = 10_000
"""Behind so many characters of a piece no missing word is sought: each trial parses them again."""

_LAST_NAME = re.compile(r"([A-Za-z_][A-Za-z0-9_.+/-]*)[ \t]+$")
_SIGNS = re.compile(r"[=:]+")

_MINUS = "-−–—"
_DIGITS = "0123456789"
_NUMBER = r"[0-9]+(?:\.[0-9]+)?"

NUMBER_WORDS = {
    word: number
    for number, word in enumerate(
        ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"), start=1
    )
}

SYNONYMS = {
    **dict.fromkeys(("ε", "ϵ", "eps"), "epsilon"),
    "δ": "delta",
    **dict.fromkeys(("otherwise", "default"), "else"),
    **dict.fromkeys(("categorical", "factor", "enum", "string"), "category"),
    **dict.fromkeys(("count", "counts", "histogram", "table", "crosstab"), "marginal"),
    **dict.fromkeys(("id", "identifier"), "key"),
    **dict.fromkeys(("rows", "records"), "samples"),
    **dict.fromkeys(("corrupted", "corrupt", "malicious", "dishonest"), "colluding"),
    **dict.fromkeys(("patient", "individual"), "person"),
    **dict.fromkeys(("patients", "persons", "individuals"), "people"),
    **dict.fromkeys(("hospitals", "sites", "centers", "centres"), "silos"),
    **dict.fromkeys(("file", "in"), "from"),
    **dict.fromkeys(("reference", "import"), "public"),
    **dict.fromkeys(("description", "title", "aim"), "purpose"),
    **dict.fromkeys(("genes", "gene"), "panel"),
    **dict.fromkeys(("query", "queries", "select"), "measure"),
    **dict.fromkeys(("budget", "dp"), "privacy"),
    **dict.fromkeys(("output", "outputs", "publish"), "release"),
    **dict.fromkeys(("equal-width", "uniform"), "equal"),
}
"""Words and letters that a reader of papers or other languages would write → the language's."""

JOINERS = frozenset({"and", "by", "x", "×", "·", "+", ",", "&", ":", "|", "with", "vs"})
"""What stands for ``*`` or a comma elsewhere."""

COMMENTS = ("//", "--", "/*")
"""What begins a comment elsewhere."""


def _plain(value: Decimal) -> str:
    """A number as a spec writes it: plain, or ``1e-6`` where it is small."""
    if value and abs(value) < Decimal("0.001"):
        digits, _, exponent = f"{value.normalize():e}".partition("e")
        return f"{digits}e{int(exponent)}"
    return f"{value.normalize():f}"


def _fraction(match: Match[str]) -> str:
    numerator, denominator = Decimal(match.group(1)), Decimal(match.group(2))
    if not denominator or numerator / denominator * denominator != numerator:
        return ""  # no decimal number is exactly that
    return _plain(numerator / denominator)


_FORMS: tuple[tuple[re.Pattern[str], Callable[[Match[str]], str]], ...] = (
    (  # 5 x 10^-7
        re.compile(rf"({_NUMBER})[ \t]*[x×*·][ \t]*10[ \t]*(?:\^|\*\*)[ \t]*([{_MINUS}]?)([0-9]+)"),
        lambda m: f"{m.group(1)}e{'-' if m.group(2) else ''}{m.group(3)}",
    ),
    (  # 10^-6, 10**-6
        re.compile(rf"10[ \t]*(?:\^|\*\*)[ \t]*([{_MINUS}]?)([0-9]+)"),
        lambda m: f"1e{'-' if m.group(1) else ''}{m.group(2)}",
    ),
    (  # 1e−6 with another minus than the keyboard's
        re.compile(rf"({_NUMBER})[eE][{_MINUS}]([0-9]+)"),
        lambda m: f"{m.group(1)}e-{m.group(2)}",
    ),
    (  # 0.0001%
        re.compile(r"([0-9]+)(?:[.,]([0-9]+))?[ \t]*%"),
        lambda m: _plain(Decimal(f"{m.group(1)}.{m.group(2) or 0}") / 100),
    ),
    (re.compile(r"([0-9]+)[ \t]*/[ \t]*([0-9]+)"), _fraction),
    (  # 1 000, 1'000
        re.compile(r"[0-9]{1,3}(?:[ '_][0-9]{3})+(?![0-9])"),
        lambda m: re.sub("[ '_]", "", m.group()),
    ),
    (re.compile(r"([0-9]+),([0-9]+)"), lambda m: f"{m.group(1)}.{m.group(2)}"),
    (re.compile(rf"\+({_NUMBER})"), lambda m: m.group(1)),
    (re.compile(r"(?<![0-9.])\.([0-9]+)"), lambda m: f"0.{m.group(1)}"),
    (re.compile(r"([0-9]+)\.(?![0-9.])"), lambda m: m.group(1)),
    (  # digits of another script or width
        re.compile(r"\d+"),
        lambda m: (
            ""
            if m.group().strip(_DIGITS) == ""
            else "".join(str(unicodedata.decimal(digit)) for digit in m.group())
        ),
    ),
)
_RANGE = re.compile(
    rf"(?<![.0-9])[\[(]?[ \t]*({_NUMBER})[ \t]*(?:\.\.\.|…|[{_MINUS}:,]|\bto\b)"
    rf"[ \t]*({_NUMBER})[ \t]*[\])]?(?![.0-9])"
)


def plain_number(text: str, offset: int) -> tuple[int, int, str] | None:
    """A number around ``offset`` that is written otherwise: (start, end, as a spec writes it)."""
    start, end = _line(text, offset)
    for pattern, form in _FORMS:
        for match in pattern.finditer(text, start, end):
            if match.start() <= offset <= match.end() and form(match):
                return match.start(), match.end(), form(match)
    return None


def plain_range(text: str, offset: int) -> tuple[int, int, str] | None:
    """A range around ``offset`` that is written otherwise: (start, end, as a spec writes it)."""
    for match in _RANGE.finditer(text, *_line(text, offset)):
        if match.start() <= offset < match.end():
            return match.start(), match.end(), f"{match.group(1)}..{match.group(2)}"
    return None


def _line(text: str, offset: int) -> tuple[int, int]:
    """Start and end of the line that holds ``offset``; of a long line only what is near."""
    start = text.rfind("\n", 0, offset) + 1
    end = text.find("\n", offset)
    near = max(start, offset - 200)
    return near, min(len(text) if end < 0 else end, offset + 200)


def comment_end(text: str, offset: int) -> int:
    """Where a comment of another language that begins at ``offset`` ends."""
    end = text.find("\n", offset)
    end = len(text) if end < 0 else end
    closed = text.find("*/", offset) + 2 if text.startswith("/*", offset) else 1
    return closed if closed > 1 else end


def _home(block: str, example: str) -> dict[str, str]:
    """The first words of an example's statements → the block."""
    inner = example.partition("{")[2].rpartition("}")[0]
    firsts = [statement.split()[0] for statement in inner.split(";") if statement.split()]
    return dict.fromkeys(firsts, block)


HOMES: dict[str, str] = {
    word: home
    for block in ("study", "trust", "person", "privacy", "measure", "release")
    for word, home in _home(block, BLOCKS[block]).items()
} | {"measurements": "release", "contact": "study", "cohort": "study"}
"""First word of a statement → the block that it stands in (taken from the blocks' examples)."""


def comment(scene: Scene) -> Explanation | None:
    """A comment of another language."""
    start = scene.fault.start
    sign = next((sign for sign in COMMENTS if scene.text.startswith(sign, start)), None)
    if sign is None or scene.place.in_list:
        return None
    return scene.say(
        "SG110",
        f'"{sign}" does not begin a comment',
        "a comment of another language",
        f'begin the comment with "#" in place of "{sign}"',
        length=len(sign),
        only=(start, comment_end(scene.text, start)),
    )


def odd_number(scene: Scene) -> Explanation | None:
    """A number or range that is written as other languages or countries do."""
    fault, start = scene.fault, scene.fault.start
    behind_number = scene.text[:start].rstrip(" \t")[-1:].isdigit()
    if scene.place.in_list or not (fault.number or behind_number):
        return None
    word = NUMBER_WORDS.get(scene.found)
    if word is not None and fault.number:
        return _number(scene, start, start + len(scene.found), str(word))
    if ".." in fault.words or scene.place.word == "panel":
        written = plain_range(scene.text, start)
        if written is not None:
            return _number(scene, *written, what="range")
    written = plain_number(scene.text, start)
    return None if written is None else _number(scene, *written)


def _number(scene: Scene, start: int, end: int, plain: str, what: str = "number") -> Explanation:
    return scene.say(
        "SG110",
        f'a {what} is not written as "{scene.text[start:end].strip()}"',
        f"not a {what} of a spec",
        f"write {plain}",
        start=start,
        length=end - start,
    )


def other_word(scene: Scene) -> Explanation | None:
    """A word of another language, or a statement that stands in another block."""
    fault, place, found = scene.fault, scene.place, scene.found
    meant = SYNONYMS.get(found, "")
    if meant in fault.words:
        return scene.say(
            "SG111", f'a spec says "{meant}" for "{found}"', "another word", f"write {meant}"
        )
    if found.rstrip(".,:") in fault.words:
        return scene.say(
            "SG110",
            f'"{found[-1]}" does not end a statement',
            "the end of the line does",
            f"remove it: {found.rstrip('.,:')}",
        )
    if found[0] == '"' and found[1:-1] in fault.words:
        return scene.say(
            "SG110",
            f"{found} is a word of the language",
            "in quotes it is a text",
            f"write {found[1:-1]} without quotes",
        )
    if found == "using" and place.block == "measure":
        return scene.say(
            "SG110",
            "what learning bins may use of the budget stands in `privacy`, once for all",
            "not here",
            "move it to: privacy { … learned bins using at most 15% }",
        )
    home = HOMES.get(found, "") if scene.first else ""
    if home and home != place.block and found not in fault.words:
        where = f"in `{place.block}`" if place.braces else "outside all blocks"
        return scene.say(
            "SG110",
            f"`{found}` belongs in the block `{home}`, not {where}",
            "not here",
            f"move it to: {BLOCKS[home]}",
        )
    if place.braces and place.word in BLOCKS and place.word != place.block:
        rest = scene.text[place.start :]
        return scene.say(
            "SG110",
            f"`{place.word}` stands outside all blocks, not in `{place.block}`",
            f"`{place.block}` is still open here",
            f"move it out of `{place.block}`, or close that block before it",
            start=place.start + len(rest) - len(rest.lstrip()),
            length=len(place.word),
        )
    sign = _SIGNS.match(found)
    joiner = sign.group() if sign else found
    if joiner in JOINERS and "*" in fault.words:
        return scene.say(
            "SG110",
            f'columns are not joined by "{joiner}"',
            'expected "*"',
            "write * between the columns, or one marginal a line",
            length=len(joiner),
        )
    if joiner in JOINERS and "," in fault.words and joiner != ",":
        return scene.say(
            "SG110",
            f'the items of a list are not joined by "{joiner}"',
            "expected a comma",
            "write a comma in its place",
            length=len(joiner),
        )
    return None


def missing_word(scene: Scene) -> Explanation | None:
    """The one word or sign without which the parser does not take what stands here."""
    start, found = scene.fault.start, scene.found
    words = [word for word in scene.fault.words if word not in SELDOM]
    before = scene.before()
    if found == "{" and scene.place.block == "columns" and "category" in words:
        return scene.say(
            "SG110",
            '"category" is missing before "{"',
            "it belongs here",
            "write: category {; or for mutations: mutation {",
            length=1,
        )
    if scene.first or found[0] in "=:" or len(before) > _LONGEST_TRIAL:
        return None
    if found in STATEMENTS and scene.fault.line_end and scene.reads(f"{before};{found}"):
        return scene.say(
            "SG110",
            f'a new statement begins with "{found}"',
            "the one before it ends here",
            "write it on a line of its own, or put ; before it",
        )
    behind = WORD.match(scene.text[start + len(found) :].lstrip(" \t"))
    name = _LAST_NAME.search(before)
    if name and behind and behind.group() in words and BARE.fullmatch(found):
        return scene.say(
            "SG110",
            f'a name of several words is not in quotes before "{behind.group()}"',
            "the second word",
            f'write: "{name.group(1)} {found}"',
        )
    if nearest(found, words):
        return None
    fits = [word for word in words if word != "}" and scene.reads(f"{before} {word} {found}")]
    if len(fits) > 1 and behind:
        fits = [word for word in fits if scene.reads(f"{before} {word} {found} {behind.group()}")]
    if "," in fits:
        fits = [","]
    takes_any = len(fits) == 1 and scene.reads(f"{before} {fits[0]} {_ANY_NAME}")
    if len(fits) != 1 or (takes_any and found in KEYWORDS | JOINERS):
        return None
    if fits == [","]:
        return scene.say(
            "SG110",
            f"a comma is missing before {scene.shown()}",
            "the next item of the list",
            "separate the items with commas"
            + ("; a name of several words stands in quotes" if scene.place.in_list else ""),
        )
    behind_it = scene.text[start : scene.piece[1]]
    opens = fits == ["{"] and "}" in (behind_it.split("\n")[0] if scene.place.braces else behind_it)
    return scene.say(
        "SG110",
        f'"{fits[0]}" is missing before {scene.shown()}',
        "it belongs here",
        scene.form if fits == ["{"] else f"write: {fits[0]} {found}",
        put=(start - 1, "{") if opens and before[-1:] in (" ", "\t") else None,
    )
