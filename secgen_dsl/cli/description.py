"""The description of a planned study: joins the plan's content with what a run will cost."""

from collections.abc import Mapping

from secgen_dsl.backends.mpyc.cost import predicted_bytes, predicted_rounds
from secgen_dsl.describe.content import content_of
from secgen_dsl.describe.markdown import render_markdown
from secgen_dsl.ir.certificate import Certificate
from secgen_dsl.ir.plan import Plan
from secgen_dsl.ir.program import Study


def describe_plan(
    plan: Plan, study: Study, certificate: Certificate, sources: Mapping[str, str]
) -> str:
    """The protocol description as Markdown.

    Args:
        sources: query id → its place in the spec.
    """
    return render_markdown(
        content_of(
            plan,
            study,
            certificate,
            sources,
            predicted_bytes(plan),
            predicted_rounds(plan),
        )
    )
