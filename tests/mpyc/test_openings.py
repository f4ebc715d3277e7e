"""The openings manifest, and that no opening leaves without its permit."""

import pytest

from secgen_dsl.diagnostics.diagnostic import SecgenError
from secgen_dsl.runtime.openings import OpeningsManifest

from .plans import plan_five, plan_three

BOTH = (("subtype*cycle", 72), ("subtype", 4))


def test_the_listed_openings_are_permitted_once() -> None:
    manifest = OpeningsManifest(plan_three())
    permit = manifest.permit(1, BOTH)
    assert permit.values == 76
    permit.use()
    with pytest.raises(SecgenError, match="SG506"):
        permit.use()
    with pytest.raises(SecgenError, match="SG506 .*opened before"):
        manifest.permit(1, BOTH)


@pytest.mark.parametrize(
    ("number", "openings"),
    [
        (1, (("subtype*cycle", 72), ("subtype", 5))),
        (1, (("subtype*cycle", 72), ("site size", 1))),
        (1, (("subtype*cycle", 72),)),
        (1, (*BOTH, ("subtype", 4))),
        (1, (BOTH[1], BOTH[0])),
        (1, ()),
        (2, BOTH),
        (0, BOTH),
    ],
)
def test_anything_else_is_refused(number: int, openings: tuple[tuple[str, int], ...]) -> None:
    manifest = OpeningsManifest(plan_three())
    with pytest.raises(SecgenError, match="SG506"):
        manifest.permit(number, openings)
    manifest.permit(1, BOTH)  # a refusal spends nothing


def test_rounds_are_opened_in_order() -> None:
    manifest = OpeningsManifest(plan_five())
    with pytest.raises(SecgenError, match="round 1 is"):
        manifest.permit(2, (("subtype*cycle", 96),))
    manifest.permit(1, (("subtype", 4),))
    manifest.permit(2, (("subtype*cycle", 96),))
