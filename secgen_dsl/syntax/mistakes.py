"""Syntax errors in the user's words: what is wrong, where, and the next step."""

import re
from collections.abc import Callable
from dataclasses import replace

from secgen_dsl.diagnostics.diagnostic import nearest
from secgen_dsl.syntax.habits import comment, missing_word, odd_number, other_word
from secgen_dsl.syntax.later import LATER, OPENS_LATER, mixes_people
from secgen_dsl.syntax.scene import BARE, TEXT, WORD, Explanation, Scene
from secgen_dsl.syntax.shapes import BLOCKS, KEYWORDS, SELDOM, STATEMENTS

_LONGEST_SHOWN = 60
_MOST_TEXT_LINES = 5
_ALL_IN_QUOTES = 'put the whole text in quotes: "…"'

_RUN = re.compile(r'[^\s,{}"#]+')
_THOUSANDS = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])")
_FIRST = re.compile(r"[ \t]*([A-Za-z]+)[ \t]+")
_UNQUOTED = re.compile(r'[^\n;{}"#]+')
_SIGNS = re.compile(r"[=:]+")
_QUANTILES = frozenset({"quantiles", "quartiles", "tertiles", "deciles", "percentiles", "median"})
_COLUMN_KINDS = frozenset({"category", "number", "mutation"})
_PLAIN_SIGNS = frozenset("+-<>?!%&~^")
_PREVIOUS = re.compile(r"([A-Za-z]+)[ \t]*$")
_BINS_FOLLOW = re.compile(r"[ \t](?P<word>in)[ \t]+$")


def explain(scene: Scene) -> Explanation:
    """The first explanation that fits."""
    for explanation in _EXPLANATIONS:
        found = explanation(scene)
        if found is not None:
            return found
    return _other(scene)


def _clash(scene: Scene) -> Explanation | None:
    """A word of the language where a column or panel of that name may be meant."""
    previous = _PREVIOUS.search(scene.text, scene.place.start, scene.fault.start)
    if previous is None or previous.group(1) not in ("pairs", "each"):
        return None
    if not (scene.found in "*}" or scene.fault.at_line_end):
        return None
    word = previous.group(1)
    return scene.say(
        "SG110",
        f'"{word}" is a word of the language here',
        f"{scene.expected()} is missing behind it",
        f'a column or panel of that name needs quotes: "{word}"; else {scene.form}',
        start=previous.start(1),
        length=len(word),
    )


def _unclosed(scene: Scene) -> Explanation | None:
    """A block or list that is still open where the text, or what can stand in it, ends."""
    place = scene.place
    if not scene.fault.at_end and (not place.in_list or place.list_closed):
        return None
    if not place.braces:
        return scene.say(
            "SG110", "the spec ends too early", "the end of the file", scene.form, length=1
        )
    brace = place.braces[-1]
    what = "the list" if place.in_list else f"the block `{place.block}`"
    only = None
    swallowed = None if place.in_list else _swallowed(scene, brace)
    if swallowed is not None:
        what, brace = "the list", swallowed
    if place.in_list:  # go on with the line that could not belong to the list, else the next
        line = scene.text.rfind("\n", 0, scene.fault.start)
        only = place.start, line if line > brace else scene.text.find("\n", brace)
    return scene.say(
        "SG110",
        f"{what} is not closed",
        "opened here",
        'add the missing "}" at its end',
        start=brace,
        length=1,
        only=only,
    )


def _swallowed(scene: Scene, block: int) -> int | None:
    """The brace of a list that took the block's closing brace for its own: the indents tell."""
    indents: list[tuple[int, int]] = []
    for match in re.finditer(r'"(?:\\.|[^"\\\n])*"|#[^\n]*|[{}]', scene.text[block + 1 :]):
        offset = block + 1 + match.start()
        line = scene.text.rfind("\n", 0, offset) + 1
        before = scene.text[line:offset]
        indent = len(before) - len(before.lstrip())
        if match.group() == "{":
            indents.append((offset, indent))
        elif match.group() == "}" and indents:
            opened, outer = indents.pop()
            if not before.strip() and indent < outer:
                return opened
    return None


def _behind_list(scene: Scene) -> Explanation | None:
    """``{ a, b else c``, ``{ A, B in 3 bins``: the brace before ``else`` or ``in`` is missing."""
    place, start, word = scene.place, scene.fault.start, scene.found
    if place.in_list and place.block == "measure" and word.isdigit():
        bins = _BINS_FOLLOW.search(scene.text, place.braces[-1], start)
        if bins is not None:
            start, word = bins.start("word"), "in"
    if not (place.in_list and word in ("else", "in") and scene.text[start - 1] in " \t"):
        return None
    return scene.say(
        "SG110",
        "the list is not closed",
        "opened here",
        f'add the missing "}}" before "{word}"',
        start=place.braces[-1],
        length=1,
        put=(start - 1, "}"),
    )


