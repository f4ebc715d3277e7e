"""Every leaf of a plan is claimed (and then checked) or on the reviewed list of unclaimed ones."""

import copy
import json
import os
import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import pytest
from pydantic import ValidationError

from secgen_dsl.cli.study import PlannedStudy
from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.ir.base import canonical_json, read_node, sha256_of
from secgen_dsl.ir.plan import Plan
from secgen_dsl.verifier import verify

Path = tuple[str | int, ...]


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


def constant(new: Any) -> Callable[[Any], Any]:
    return lambda _: new


# Pattern of the path → a change that would make the plan promise more than it keeps.
CLAIMED: dict[str, Callable[[Any], Any]] = {
    "format": nonsense,
    "program.format": nonsense,
    "program.silos.*.name": other,
    "program.silos.*.terms.kind": lambda v: "controlled" if v == "open" else "open",
    "program.silos.*.terms.reference": lambda v: "" if v else "GRU",
    "program.helpers.*": other,
    "program.tolerated": more,
    "program.person.key": constant(""),
    "program.person.samples": more,
    "program.person.silos": more,
    "program.person.people_bound": constant(2**60),
    "program.columns.*.kind": nonsense,
    "program.columns.*.name": other,
    "program.columns.*.otherwise": other,
    "program.references.*.name": other,
    "program.references.*.unit": other,
    "program.references.*.sha256": constant(""),
    "program.panels.*.name": other,
    "program.panels.*.low": constant("50"),
    "program.panels.*.high": constant("-1"),
    "program.panels.*.list_sha256": other,
    "program.privacy.adjacency": constant("replace-one"),
    "program.privacy.epsilon": half,
    "program.privacy.delta": thousandth,
    "program.samples.rows": constant(0),
    "added.*.kind": nonsense,
    "added.*.id": other,
    "added.*.statement": other,
    "added.*.columns.*": other,
    "added.*.panel": constant("repair"),
    "added.*.bins": more,
    "added.*.binning": constant("equal"),
    "added.*.reference": other,
    "added.*.weight": constant("5"),
    "parties.*": other,
    "threshold": constant(0),
    "modulus": constant("257"),
    "rounds.*.number": more,
    "rounds.*.releases.*.marginal": other,
    "rounds.*.releases.*.map": lambda v: "identity" if v == "centred" else "centred",
    "rounds.*.releases.*.tables": lambda v: v + 1,
    "rounds.*.releases.*.raw_cells": lambda v: v - 1,
    "rounds.*.releases.*.opened": more,
    "rounds.*.releases.*.sensitivity_squared": half,
    "rounds.*.releases.*.variance": half,
    "rounds.*.releases.*.party_variance": half,
    "openings.*.round": more,
    "openings.*.marginal": other,
    "openings.*.values": more,
    "openings.*.recipients": constant("public"),
}
CLAIMED |= {
    f"program.marginals.*.{name}": change
    for name, change in {
        "kind": nonsense,
        "id": other,
        "statement": other,
        "columns.*": other,
        "panel": lambda v: "repair" if v is None else other(v),
        "bins": more,
        "binning": lambda v: "at" if v != "at" else "equal",
        "reference": other,
        "edges.*.*": constant("1000"),
        "weight": constant("7"),
    }.items()
}

# Reviewed: they say what a cell means, or whom a release is for when terms allow it anyway.
# No figure of the guarantee depends on them; the hash that sites approve covers them.
UNCLAIMED = {
    "program.columns.*.values.*",  # the text of a label; the number of labels is claimed
    "program.panels.*.genes.*",  # a gene's symbol; the number of genes is claimed
    "program.panels.*.unit",  # equal to the reference's where bins come from one (claimed there)
    "program.references.*.provenance",  # an assertion that people sign
    "program.samples.audience",  # checked against the terms (see program.silos.*.terms)
    "program.samples.formats.*",
    "program.measurements",  # checked against the terms
}


