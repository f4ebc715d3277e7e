"""One change between two plans, and the ways in which two values, figures or lists differ.

Names and statements of a spec stay as they are; all other words are of one language's catalogue.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from secgen_dsl.describe.catalogue import ENGLISH, Catalogue

_LISTED = 6
"""Members of a list that a line names."""

_Item = TypeVar("_Item")


class Named(Protocol):
    """Whatever has a name."""

    @property
    def name(self) -> str:
        """Its name."""


@dataclass(frozen=True)
class Change:
    """One thing that differs.

    Attributes:
        what: what it is, for example ``epsilon`` or ``panel cycle: genes``.
        before: its text in the old plan; None: it was not there.
        after: its text in the new plan; None: it is gone.
        factor: the new figure over the old one, where both are figures above 0; else None.
        note: the rest in words, for example which members of a list came and went.
    """

    what: str
    before: str | None
    after: str | None
    factor: float | None = None
    note: str = ""

    def words(self, say: Catalogue = ENGLISH) -> str:
        """The change in one line."""
        if self.before is not None and self.after is not None:
            text = f"{self.what}: {self.before} → {self.after}"
        elif self.after is not None:
            text = f"{self.what}: {say.words('difference.came', what=self.after)}"
        elif self.before is not None:
            text = f"{self.what}: {say.words('difference.went', what=self.before)}"
        else:
            text = f"{self.what}:"
        if self.factor is not None and f"{self.factor:.3g}" != "1":
            text += f" (× {say.local(f'{self.factor:.3g}')})"
        if not self.note:
            return text
        return f"{text} {self.note}" if text.endswith(":") else f"{text}; {self.note}"


class Comparison:
    """Compares two plans part by part, and words what differs.

    Args:
        say: the words of one language.
    """

    def __init__(self, say: Catalogue) -> None:
        self.say = say

    def words(self, key: str, /, **parts: str) -> str:
        """A text of the catalogue's part ``difference``."""
        return self.say.words(f"difference.{key}", **parts)

    def part(self, what: str, key: str) -> str:
        """The name of a part of a thing."""
        return f"{what}: {self.words(key)}"

    def value(self, what: str, before: str, after: str) -> Iterator[Change]:
        """A text that differs; an empty one is ``none``."""
        if before != after:
            none = self.words("none")
            yield Change(what, before or none, after or none)

    def figure(
        self, what: str, before: float, after: float, show: Callable[[float], str]
    ) -> Iterator[Change]:
        """A figure whose shown text differs, with the factor between the two."""
        shown = show(before), show(after)
        if shown[0] != shown[1]:
            factor = after / before if before > 0 and after > 0 else None
            yield Change(what, *shown, factor)

    def members(self, what: str, before: Sequence[str], after: Sequence[str]) -> Iterator[Change]:
        """A list of distinct names: how many there are, which came and went, or another order."""
        if tuple(before) == tuple(after):
            return
        had, has = set(before), set(after)
        came = [name for name in after if name not in had]
        went = [name for name in before if name not in has]
        notes = []
        if came:
            notes.append(self.words("added", names=self._listed(came)))
        if went:
            notes.append(self.words("removed", names=self._listed(went)))
        if notes:
            yield Change(what, str(len(before)), str(len(after)), note="; ".join(notes))
        else:
            yield Change(what, None, None, note=self.words("reordered"))

    def items(
        self,
        kind: str,
        before: Mapping[str, _Item],
        after: Mapping[str, _Item],
        describe: Callable[[_Item], str],
        compare: Callable[[str, _Item, _Item], Iterator[Change]],
    ) -> Iterator[Change]:
        """Named things of one kind: those that went, came, or differ.

        Args:
            kind: the key of its name, for example ``column``.
            before: name → thing of the old plan, in its order.
            after: of the new one.
            describe: a thing in words, where it is new or gone.
            compare: the changes of a thing that both plans have; first comes its kind and name.
        """
        for name, old in before.items():
            if name not in after:
                yield Change(self.words(kind, name=name), describe(old), None)
        for name, new in after.items():
            if name not in before:
                yield Change(self.words(kind, name=name), None, describe(new))
            else:
                yield from compare(self.words(kind, name=name), before[name], new)

    def order(self, what: str, before: Iterable[str], after: Iterable[str]) -> Iterator[Change]:
        """Another order of the names that both plans have.

        Args:
            what: the key of the things in the plural, for example ``columns``.
        """
        old, new = dict.fromkeys(before), dict.fromkeys(after)
        shared = [name for name in new if name in old]
        if shared != [name for name in old if name in new]:
            of = self.words("order", what=self.words(what))
            yield Change(of, None, None, note=self.words("now", names=self._listed(shared)))

    def named_order(
        self, what: str, before: Iterable[Named], after: Iterable[Named]
    ) -> Iterator[Change]:
        """``order`` of the names of things."""
        return self.order(what, [each.name for each in before], [each.name for each in after])

    def _listed(self, names: Sequence[str]) -> str:
        shown = ", ".join(names[:_LISTED])
        if len(names) <= _LISTED:
            return shown
        return self.words("more", names=shown, number=str(len(names) - _LISTED))