def _column_in_list(scene: Scene) -> Explanation | None:
    """The next column, read as items of the list above that is not closed."""
    place = scene.place
    line = scene.text.rfind("\n", 0, scene.fault.start)
    if not place.in_list or place.block != "columns" or scene.found not in _COLUMN_KINDS:
        return None
    if line < place.braces[-1]:
        return None
    return scene.say(
        "SG110",
        "the list is not closed",
        "opened here",
        'add the missing "}" at its end',
        start=place.braces[-1],
        length=1,
        only=(place.start, line),
    )


def _going_on(scene: Scene) -> Explanation | None:
    """A line that ends with ``*`` or ``,`` takes the next statement for its rest."""
    line = scene.text.rfind("\n", 0, scene.fault.start) + 1
    if line <= scene.place.start or scene.place.in_list:
        return None
    first = _FIRST.match(scene.text, line)
    if first is None or first.group(1) not in STATEMENTS or first.end() > scene.fault.start:
        return None
    above = re.sub(r"#[^\n]*", lambda m: " " * len(m.group()), scene.text[:line]).rstrip()
    return scene.say(
        "SG110",
        f'the line ends with "{above[-1]}", so the next one belongs to it',
        "nothing of this statement follows",
        "finish the line, or remove this sign",
        start=len(above) - 1,
        length=1,
        only=(scene.place.start, line - 1),
    )


def _opening(scene: Scene) -> Explanation | None:
    """What stands where a block's ``{`` belongs."""
    fault, place = scene.fault, scene.place
    if fault.words != ("{",) or place.braces or place.word == "panel":
        return None
    rest = scene.text[fault.start : scene.piece[1]]
    behind = rest.lstrip(" \t\r\n")
    if fault.at_line_end and behind.startswith("{") and "\n" in rest[: len(rest) - len(behind)]:
        newline = scene.text.index("\n", fault.start)
        return scene.say(
            "SG110",
            f'the "{{" of `{place.word}` stands on a line of its own',
            "it belongs here",
            f"write it behind `{place.word}`, on the same line",
            length=1,
            put=(newline, " "),
        )
    if fault.at_line_end and "}" in rest:
        return None  # only the opening brace is missing
    if not fault.at_line_end and scene.found[0].isalnum() and "}" in rest:
        return None
    if scene.found[0] in '"{}':
        return None
    return scene.say(
        "SG110",
        f"the statements of `{place.word}` do not stand in braces",
        'the "{" belongs here',
        scene.form,
        length=1,
        only=(place.start, scene.piece[1]),
    )


def _unfinished(scene: Scene) -> Explanation | None:
    """The line, or the block, ends within a statement."""
    if not scene.fault.at_line_end and not (scene.found == "}" and scene.place.braces):
        return None
    return scene.say(
        "SG110",
        "the statement is not finished",
        f"{scene.expected()} is missing here",
        scene.form or "finish it on this line; a line goes on only after `,` or `*`",
        length=1,
    )


def _closes_nothing(scene: Scene) -> Explanation | None:
    if scene.found != "}":
        return None
    return scene.say(
        "SG110",
        'this "}" closes nothing',
        "no block is open here",
        "remove it, or the one above that closes its block too early",
    )


def _quotes(scene: Scene) -> Explanation | None:
    rest = scene.text[scene.fault.start :].split("\n", 1)[0]
    if rest.startswith('"'):
        if scene.found == '"':
            second = _second_line(scene, rest)
            if second is not None:
                return second
            return scene.say(
                "SG110",
                "a text in quotes is not closed",
                "opened here",
                'end it with " on the same line',
                length=len(rest.rstrip()),
                only=_up_to_brace(scene, rest),
            )
        if re.search(r'(?<!\\)(?:\\\\)*\\[^"\\]', scene.found):
            return scene.say(
                "SG110",
                "a single backslash cannot stand in a text",
                "in this text",
                r"write \\ for a backslash, or / in a path",
            )
    if rest and rest[0] in "“”„‘’'«»":
        return scene.say(
            "SG110",
            f"{rest[0]} does not open a text",
            "another kind of quote",
            'use straight double quotes: "…"',
            length=1,
        )
    return None


