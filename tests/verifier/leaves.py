"""Every leaf of a plan: claimed by the plan, hence checked, or reviewed and left unclaimed."""

import copy
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

Path = tuple[str | int, ...]
Change = Callable[[Any], Any]


def other(value: Any) -> Any:
    return f"{value}x"


def nonsense(_: Any) -> Any:
    return "nonsense"


def half(value: Any) -> Any:
    return str(Fraction(value) / 2)


def thousandth(value: Any) -> Any:
    return str(Fraction(value) / 1000)


def more(value: Any) -> Any:
    return value + 1


def constant(new: Any) -> Change:
    return lambda _: new


_HUGE = constant("2000000000")
_TINY = constant("-2000000000")
_LEARNED = constant(
    {
        "standard": {"reference": "", "centres": ["8"], "scales": ["2"]},
        "quantiles": [["0"]],
        "part": "1/2",
    }
)

# Pattern of the path → a change that would make the plan promise more than it keeps.
CLAIMED: dict[str, Change] = {
    "format": nonsense,
    "program.format": nonsense,
    "program.silos.*.name": other,
    "program.silos.*.terms.kind": lambda v: "controlled" if v == "open" else "open",
    "program.silos.*.terms.reference": lambda v: "" if v else "GRU",
    "program.helpers.*": other,
    "program.tolerated": more,
    "program.person.key": constant(""),
    "program.person.samples": more,
    "program.person.per": lambda v: "x" if v is None else other(v),
    "program.person.keep": constant(""),
    "program.person.silos": more,
    "program.person.people_bound": constant(2**60),
    "program.columns.*.kind": nonsense,
    "program.columns.*.name": other,
    "program.columns.*.otherwise": other,
    "program.columns.*.low": _HUGE,
    "program.columns.*.high": _TINY,
    "program.columns.*.binning": lambda v: "at" if v == "reference" else "reference",
    "program.columns.*.reference": other,
    "program.columns.*.edges.*": _HUGE,
    "program.references.*.name": other,
    "program.references.*.unit": other,
    "program.references.*.sha256": constant(""),
    "program.references.*.aligned_by": other,
    "program.references.*.labelled_by.*": other,
    "program.bridges.*.name": other,
    "program.bridges.*.units.*": other,
    "program.bridges.*.sha256.*": constant(""),
    "program.sets.*.name": other,
    "program.sets.*.sha256": constant(""),
    "program.panels.*.name": other,
    "program.panels.*.unit": other,
    "program.panels.*.counts": constant({"library_column": ""}),
    "program.panels.*.counts.library_column": constant(""),
    "program.panels.*.low": _HUGE,
    "program.panels.*.high": _TINY,
    "program.panels.*.missing": _HUGE,
    "program.panels.*.list_sha256": other,
    "program.privacy.adjacency": constant("replace-one"),
    "program.privacy.epsilon": half,
    "program.privacy.delta": lambda v: "-1/1000000" if v == "0" else thousandth(v),
    "program.privacy.mechanism": lambda v: "laplace" if v == "gaussian" else "gaussian",
    "program.expectations.*.column": other,
    "program.expectations.*.value": other,
    "program.expectations.*.share": constant("1"),
    "program.samples.rows": constant(0),
    "program.samples.audience.kind": lambda v: "silos" if v == "named" else "named",
    "program.measurements.kind": lambda v: "silos" if v == "named" else "named",
    "parties.*": other,
    "threshold": constant(0),
    "modulus": constant("257"),
    "rounds.*.number": more,
    "rounds.*.delay": lambda v: 0 if v else 1,
    "rounds.*.releases.*.query": other,
    "rounds.*.releases.*.map": lambda v: "identity" if v == "centred" else "centred",
    "rounds.*.releases.*.tables": more,
    "rounds.*.releases.*.raw_cells": lambda v: v - 1,
    "rounds.*.releases.*.halved": more,
    "rounds.*.releases.*.opened": more,
    "rounds.*.releases.*.noise.kind": nonsense,
    "rounds.*.releases.*.noise.sensitivity_squared": half,
    "rounds.*.releases.*.noise.variance": half,
    "rounds.*.releases.*.noise.party_variance": half,
    "rounds.*.releases.*.noise.sensitivity": lambda v: v - 1,
    "rounds.*.releases.*.noise.scale": half,
    "rounds.*.releases.*.noise.parts": more,
    "openings.*.round": more,
    "openings.*.query": other,
    "openings.*.values": more,
    "openings.*.recipients": constant("public"),
}
_QUERY: dict[str, Change] = {
    "kind": nonsense,
    "id": other,
    "statement": other,
    "columns.*": other,
    "panel": lambda v: "repair" if v is None else other(v),
    "gene": other,
    "bins": more,
    "binning": lambda v: "equal" if v in ("none", "at") else "at",
    "reference": other,
    "learned": _LEARNED,
    "importance.weight": lambda v: "7" if v == "1" else "1",
    "importance.share": lambda v: "1/2" if v is None else half(v),
    "importance.error": constant({"unit": "people", "value": "5"}),
}
CLAIMED |= {f"added.*.{name}": change for name, change in _QUERY.items()}
CLAIMED |= {f"program.queries.*.{name}": change for name, change in _QUERY.items()}
CLAIMED |= {
    "added.*.serves": other,
    "added.*.content": lambda v: "means" if v == "squares" else "squares",
    "added.*.coordinates": more,
    "added.*.clip": lambda v: v // 2,
}
_STANDARD: dict[str, Change] = {"reference": other, "centres.*": _HUGE, "scales.*": constant("0")}
CLAIMED |= {
    f"program.queries.*.{place}.{name}": change
    for place in ("standard", "learned.standard")
    for name, change in _STANDARD.items()
}
CLAIMED |= {
    f"program.queries.*.{name}": change
    for name, change in {
        "edges.*.*": _HUGE,
        "learned.part": half,
        "learned.quantiles.*.*": _HUGE,
        "source": other,
        "loadings.*.*": constant(2**16),
        "divisors.*": constant("0"),
        "variances.*": constant("0"),
        "importance.error.unit": lambda v: "people" if v == "percent" else "percent",
        "importance.error.value": half,
        "sets": other,
        "set_names.*": other,
        "keep": lambda v: 1 if v is None else v + 1,
        "keep_by": other,
        "genes.*": other,
        "pairs.*.*": constant(10**6),
    }.items()
}

