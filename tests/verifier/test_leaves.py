"""Every leaf of a plan is claimed (and then checked) or on the reviewed list of unclaimed ones."""

import copy
import json
import os
import re
from fractions import Fraction
from pathlib import Path as File
from typing import Any

import pytest
from pydantic import ValidationError

from secgen_dsl.cli.study import PlannedStudy, plan_spec
from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.ir import program, queries
from secgen_dsl.ir.base import Node, canonical_json, read_node, sha256_of
from secgen_dsl.ir.plan import Plan
from secgen_dsl.verifier import verify
from tests.verifier.leaves import CLAIMED, UNCLAIMED, Path, changed, leaves, pattern

STUDIES = ["colorectal", "two_hospitals", "five_parties", "pure", "every_feature"]


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


@pytest.fixture(scope="module")
def every_feature() -> PlannedStudy:
    """A small study with every kind of declaration, query and importance."""
    return plan_spec(File(__file__).with_name("every_feature") / "study.secgen")


@pytest.fixture(params=STUDIES)
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


def test_no_pattern_is_idle(request: pytest.FixtureRequest) -> None:
    seen: set[str] = set()
    for name in STUDIES:
        planned: PlannedStudy = request.getfixturevalue(name)
        seen |= {pattern(path) for path, _ in leaves(json.loads(canonical_json(planned.plan)))}
    assert set(CLAIMED) | UNCLAIMED == seen


def test_every_field_of_the_models_is_met(every_feature: PlannedStudy) -> None:
    """No field of the IR is without a leaf in the study above, whatever is added to the IR."""
    met: set[tuple[str, str]] = set()
    fields: set[tuple[str, str]] = set()

    def walk(node: Any) -> None:
        if isinstance(node, Node):
            fields.update((type(node).__name__, name) for name in type(node).model_fields)
            for name in type(node).model_fields:
                value = getattr(node, name)
                if value not in (None, ()):
                    met.add((type(node).__name__, name))
                walk(value)
        elif isinstance(node, tuple):
            for item in node:
                walk(item)

    walk(every_feature.plan)
    assert fields == met
    known = {
        name
        for module in (program, queries)
        for name, kind in vars(module).items()
        if isinstance(kind, type) and issubclass(kind, Node)
    }
    assert {name for name, _ in fields} >= known - {"Node", "Study"}


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


def test_an_approval_that_a_release_needs_is_claimed(every_feature: PlannedStudy) -> None:
    data = json.loads(canonical_json(every_feature.plan))
    for silo in (1, 2):
        weaker = changed(data, ("program", "silos", silo, "terms", "approval"), "")
        with pytest.raises(SecgenError, match="do not allow a release to public"):
            verify(read_node(Plan, json.dumps(weaker)))


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
        noise = weaker["rounds"][0]["releases"][index]["noise"]
        noise |= {"variance": "0", "party_variance": "0"}
        with pytest.raises(SecgenError):
            verify(read_node(Plan, json.dumps(weaker)))


def test_small_scales_are_not_centred(colorectal: PlannedStudy) -> None:
    """The rule s ≥ 3·√(B/2), on each party's own scale, whatever the budget would allow."""
    data = json.loads(canonical_json(colorectal.plan))
    data["program"]["privacy"]["epsilon"] = "50"
    index = next(i for i, r in enumerate(data["rounds"][0]["releases"]) if r["map"] == "centred")
    release = data["rounds"][0]["releases"][index]
    bins = 4
    noise = release["noise"]
    noise |= {"variance": str(9 * bins), "party_variance": str(Fraction(9 * bins, 2))}
    assert verify(read_node(Plan, json.dumps(data))).epsilon < 50
    noise |= {"variance": str(9 * bins - 1), "party_variance": str(Fraction(9 * bins - 1, 2))}
    with pytest.raises(SecgenError, match="too small to centre"):
        verify(read_node(Plan, json.dumps(data)))
