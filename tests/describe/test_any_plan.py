"""Every valid plan can be described, in every form and language, with all of its queries."""

import html
import io
import re
from dataclasses import replace

import pypdf
import pytest
from hypothesis import HealthCheck, assume, given, settings

from secgen_dsl.describe.catalogue import LANGUAGES
from secgen_dsl.describe.document import Document, Table, plain
from secgen_dsl.describe.registry import registry_of
from secgen_dsl.describe.render.html import render_html
from secgen_dsl.describe.render.markdown import render_markdown
from secgen_dsl.describe.render.pdf import render_pdf
from secgen_dsl.describe.render.words import clean, record_in
from secgen_dsl.describe.sections import document_of
from secgen_dsl.describe.subject import Subject
from secgen_dsl.verifier import verify
from secgen_dsl.verifier.certify import certify
from tests.conftest import SPECS
from tests.describe.subjects import messages_of, subject_of
from tests.generated.drafts import GeneratedSpec
from tests.generated.specs import specs
from tests.generated.studies import folder_of, planned, resolved

_ANY = (HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large)


@pytest.fixture(scope="module")
def two() -> Subject:
    return subject_of(SPECS / "two_hospitals.secgen")


def described(two: Subject, spec: GeneratedSpec) -> Subject:
    with folder_of(spec) as folder:
        meaning = resolved(spec.text(), folder)
        plan = planned(meaning)
    assume(plan is not None)
    assert plan is not None
    return replace(
        two,
        plan=plan,
        study=meaning.study,
        certificate=certify(plan, verify(plan), independent=False),
        sources=dict(meaning.sources),
        spec_text=spec.text(),
        messages=messages_of(plan),
    )


def has_all_queries(subject: Subject, document: Document, text: str) -> None:
    """The disclosure table has a row of each; the text has its id and how it is asked."""
    (table,) = [
        each
        for each in document.blocks()
        if isinstance(each, Table) and each.id == "disclosure-caption"
    ]
    openings = [subject.plan.query(one.query) for one in subject.plan.openings]
    assert len(table.rows) == len(openings)
    said = squeezed(html.unescape(text))
    for query, row in zip(openings, table.rows, strict=True):
        assert query.statement in plain(row[0])
        assert squeezed(query.statement) in said
        assert squeezed(query.id) in said
    assert record_in(text.encode()) == document.record


def squeezed(text: str) -> str:
    """Letters and digits alone: without markup, escapes and breaks."""
    return re.sub(r"[\W_]+", "", clean(text))


def in_html_and_markdown(two: Subject, spec: GeneratedSpec) -> None:
    subject = described(two, spec)
    for language in LANGUAGES:
        document, _ = document_of(subject, language)
        has_all_queries(subject, document, render_html(document))
        has_all_queries(subject, document, render_markdown(document))
    assert registry_of(subject)["deployment"]


def in_pdf(two: Subject, spec: GeneratedSpec) -> None:
    subject = described(two, spec)
    for language in LANGUAGES:
        document, _ = document_of(subject, language)
        printed = render_pdf(document)
        assert record_in(printed) == document.record
        pages = pypdf.PdfReader(io.BytesIO(printed)).pages
        said = squeezed("".join(each.extract_text() for each in pages))
        for query in subject.plan.openings:
            if query.query.isascii():  # words from right to left are extracted in another order
                assert squeezed(query.query) in said


@settings(max_examples=4, suppress_health_check=_ANY)
@given(specs())
def test_html_and_markdown(two: Subject, spec: GeneratedSpec) -> None:
    in_html_and_markdown(two, spec)


@settings(max_examples=1, suppress_health_check=_ANY)
@given(specs())
def test_pdf(two: Subject, spec: GeneratedSpec) -> None:
    in_pdf(two, spec)


@pytest.mark.slow
@settings(max_examples=120, suppress_health_check=_ANY)
@given(specs())
def test_html_and_markdown_of_many(two: Subject, spec: GeneratedSpec) -> None:
    in_html_and_markdown(two, spec)


@pytest.mark.slow
@settings(max_examples=25, suppress_health_check=_ANY)
@given(specs())
def test_pdf_of_many(two: Subject, spec: GeneratedSpec) -> None:
    in_pdf(two, spec)
