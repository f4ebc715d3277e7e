"""The description of a planned study: joins the plan's content with what a run will cost."""

from collections.abc import Mapping
from pathlib import Path

from secgen_dsl.backends.mpyc.cost import predicted_messages
from secgen_dsl.cli.study import PlannedStudy
from secgen_dsl.describe.subject import Message, Subject
from secgen_dsl.ir.certificate import Certificate
from secgen_dsl.ir.plan import Plan
from secgen_dsl.ir.program import Study


def subject_of(
    plan: Plan,
    study: Study,
    certificate: Certificate,
    sources: Mapping[str, str],
    spec: tuple[str, str],
    date: str,
) -> Subject:
    """What a description is about.

    Args:
        sources: query id → its place in the spec.
        spec: name and text of the spec.
        date: of the document, a day in UTC.
    """
    return Subject(
        plan=plan,
        study=study,
        certificate=certificate,
        sources=dict(sources),
        spec_name=spec[0],
        spec_text=spec[1],
        messages=tuple(
            Message(one.kind, one.step, one.round, one.bytes) for one in predicted_messages(plan)
        ),
        date=date,
    )


def results_description(
    plan: Plan, study: Study, certificate: Certificate, sources: Mapping[str, str]
) -> str:
    """The description that lies in a folder of results, as Markdown.

    It follows from the folder's other files alone, so that an audit can make it again: it states no
    day, and the spec belongs to the bundle.
    """
    from secgen_dsl.describe.render.markdown import render_markdown
    from secgen_dsl.describe.sections import document_of

    document, _ = document_of(subject_of(plan, study, certificate, sources, ("", ""), ""))
    return render_markdown(document)


def subject_of_study(planned: PlannedStudy, certificate: Certificate, date: str) -> Subject:
    """The same for a planned study."""
    return subject_of(
        planned.plan,
        planned.study,
        certificate,
        planned.sources,
        (Path(planned.source.name).name, planned.source.text),
        date,
    )