# Reviewed: they say what a cell means, or whom a release is for when terms allow it anyway.
# No figure of the guarantee depends on them; the hash that sites approve covers them.
UNCLAIMED = {
    "program.silos.*.terms.approval",  # an assertion that people sign; see test_an_approval
    "program.columns.*.values.*",  # the text of a label; the number of labels is claimed
    "program.panels.*.genes.*",  # a gene's symbol; the number of genes is claimed
    "program.references.*.provenance",  # assertions that people sign
    "program.bridges.*.provenance",
    "program.sets.*.provenance",
    "program.expectations.*.provenance",
    "program.samples.audience.name",  # whoever it is, the terms allow it
    "program.samples.formats.*",
    "program.measurements.name",
}


def leaves(data: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every leaf of JSON data with its path; an empty list or object has none."""
    if isinstance(data, dict):
        for key, value in data.items():
            yield from leaves(value, (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from leaves(value, (*path, index))
    else:
        yield path, data


def pattern(path: Path) -> str:
    """A path with ``*`` for every index."""
    return ".".join("*" if isinstance(part, int) else part for part in path)


def changed(data: Any, path: Path, value: Any) -> Any:
    """A copy of JSON data with another value at a path."""
    result = copy.deepcopy(data)
    target = result
    for part in path[:-1]:
        target = target[part]
    target[path[-1]] = value
    return result
