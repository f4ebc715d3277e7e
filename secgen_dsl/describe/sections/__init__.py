"""The sections of the description, in order; each is made from the subject alone."""

from secgen_dsl.describe.document import Document
from secgen_dsl.describe.figures import queries as figures
from secgen_dsl.describe.figures.parties import crossing, who_holds
from secgen_dsl.describe.figures.queries import errors
from secgen_dsl.describe.figures.trade_off import trade_off
from secgen_dsl.describe.sections.annexes import (
    annex_plan,
    annex_spec,
    execution,
    glossary,
)
from secgen_dsl.describe.sections.budget import budget, odds
from secgen_dsl.describe.sections.exchange import computation, disclosure, messages
from secgen_dsl.describe.sections.front import cover, people, summary
from secgen_dsl.describe.sections.review import crosswalk, deviations, signoff
from secgen_dsl.describe.sections.safety import retention, risks, threats, validation
from secgen_dsl.describe.sections.use import inputs, utility
from secgen_dsl.describe.subject import Subject
from secgen_dsl.describe.writer import Writer


def document_of(subject: Subject, language: str = "en") -> tuple[Document, tuple[str, ...]]:
    """The description of a plan.

    Args:
        language: one of ``catalogue.LANGUAGES``.

    Returns:
        The document, and the names of what only the spec can say and does not.
    """
    w = Writer(subject, language)
    say, trace = w.say, w.trace
    first = cover(w)
    before = [
        summary(w),
        people(w),
        messages(w, crossing(subject, say, trace)),
        disclosure(w),
        budget(w, figures.budget(subject, say, trace)),
        odds(w, trade_off(subject, say, trace)),
        computation(w, who_holds(subject, say, trace)),
        threats(w),
        inputs(w),
        utility(w, errors(subject, say, trace)),
        risks(w),
        validation(w),
        retention(w),
        deviations(w),
    ]
    after = [signoff(w), annex_plan(w), annex_spec(w), glossary(w), execution(w)]
    sections = (*before, crosswalk(w, [*before, *after]), *after)
    document = Document(
        format="secgen.description/1",
        language=language,
        title=w.say("document.title"),
        subtitle=w.say("document.quoted", title=w.prose(subject.study.title, "study.title")),
        cover=first,
        sections=sections,
        traces=w.traces,
        record={
            "language": language,
            "date": subject.date,
            "plan_sha256": subject.certificate.plan_sha256,
            "program": f"secgen {subject.certificate.secgen_version}",
            "with": subject.additions,
        },
    )
    return document, tuple(w.missing)