def _second_line(scene: Scene, rest: str) -> Explanation | None:
    """A text that goes on in the lines below, up to a single quote."""
    begin = scene.fault.start
    end = begin + len(rest)
    for line in scene.text[end + 1 : scene.piece[1]].split("\n")[:_MOST_TEXT_LINES]:
        end += 1 + len(line)
        if line.count('"') % 2:
            return scene.say(
                "SG110",
                "a text in quotes goes on in the next line",
                "it begins here",
                "write the text on one line",
                length=len(rest.rstrip()),
                only=(scene.place.start, end),
            )
        if '"' in line or "{" in line or "}" in line:
            break
    return None


def _up_to_brace(scene: Scene, rest: str) -> tuple[int, int] | None:
    """What an unclosed text spoils: not the brace at the line's end, which ends a block."""
    if scene.place.in_list:
        return None
    return scene.place.start, scene.fault.start + len(rest.rstrip("} \t\r"))


def _thousands(scene: Scene) -> Explanation | None:
    if scene.found != "," or "," in scene.fault.words:
        return None
    start = scene.fault.start
    while start > 0 and scene.text[start - 1].isdigit():
        start -= 1
    match = _THOUSANDS.match(scene.text, start)
    if match is None:
        return None
    return scene.say(
        "SG110",
        "a number is written without commas",
        "commas separate the items of a list",
        f"write {match.group().replace(',', '')}",
        start=start,
        length=len(match.group()),
    )


def _mixing(scene: Scene) -> Explanation | None:
    """A step over several people's rows, such as a normalisation (PRIVACY 7.3, S04)."""
    fault, place = scene.fault, scene.place
    listed = place.in_list and not place.list_closed
    elsewhere = place.braces and place.block not in ("measure", "panel")
    if fault.only_text or listed or elsewhere:
        return None
    found = mixes_people(scene.text, fault.start)
    if found is None:
        return None
    name, next_step = found
    return scene.say(
        "SG219",
        f'"{name}" would look at several people before they are counted',
        "one of them changes it for all",
        next_step,
        length=len(name),
    )


def _later(scene: Scene) -> Explanation | None:
    """A word of a later release, here or (``to named "…"``) just before."""
    if scene.fault.only_text:
        return None
    word, start = scene.found, scene.fault.start
    previous = _PREVIOUS.search(scene.text, scene.place.start, start)
    if previous is not None and previous.group(1) in OPENS_LATER:
        word, start = previous.group(1), previous.start(1)
    later = "quantile" if word in _QUANTILES else word
    if later not in LATER:
        return None
    message, next_step = LATER[later]
    label = "not in this release" if "release" in message else "not in the language"
    explanation = scene.say("SG112", message, label, next_step, start=start, length=len(word))
    return replace(explanation, after=scene.fault.start + len(scene.found))


def _odd_name(scene: Scene) -> Explanation | None:
    """A bare word with characters that only quotes allow, such as ``t(8;21)`` or ``α``."""
    start = scene.fault.start
    while start > scene.place.start and _RUN.match(scene.text[start - 1]):
        start -= 1
    run = _RUN.match(scene.text, start)
    glued = start < scene.fault.start
    if run is None or not (scene.fault.name or (glued and scene.place.in_list)):
        return None
    word = run.group().rstrip(";")
    if BARE.fullmatch(word) or "*" in word:
        return None
    signs_only = not any(c.isalnum() for c in word)
    if signs_only and not (scene.place.in_list and _PLAIN_SIGNS.issuperset(word)):
        return None
    if glued and not scene.place.in_list and word.split("(")[0] in STATEMENTS:
        return scene.say(
            "SG110",
            "a statement has no parentheses",
            f'a space belongs behind "{word.split("(")[0]}"',
            scene.form,
            start=start,
            length=len(word),
        )
    return scene.say(
        "SG110",
        f'the name "{word}" needs quotes',
        "a bare name has only letters, digits and . _ + - /",
        f'write "{word}" in quotes',
        start=start,
        length=len(word),
    )


