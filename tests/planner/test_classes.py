"""A class that noise drowns is named, and what is said to be enough is enough."""

import re

from secgen_dsl.planner.classes import GREATEST_CLASS_ERROR
from secgen_dsl.planner.predict import predict

from .test_advice import planned

PERSON = """person {
  key patient; at most 1 sample; in at most 1 silo; at most 1000 people in all
  expect subtype MSI ~ 3% "registry"
  expect subtype GS ~ 15% "registry"
}
"""
MEASURE = "measure {{ marginal subtype * sex{target} }}\n"
COLUMNS = "columns {{ {subtype}; sex category {{ female, male, unknown }} else unknown }}\n"
SUBTYPE = "subtype category { CIN, GS, MSI, unknown } else unknown"


def text(
    epsilon: str = "0.5", person: str = PERSON, subtype: str = SUBTYPE, target: str = ""
) -> str:
    return (
        person
        + COLUMNS.format(subtype=subtype)
        + f"privacy {{ add or remove one person; epsilon {epsilon}; delta 1e-6 }}\n"
        + MEASURE.format(target=target)
    )


def worst(spec: str, label: str) -> float:
    cells = [cell for p in predict(planned(spec).plan) for cell in p.expected]
    return max(cell.relative_error for cell in cells if cell.label == label)


def test_a_class_that_drowns_is_named_with_what_is_enough() -> None:
    (warning,) = planned(text()).warnings
    assert warning.code == "SG319"
    assert "subtype MSI" in warning.message
    assert "10 are expected" in warning.message
    assert worst(text(), "subtype MSI") > GREATEST_CLASS_ERROR > worst(text(), "subtype GS")
    line = re.search(r"write (subtype category .*?), and map", warning.next_step)
    assert line is not None
    assert line.group(1) == "subtype category { CIN, GS_or_MSI, unknown } else unknown"
    merged = PERSON.replace("MSI ~ 3%", "GS_or_MSI ~ 18%")
    merged = "".join(part for part in merged.splitlines(True) if "GS ~" not in part)
    after = text(person=merged, subtype=line.group(1))
    assert planned(after).warnings == ()
    said = re.search(r"a cell's error is then (\d+)%", warning.next_step)
    assert said is not None
    assert round(100 * worst(after, "subtype GS_or_MSI")) == int(said.group(1))
    epsilon = re.search(r"epsilon ([0-9.]+) is enough", warning.next_step)
    assert epsilon is not None
    assert all(one.code != "SG319" for one in planned(text(epsilon.group(1))).warnings)
    less = f"{float(epsilon.group(1)) - 0.1:.2g}"
    assert any(one.code == "SG319" for one in planned(text(less)).warnings)


def test_where_nobody_is_left_to_merge_with_epsilon_is_offered_alone() -> None:
    alone = "".join(part for part in PERSON.splitlines(True) if "GS ~" not in part)
    (warning,) = planned(text(person=alone)).warnings
    assert "merge it with a class" not in warning.next_step
    assert warning.next_step == "epsilon 1.1 is enough"
    # Parties add noise of a least variance: some classes no epsilon saves.
    (warning,) = planned(text(person=alone.replace("3%", "1%"))).warnings
    assert "say little of subtype MSI" in warning.next_step


def test_who_asks_for_an_accuracy_is_not_warned() -> None:
    assert planned(text(target=" error 20%")).warnings == ()
    # Nor twice where the whole table is drowned.
    found = [one.code for one in planned(text(epsilon="0.02")).warnings]
    assert found == ["SG314"]
