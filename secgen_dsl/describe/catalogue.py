"""The words of a document in one language: every sentence has a key, in a file of ``texts``.

A text may hold ``**strong words**``, ```code```, ``[[id|words]]`` for a link to a section, and
``{name}`` where a figure or a given text goes.  What goes there is never read as markup.
"""

import re
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files

from secgen_dsl.describe.document import Code, Given, Inline, Link, Plain, Strong, Text, Value

LANGUAGES = ("en", "de")

_MARKUP = re.compile(
    r"\*\*(?P<strong>[^*]+)\*\*|`(?P<code>[^`]+)`|\[\[(?P<target>[^|\]]+)\|(?P<words>[^\]]+)\]\]"
    r"|\{(?P<name>[a-z_]+)\}"
)

_SUPERSCRIPT = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")

Part = str | Inline | Text
"""What goes in place of a name: words as they are, one inline, or a run of them."""


class Catalogue:
    """The texts of one language.

    Args:
        language: one of ``LANGUAGES``.

    Raises:
        ValueError: another one.
    """

    def __init__(self, language: str) -> None:
        if language not in LANGUAGES:
            raise ValueError(f"no texts in {language}")
        self.language = language
        self._texts = _texts(language)

    def __call__(self, key: str, /, **parts: Part) -> Text:
        """The text of a key with its places filled.

        Raises:
            KeyError: no such text, or a place has nothing to go there.
        """
        found: list[Inline] = []
        text, end = self._texts[key], 0
        for match in _MARKUP.finditer(text):
            if match.start() > end:
                found.append(Plain(text=text[end : match.start()]))
            end = match.end()
            found.extend(self._inline(match, parts))
        if end < len(text):
            found.append(Plain(text=text[end:]))
        return tuple(found)

    def count(self, key: str, number: int, /, **parts: Part) -> Text:
        """The text of ``key.one`` or ``key.many``; ``{number}`` is the number."""
        form = "one" if number == 1 else "many"
        return self(f"{key}.{form}", **{"number": self.integer(number), **parts})

    def words(self, key: str, /, **parts: Part) -> str:
        """The same without markup: for titles of pictures."""
        return "".join(each.text for each in self(key, **parts))

    def _inline(self, match: re.Match[str], parts: Mapping[str, Part]) -> Text:
        if match["strong"] is not None:
            return (Strong(text=match["strong"]),)
        if match["code"] is not None:
            return (Code(text=match["code"]),)
        if match["target"] is not None:
            return (Link(text=match["words"], target=match["target"]),)
        part = parts[match["name"]]
        if isinstance(part, str):
            return (Plain(text=part),) if part else ()
        return part if isinstance(part, tuple) else (part,)

    # -- numbers ---------------------------------------------------------------------------------

    def integer(self, number: int) -> str:
        """``12,345``, or ``12.345`` in German."""
        return self.local(f"{number:,}")

    def decimal(self, text: str) -> str:
        """A decimal number given as text, for example ``0.9991``; powers of ten as ``10⁻⁵``."""
        mantissa, _, power = text.lower().partition("e")
        if not power:
            return self.local(text)
        raised = "10" + str(int(power)).translate(_SUPERSCRIPT)
        return raised if mantissa == "1" else f"{self.local(mantissa)} · {raised}"

    def short(self, number: float) -> str:
        """Three digits, or all before the point."""
        return self.local(f"{number:.3g}" if number < 1000 else f"{number:,.0f}")

    def percent(self, share: float, digits: int = 1) -> str:
        """A share of 1 as a percentage."""
        return self.percent_sign(self.local(f"{100 * share:.{digits}f}"))

    def percent_sign(self, number: str) -> str:
        """A number with the sign as the language sets it."""
        return f"{number}\N{NO-BREAK SPACE}%" if self.language == "de" else f"{number}%"

    def local(self, text: str) -> str:
        """A number that is text already, with the separators of the language."""
        if self.language != "de":
            return text
        return text.translate(str.maketrans(",.", ".,"))


def given(text: str) -> Given:
    """Words of the spec."""
    return Given(text=text)


def code(text: str) -> Code:
    """Something that is typed."""
    return Code(text=text)


def value(text: str, trace: int) -> Value:
    """A figure with its trace."""
    return Value(text=text, trace=trace)


def keys(language: str) -> Mapping[str, str]:
    """Key → text."""
    return _texts(language)


@lru_cache
def _texts(language: str) -> Mapping[str, str]:
    """The texts of all files of the language's folder: a key is where it stands in its file."""
    found: dict[str, str] = {}
    for file in sorted((files("secgen_dsl.describe") / "texts" / language).iterdir(), key=str):
        if file.name.endswith(".toml"):
            _flatten("", tomllib.loads(file.read_text(encoding="utf-8")), found)
    return found


def _flatten(prefix: str, table: Mapping[str, object], found: dict[str, str]) -> None:
    for name, entry in table.items():
        if isinstance(entry, Mapping):
            _flatten(f"{prefix}{name}.", entry, found)
        elif prefix + name in found:
            raise ValueError(f"two files have the text {prefix}{name}")
        else:
            text = str(entry)
            begins = " " if text.startswith(" ") else ""  # it goes on from another text
            found[prefix + name] = begins + " ".join(re.split(r"[ \t\n]+", text.strip(" \t\n")))


ENGLISH = Catalogue("en")
"""For what commands print."""
