"""What the warnings of a plan say is true: the plan that they offer is made and looked at."""

import re
from pathlib import Path

import pytest

from secgen_dsl.cli.study import PlannedStudy, plan_source
from secgen_dsl.diagnostics.diagnostic import Diagnostic, Source
from secgen_dsl.planner.advice import GREATEST_ERROR
from secgen_dsl.planner.predict import predict
from tests.study import FOLDER, complete

DROWNED = """measure {
  marginal subtype * cycle in 6 equal bins weight 0.1
  marginal subtype weight 10
}
privacy { add or remove one person; epsilon 0.08; delta 1e-6 }
"""


def planned(text: str) -> PlannedStudy:
    return plan_source(Source("spec.secgen", complete(text)), FOLDER)


def only_warning(text: str) -> Diagnostic:
    (warning,) = planned(text).warnings
    return warning


def budget(epsilon: str) -> str:
    return f"privacy {{ add or remove one person; epsilon {epsilon}; delta 1e-6 }}"


@pytest.mark.parametrize("epsilon", ["6", "10", "50"])
def test_the_epsilon_that_is_offered_gives_the_same_noise(epsilon: str) -> None:
    warning = only_warning(budget(epsilon))
    offered = re.search(r"write epsilon ([0-9.]+):", warning.next_step)
    assert offered is not None, warning.next_step
    large, small = planned(budget(epsilon)), planned(budget(offered.group(1)))
    assert large.plan.rounds == small.plan.rounds
    assert large.verified.epsilon == small.verified.epsilon <= float(offered.group(1))
    # It is the least of three digits or so: a hundredth less does not give that noise.
    less = planned(budget(f"{0.98 * float(offered.group(1)):.3g}"))
    assert less.plan.rounds != large.plan.rounds


def test_the_epsilon_that_is_offered_gives_ample_noise() -> None:
    warning = only_warning(budget("4"))
    offered = re.match(r"epsilon ([0-9.]+) or less", warning.next_step)
    assert offered is not None, warning.next_step
    plan = planned(budget(offered.group(1)))
    assert plan.warnings == ()
    assert min(release.noise.party_variance for release in plan.plan.releases()) >= 9
    assert planned(budget(f"{float(offered.group(1)) + 0.1:.2g}")).warnings != ()


def test_each_remedy_of_a_drowned_table_is_enough() -> None:
    warning = only_warning(DROWNED)
    assert warning.span is not None
    assert warning.span.line == 2
    offered = re.search(
        r"or (\d) bins; or weight ([0-9.]+) .*; or epsilon ([0-9.]+)$", warning.next_step
    )
    assert offered is not None, warning.next_step
    bins, weight, epsilon = offered.groups()
    for old, new in [("6 equal", f"{bins} equal"), ("0.1\n", weight + "\n"), ("0.08", epsilon)]:
        assert old in DROWNED
        study = planned(DROWNED.replace(old, new))
        assert study.warnings == (), new
        error = next(p for p in predict(study.plan) if p.query.id == "subtype*cycle")
        assert error.relative_error is not None
        assert error.relative_error <= GREATEST_ERROR


def test_the_limit_is_that_of_the_accuracy_words() -> None:
    """What `error 50%` keeps is not warned of, and neither is a table without a bound on people."""
    study = planned(DROWNED.replace("6 equal bins weight 0.1", "6 equal bins error 50%"))
    assert study.warnings == ()
    unbounded = "person { key patient; at most 1 sample; in at most 1 silo }"
    assert planned(DROWNED + unbounded).warnings == ()


def test_a_spec_and_its_bundle_are_warned_of_alike(tmp_path: Path) -> None:
    from secgen_dsl.backends.bundle import write_bundle
    from secgen_dsl.cli.bundling import bundle_of
    from secgen_dsl.cli.study import plan_of

    study = planned(DROWNED)
    write_bundle(tmp_path / "bundle", bundle_of(study))
    again = plan_of(tmp_path / "bundle").warnings
    assert [one.where() for one in again] == ["spec.secgen:2:3"]
    assert [one.message for one in again] == [one.message for one in study.warnings]
