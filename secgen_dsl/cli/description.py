"""The description of a planned study: joins the plan's content with what a run will cost."""

from secgen_dsl.backends.mpyc.cost import predicted_bytes, predicted_rounds
from secgen_dsl.cli.study import PlannedStudy
from secgen_dsl.describe.content import content_of
from secgen_dsl.describe.markdown import render_markdown
from secgen_dsl.ir.certificate import Certificate


def describe_plan(planned: PlannedStudy, certificate: Certificate) -> str:
    """The protocol description as Markdown."""
    return render_markdown(
        content_of(
            planned.plan,
            planned.study,
            certificate,
            planned.sources,
            predicted_bytes(planned.plan),
            predicted_rounds(planned.plan),
        )
    )
