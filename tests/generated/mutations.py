"""Specs as people and accidents change them: words, lines, braces, numbers, odd characters."""

import re
from random import Random

from tests.generated.words import KEYWORDS

_TOKEN = re.compile(r'"(?:\\.|[^"\\\n])*"|#[^\n]*|[A-Za-z0-9_.+/-]+|[ \t]+|.|\n', re.DOTALL)
_NUMBERS = (
    *("0", "1", "2", "3", "-1", "0.5", "1.5", "63", "64", "65", "100", "101", "1000", "1e3"),
    *("1e-6", "1e-12", "1e-13", "1e-30", "1e30", "1e31", "4294967296", "4294967297", "1e9"),
    *("1000000001", "0.001", "50", "50.0001", "99.9999999", "1e-1000", "9" * 31, "٣", "1_0"),
)
_ODD = (
    *('"', '""', "{", "}", "{}", "(", ")", ",", ";", "*", "..", "~", "%", "\\", "\n", "\r", "\t"),
    *("\0", "\x7f", "\u202e", "\u2028", "\ufeff", "é", "“", "”", "🧬", "#", "'", "`", "|"),
)


def mutated(random: Random, text: str) -> str:
    """A spec's text after one to four accidents."""
    for _ in range(random.choice((1, 1, 1, 1, 2, 4))):
        text = random.choice(_ACCIDENTS)(random, text)
    return text[:50_000]


def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(text) or [""]


def _words(random: Random, text: str) -> str:
    """Delete, repeat, swap or replace words."""
    tokens = _tokens(text)
    solid = [place for place, token in enumerate(tokens) if token.strip()] or [0]
    first, second = random.choice(solid), random.choice(solid)
    match random.choice(("delete", "repeat", "swap", "replace", "keyword")):
        case "delete":
            tokens[first] = ""
        case "repeat":
            tokens[first] += " " + tokens[first]
        case "swap":
            tokens[first], tokens[second] = tokens[second], tokens[first]
        case "replace":
            tokens[first] = tokens[second]
        case _:
            tokens[first] = random.choice(KEYWORDS)
    return "".join(tokens)


def _numbers(random: Random, text: str) -> str:
    """Another number: mostly still a spec, of odd content."""
    tokens = _tokens(text)
    places = [place for place, token in enumerate(tokens) if token[:1].isdigit()]
    if places:
        tokens[random.choice(places)] = random.choice(_NUMBERS)
    return "".join(tokens)


def _names(random: Random, text: str) -> str:
    """One quoted name becomes another, empty or odd."""
    tokens = _tokens(text)
    places = [place for place, token in enumerate(tokens) if token.startswith('"')]
    if places:
        others = [tokens[place] for place in places]
        odd = (
            '""',
            '" "',
            '"\t"',
            '"\u202e"',
            '"../.."',
            '"/"',
            '"a\u0301"',
            '"' + "x" * 300 + '"',
        )
        tokens[random.choice(places)] = random.choice((*others, *odd))
    return "".join(tokens)


def _lines(random: Random, text: str) -> str:
    """Delete, repeat or move lines; now and then a line comes a great many times."""
    lines = text.split("\n")
    place = random.randrange(len(lines))
    match random.choice(("delete", "repeat", "move", "join", "many")):
        case "delete":
            del lines[place]
        case "repeat":
            lines.insert(random.randrange(len(lines)), lines[place])
        case "move":
            lines.insert(random.randrange(len(lines)), lines.pop(place))
        case "join":
            lines[place : place + 2] = [" ".join(lines[place : place + 2])]
        case _:
            lines[place:place] = [lines[place]] * random.choice((3, 25, 400))
    return "\n".join(lines)


def _braces(random: Random, text: str) -> str:
    places = [place for place, char in enumerate(text) if char in '{}",;']
    if not places:
        return text
    place = random.choice(places)
    return text[:place] + random.choice(("", "{", "}", '"', "\n", ";")) + text[place + 1 :]


def _characters(random: Random, text: str) -> str:
    place = random.randint(0, len(text))
    return text[:place] + random.choice(_ODD) + text[place + random.randint(0, 1) :]


def _typos(random: Random, text: str) -> str:
    """A letter too few, too many, doubled or in another case."""
    places = [place for place, char in enumerate(text) if char.isalpha()]
    if not places:
        return text
    place = random.choice(places)
    letter = text[place]
    typo = random.choice(("", letter * 2, letter.swapcase(), random.choice("aeiouxz")))
    return text[:place] + typo + text[place + 1 :]


def _cut(random: Random, text: str) -> str:
    place = random.randint(0, len(text))
    return random.choice((text[:place], text[place:]))


def _bare_names(random: Random, text: str) -> str:
    """One bare word becomes another of the spec: a keyword, or mostly a name."""
    tokens = _tokens(text)
    places = [
        place
        for place, token in enumerate(tokens)
        if token[:1].isalpha() and (token not in KEYWORDS or random.random() < 0.05)
    ]
    if places:
        tokens[random.choice(places)] = tokens[random.choice(places)]
    return "".join(tokens)


_ACCIDENTS = (
    *(_numbers, _numbers, _numbers, _numbers, _numbers, _names, _names, _bare_names, _bare_names),
    *(_words, _words, _lines, _lines, _braces, _characters, _typos, _cut),
)