def _other(scene: Scene) -> Explanation:
    """Any other word, text or sign."""
    fault, found = scene.fault, scene.shown()
    words = [word for word in fault.words if word.isalpha() and word not in SELDOM]
    form = scene.form or "compare the line with the examples in specs/"
    sign = _SIGNS.match(scene.found)
    if sign:
        rest = scene.text[fault.start + len(sign.group()) :].lstrip(" \t")
        behind = TEXT.match(rest) or WORD.match(rest)
        before = scene.text[scene.piece[0] : fault.start]
        goes_on = behind is not None and scene.reads(f"{before} {behind.group()}")
        return scene.say(
            "SG110",
            f'"{sign.group()}" has no place in a spec',
            "not needed",
            "leave it out" if goes_on else form,
            length=len(sign.group()),
        )
    only_number = fault.number and not (fault.name or fault.text or words)
    if only_number and scene.found[0] in "-−":
        return scene.say(
            "SG110", "no number of a spec is negative", "less than zero", "leave the sign out"
        )
    if scene.found[0] == "(" and scene.place.word == "panel" and not fault.name:
        return scene.say(
            "SG110",
            "a unit is one word",
            "not part of a unit",
            "write one word for the unit, for example: log2_tpm",
        )
    if fault.number and not fault.name and scene.found[0] in "([{":
        return scene.say(
            "SG110", "the numbers do not stand in brackets", "not needed", form, length=1
        )
    if fault.number and scene.found.startswith(".."):
        return scene.say(
            "SG110", "the unit is missing before the range", "what is left of it was read", form
        )
    if fault.only_text or only_number:
        what = "text in quotes" if fault.only_text else "number"
        if scene.found in KEYWORDS or not scene.found[0].isalnum():
            return scene.say(
                "SG110", f"a {what} is missing before {found}", "it belongs here", form
            )
        lacks = "is not in quotes" if fault.only_text else "is not a number"
        quoted = _in_quotes(scene) if fault.only_text else form
        return scene.say("SG110", f"{found} {lacks}", f"a {what} belongs here", quoted)
    if scene.found[0] in "([" and "{" in fault.words:
        return scene.say(
            "SG110",
            f'a list does not stand in "{scene.found[0]}"',
            'expected "{"',
            "write the list in braces: { a, b }",
            length=1,
        )
    if scene.found == ",":
        unneeded = scene.place.in_list
        if fault.line_end and not unneeded:
            return scene.say(
                "SG110",
                "statements are not separated by commas",
                "the statement ends here",
                "put each on a line of its own, or write ; in place of the comma",
            )
        return scene.say(
            "SG110",
            "this comma separates nothing" if unneeded else "no comma can stand here",
            "nothing stands before it" if unneeded else f"expected {scene.expected()}",
            "remove it" if unneeded else form,
        )
    if not scene.place.braces and "study" in words:
        blocks = f"the blocks are {', '.join(BLOCKS)}"
        return scene.say(
            "SG111",
            f"{found} does not begin a block",
            "not a block of the language",
            nearest(scene.found, words) or blocks,
        )
    hint = nearest(scene.found, words) if scene.found.isalpha() else ""
    if not scene.found.isprintable():
        return scene.say(
            "SG110",
            "a character that cannot be seen stands here",
            f"U+{ord(scene.found[0]):04X}",
            "remove it; it often comes along when a text is copied",
        )
    if scene.first and scene.place.braces and not hint:
        return scene.say(
            "SG111",
            f"{found} does not begin a statement of `{scene.place.block}`",
            f"expected {scene.expected()}",
            form,
        )
    if fault.line_end and not hint:
        return scene.say(
            "SG110", f"the statement does not go on with {found}", "one too many", form
        )
    return scene.say(
        "SG111" if scene.found.isalpha() and words and not fault.name else "SG110",
        f"{found} cannot stand here",
        f"expected {scene.expected()}",
        hint or form,
    )


def _in_quotes(scene: Scene) -> str:
    """How to put in quotes what stands here: the word, or the words up to the statement's end."""
    run = _UNQUOTED.match(scene.text, scene.fault.start)
    words = run.group().strip() if run else scene.found
    behind = scene.text[scene.fault.start + len(run.group() if run else "") :].split("\n", 1)[0]
    if behind.startswith('"'):
        whole = behind.count('"') % 2
        return _ALL_IN_QUOTES if whole else "remove it, or write it inside the quotes"
    if " " not in words or "." in scene.found or "/" in scene.found:
        return f'put it in quotes: "{scene.found}"'
    return f'put it in quotes: "{words}"' if len(words) <= _LONGEST_SHOWN else _ALL_IN_QUOTES


_EXPLANATIONS: tuple[Callable[[Scene], Explanation | None], ...] = (
    _unclosed,
    _behind_list,
    _column_in_list,
    _going_on,
    comment,
    _opening,
    _clash,
    _unfinished,
    _closes_nothing,
    _quotes,
    _thousands,
    _mixing,
    _later,
    odd_number,
    _odd_name,
    other_word,
    missing_word,
)
"""In the order in which they are tried; ``_other`` always fits."""
