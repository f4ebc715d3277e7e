"""Valid specs, built backwards from the type rules: declarations first, then what may name them."""

from random import Random

from hypothesis import strategies as st

from tests.generated.agreement import (
    declare_parties,
    declare_person,
    declare_release,
    declare_study,
)
from tests.generated.drafts import Draft, GeneratedSpec
from tests.generated.layout import Block
from tests.generated.measures import declare_measure
from tests.generated.vocabulary import (
    declare_columns,
    declare_panels,
    declare_references,
    declare_sets,
)


@st.composite
def specs(draw: st.DrawFn) -> GeneratedSpec:
    """A spec of any feature that can be planned, with the files that it names.

    Structure and names are drawn by hypothesis, and shrink; small choices (spelling of numbers,
    contents of files) come from one drawn seed.
    """
    draft = Draft(draw, Random(draw(st.integers(0, 2**16))))  # noqa: S311 (invented specs)
    draft.moments = draw(st.integers(0, 3)) == 3
    draft.blocks.append(Block(("secgen", draft.number(1))))
    declare_study(draft)
    declare_parties(draft)
    declare_columns(draft)
    declare_person(draft)
    declare_panels(draft)
    declare_references(draft)
    declare_sets(draft)
    declare_measure(draft)
    declare_release(draft)
    return GeneratedSpec(tuple(draft.blocks), dict(draft.files))
