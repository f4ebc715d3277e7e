"""One change between two plans, and the ways in which two values, figures or lists differ."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

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

    def words(self) -> str:
        """The change in one line."""
        if self.before is not None and self.after is not None:
            text = f"{self.what}: {self.before} → {self.after}"
        elif self.after is not None:
            text = f"{self.what}: new, {self.after}"
        elif self.before is not None:
            text = f"{self.what}: gone, was {self.before}"
        else:
            text = f"{self.what}:"
        if self.factor is not None and f"{self.factor:.3g}" != "1":
            text += f" (× {self.factor:.3g})"
        if not self.note:
            return text
        return f"{text} {self.note}" if text.endswith(":") else f"{text}; {self.note}"


def value(what: str, before: str, after: str) -> Iterator[Change]:
    """A text that differs; an empty one is ``none``."""
    if before != after:
        yield Change(what, before or "none", after or "none")


def figure(
    what: str, before: float, after: float, show: Callable[[float], str]
) -> Iterator[Change]:
    """A figure whose shown text differs, with the factor between the two."""
    shown = show(before), show(after)
    if shown[0] != shown[1]:
        factor = after / before if before > 0 and after > 0 else None
        yield Change(what, *shown, factor)


def members(what: str, before: Sequence[str], after: Sequence[str]) -> Iterator[Change]:
    """A list of distinct names: how many there are, which came and went, or another order."""
    if tuple(before) == tuple(after):
        return
    came = [name for name in after if name not in set(before)]
    went = [name for name in before if name not in set(after)]
    notes = []
    if came:
        notes.append(f"added {_listed(came)}")
    if went:
        notes.append(f"removed {_listed(went)}")
    if notes:
        yield Change(what, str(len(before)), str(len(after)), note="; ".join(notes))
    else:
        yield Change(what, None, None, note="the same ones in another order")


def items(
    kind: str,
    before: Mapping[str, _Item],
    after: Mapping[str, _Item],
    describe: Callable[[_Item], str],
    compare: Callable[[str, _Item, _Item], Iterator[Change]],
) -> Iterator[Change]:
    """Named things of one kind: those that went, came, or differ.

    Args:
        kind: for example ``column``.
        before: name → thing of the old plan, in its order.
        after: of the new one.
        describe: a thing in words, where it is new or gone.
        compare: the changes of a thing that both plans have; its first argument is kind and name.
    """
    for name, old in before.items():
        if name not in after:
            yield Change(f"{kind} {name}", describe(old), None)
    for name, new in after.items():
        if name not in before:
            yield Change(f"{kind} {name}", None, describe(new))
        else:
            yield from compare(f"{kind} {name}", before[name], new)


def order(what: str, before: Iterable[str], after: Iterable[str]) -> Iterator[Change]:
    """Another order of the names that both plans have."""
    old, new = list(before), list(after)
    shared = [name for name in new if name in old]
    if shared != [name for name in old if name in new]:
        yield Change(f"order of {what}", None, None, note=f"now {_listed(shared)}")


def named_order(what: str, before: Iterable[Named], after: Iterable[Named]) -> Iterator[Change]:
    """``order`` of the names of things."""
    return order(what, [each.name for each in before], [each.name for each in after])


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_LISTED])
    return shown if len(names) <= _LISTED else f"{shown} and {len(names) - _LISTED} more"