def leaves(data: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    if isinstance(data, dict):
        for key, value in data.items():
            yield from leaves(value, (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from leaves(value, (*path, index))
    else:
        yield path, data


def pattern(path: Path) -> str:
    return ".".join("*" if isinstance(part, int) else part for part in path)


def changed(data: Any, path: Path, value: Any) -> Any:
    result = copy.deepcopy(data)
    target = result
    for part in path[:-1]:
        target = target[part]
    target[path[-1]] = value
    return result


def thinned(data: Any) -> list[tuple[Path, Any]]:
    """All leaves in the full run; in the quick one, of long lists only some."""
    if os.environ.get("SECGEN_FULL"):
        return list(leaves(data))
    found = []
    for path, value in leaves(data):
        numbers = [part for part in path if isinstance(part, int)]
        if all(number < 3 or number % 16 == 15 for number in numbers):
            found.append((path, value))
    return found


@pytest.fixture(params=["colorectal", "two_hospitals", "five_parties"])
def plan(request: pytest.FixtureRequest) -> Plan:
    planned: PlannedStudy = request.getfixturevalue(request.param)
    return planned.plan


def test_the_plans_verify_and_survive_a_round_trip(plan: Plan) -> None:
    assert verify(plan).epsilon <= float(plan.program.privacy.epsilon)
    again = read_node(Plan, canonical_json(plan))
    assert again == plan
    assert sha256_of(again) == sha256_of(plan)


def test_every_leaf_is_claimed_or_reviewed(plan: Plan) -> None:
    patterns = {pattern(path) for path, _ in leaves(json.loads(canonical_json(plan)))}
    assert not patterns - set(CLAIMED) - UNCLAIMED
    assert not set(CLAIMED) & UNCLAIMED


def test_no_pattern_is_idle(colorectal: PlannedStudy, two_hospitals: PlannedStudy) -> None:
    seen: set[str] = set()
    for planned in (colorectal, two_hospitals):
        seen |= {pattern(p) for p, _ in leaves(json.loads(canonical_json(planned.plan)))}
    assert set(CLAIMED) | UNCLAIMED == seen


def test_weakening_a_claimed_leaf_fails_verification(plan: Plan) -> None:
    data = json.loads(canonical_json(plan))
    checked = 0
    for path, value in thinned(data):
        change = CLAIMED.get(pattern(path))
        if change is None:
            continue
        new = change(value)
        assert new != value, path
        weaker = changed(data, path, new)
        with pytest.raises((SecgenError, ValidationError)) as caught:
            verify(read_node(Plan, json.dumps(weaker)))
        if isinstance(caught.value, SecgenError):
            assert {d.code for d in caught.value.diagnostics} == {"SG320"}, path
        checked += 1
    assert checked > 80


def test_changing_any_leaf_changes_the_hash(plan: Plan) -> None:
    data = json.loads(canonical_json(plan))
    original = sha256_of(plan)
    for path, value in thinned(data):
        if isinstance(value, bool) or value is None:
            new: Any = "x"
        elif isinstance(value, int):
            new = value + 1
        elif re.fullmatch(r"-?\d+(/\d+)?", value):
            new = str(Fraction(value) + 1)
        else:
            new = value + "x"
        try:
            other_plan = read_node(Plan, json.dumps(changed(data, path, new)))
        except ValidationError:
            continue  # not even a plan
        assert sha256_of(other_plan) != original, path


def test_the_threshold_must_be_a_minority(colorectal: PlannedStudy) -> None:
    data = json.loads(canonical_json(colorectal.plan))
    for threshold in (0, 2, 3, -1):
        for key in ("threshold",):
            weaker = changed(data, (key,), threshold)
            weaker["program"]["tolerated"] = threshold
            with pytest.raises(SecgenError):
                verify(read_node(Plan, json.dumps(weaker)))


def test_an_opening_that_is_not_listed_or_listed_twice_fails(colorectal: PlannedStudy) -> None:
    data = json.loads(canonical_json(colorectal.plan))
    for openings in (data["openings"][:-1], data["openings"] + data["openings"][-1:]):
        with pytest.raises(SecgenError):
            verify(read_node(Plan, json.dumps(data | {"openings": openings})))


def test_a_release_without_noise_fails(colorectal: PlannedStudy) -> None:
    data = json.loads(canonical_json(colorectal.plan))
    for index in range(len(data["rounds"][0]["releases"])):
        weaker = copy.deepcopy(data)
        weaker["rounds"][0]["releases"][index] |= {"variance": "0", "party_variance": "0"}
        with pytest.raises(SecgenError):
            verify(read_node(Plan, json.dumps(weaker)))


def test_small_scales_are_not_centred(colorectal: PlannedStudy) -> None:
    """The rule s ≥ 3·√(B/2), on each party's own scale, whatever the budget would allow."""
    data = json.loads(canonical_json(colorectal.plan))
    data["program"]["privacy"]["epsilon"] = "50"
    index = next(i for i, r in enumerate(data["rounds"][0]["releases"]) if r["map"] == "centred")
    release = data["rounds"][0]["releases"][index]
    bins = 4
    release |= {"variance": str(9 * bins), "party_variance": str(Fraction(9 * bins, 2))}
    assert verify(read_node(Plan, json.dumps(data))).epsilon < 50
    release |= {"variance": str(9 * bins - 1), "party_variance": str(Fraction(9 * bins - 1, 2))}
    with pytest.raises(SecgenError, match="too small to centre"):
        verify(read_node(Plan, json.dumps(data)))
