"""What a release costs adds up to what a run costs."""

from secgen_dsl.backends.mpyc.cost import (
    predicted_bytes,
    predicted_rounds,
    release_bytes,
    release_rounds,
    values_per_round,
)
from secgen_dsl.ir.plan import Plan
from secgen_dsl.runtime.network.frames import (
    CONFIRMATION_BYTES,
    HEADER,
    HELLO_BYTES,
    SALT_BYTES,
    ready_bytes,
)

from .plans import plan_five, plan_three, plan_three_in_two_rounds


def test_releases_frames_and_hello_are_all_that_is_sent() -> None:
    for plan in (plan_three(), plan_five(), plan_three_in_two_rounds()):
        frames = 3 + 3 * len(plan.rounds)
        overhead = frames * HEADER.size + HELLO_BYTES + CONFIRMATION_BYTES
        overhead += 2 * len(plan.rounds) * SALT_BYTES + ready_bytes(len(plan.parties))
        values = sum(release_bytes(plan, release) for release in plan.releases())
        assert predicted_bytes(plan) == values + (len(plan.parties) - 1) * overhead
        assert sum(values_per_round(plan)) == sum(r.opened for r in plan.releases())


def test_the_last_release_is_opened_in_the_last_round() -> None:
    plan: Plan = plan_three_in_two_rounds()
    rounds = [release_rounds(plan, release) for release in plan.releases()]
    assert rounds[0] == (4, 5)
    assert rounds[-1] == (7, predicted_rounds(plan) - 1)
