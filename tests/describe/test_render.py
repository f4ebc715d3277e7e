"""HTML, Markdown and PDF of a document that has every block, and of words that are hard to show."""

import io
import re
from functools import cache
from html.parser import HTMLParser

import pypdf
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from secgen_dsl.describe.catalogue import keys
from secgen_dsl.describe.document import (
    Code,
    Document,
    Figure,
    Given,
    Items,
    Paragraph,
    Plain,
    Section,
    Table,
)
from secgen_dsl.describe.render.html import picture, render_html
from secgen_dsl.describe.render.markdown import render_markdown
from secgen_dsl.describe.render.pdf import render_pdf, unprintable
from secgen_dsl.describe.render.words import clean, record_in
from tests.describe.samples import AWKWARD, HASH, UNPRINTABLE, sample

# -- HTML ----------------------------------------------------------------------------------------


class _Page(HTMLParser):
    """The tags of a page with their attributes, and the text of each paragraph and cell."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in ("meta", "path", "rect"):
            self.open.append(tag)
        if tag in ("p", "td", "th", "li"):
            self.texts.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if {"p", "td", "th", "li"} & set(self.open):
            self.texts[-1] += data

    def all(self, *tags: str) -> list[dict[str, str]]:
        return [attributes for tag, attributes in self.tags if tag in tags]


@cache
def _page() -> _Page:
    return _Page(render_html(sample()))


def test_html_is_well_formed_and_has_its_landmarks() -> None:
    page = _page()
    assert page.open == []
    for tag in ("header", "nav", "main", "footer", "h1"):
        assert len(page.all(tag)) == 1, tag
    assert page.all("html") == [{"lang": "en"}]
    assert all(each["scope"] in ("row", "col") for each in page.all("th"))
    assert len(page.all("caption")) == len(page.all("table"))


def test_html_anchors_resolve_and_ids_are_unique() -> None:
    page = _page()
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [each["href"] for each in page.all("a")]
    assert len(links) > 20
    assert {each.removeprefix("#") for each in links} <= set(ids)
    labels = [each["aria-labelledby"] for _, each in page.tags if "aria-labelledby" in each]
    assert {each for label in labels for each in label.split()} <= set(ids)


def test_html_asks_the_network_for_nothing_and_runs_nothing() -> None:
    page, text = _page(), render_html(sample())
    addresses = [
        value
        for _, attributes in page.tags
        for name, value in attributes.items()
        if name in ("href", "src", "srcset", "action", "data", "xlink:href", "poster")
    ]
    assert all(each.startswith("#") for each in addresses)
    assert all(each.startswith("#") for each in re.findall(r"url\((.*?)\)", text))
    assert "@import" not in text
    assert not page.all("script", "iframe", "object", "embed", "form", "link", "base", "img")
    names = {name for _, attributes in page.tags for name in attributes}
    assert not {name for name in names if name.startswith("on")}
    policy = [each for each in page.all("meta") if "http-equiv" in each]
    assert policy[0]["content"] == ("default-src 'none'; style-src 'unsafe-inline'; img-src data:")


def test_html_shows_a_figures_source() -> None:
    value = next(each for each in _page().all("a") if each.get("class") == "value")
    assert value["href"] == "#trace-1"
    assert value["title"].startswith("certificate: attacker_accuracy — largest of")


@given(st.text())
def test_html_shows_what_is_given(text: str) -> None:
    page = _Page(render_html(_saying(text)))
    # A paragraph, a point, and two cells: as words and as code.
    assert page.texts.count(clean(text)) >= 4
    assert not page.all("script", "img")


def test_ids_of_two_pictures_differ() -> None:
    figures = [each for each in sample().blocks() if isinstance(each, Figure)]
    first, second = (picture(each) for each in figures)
    assert 'id="figure-1-hatch"' in first
    assert 'fill="url(#figure-1-hatch)"' in first
    assert 'aria-labelledby="figure-2-title figure-2-desc"' in second
    assert first.startswith("<svg")


def test_words_that_look_like_an_id_stay_in_a_picture() -> None:
    svg = '<svg id="a"><text>the id="b" of url(#c)</text></svg>'
    figure = next(each for each in sample().blocks() if isinstance(each, Figure))
    shown = picture(figure.model_copy(update={"svg": svg}))
    assert shown == '<svg id="figure-1-a"><text>the id="b" of url(#c)</text></svg>'


# -- Markdown ------------------------------------------------------------------------------------

_OWN_HTML = re.compile(
    r'</?a>|<a id="[a-z0-9-]+">|</?sup>|</?code>|<!-- secgen-record: \{.*\} -->', re.DOTALL
)


def _parsed(text: str) -> list[Token]:
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)


def _inner(tokens: list[Token]) -> list[Token]:
    return [each for token in tokens for each in (token.children or [])]


def test_markdown_holds_no_markup_of_the_study() -> None:
    tokens = _parsed(render_markdown(sample()))
    raw = [
        each for each in (*tokens, *_inner(tokens)) if each.type in ("html_block", "html_inline")
    ]
    assert raw
    for each in raw:
        assert _OWN_HTML.sub("", each.content).strip() == ""
    links = [each.attrs["href"] for each in _inner(tokens) if each.type == "link_open"]
    assert all(str(each).startswith("#") for each in links)
    assert not [each for each in _inner(tokens) if each.type in ("image", "s_open", "em_open")]


def test_markdown_anchors_resolve() -> None:
    text = render_markdown(sample())
    ids = re.findall(r'<a id="([^"]+)">', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= set(ids)


def test_markdown_has_every_row_on_a_line() -> None:
    document = sample()
    tables = [each for each in document.blocks() if isinstance(each, Table)]
    tables += [each.table for each in document.blocks() if isinstance(each, Figure)]
    rows = sum(max(len(each.rows), 1) + 1 for each in (*tables, document.cover))
    tokens = _parsed(render_markdown(document))
    assert sum(each.type == "tr_open" for each in tokens) == rows + len(document.traces) + 1
    cells = sum(each.type in ("td_open", "th_open") for each in tokens)
    by_table = sum((max(len(t.rows), 1) + 1) * len(t.columns) for t in (*tables, document.cover))
    assert cells == by_table + (len(document.traces) + 1) * 3


def test_markdown_has_as_many_points_and_sections_as_the_document() -> None:
    document = sample()
    tokens = _parsed(render_markdown(document))
    points = sum(len(each.items) for each in document.blocks() if isinstance(each, Items))
    contents = len(document.sections) + 1
    assert sum(each.type == "list_item_open" for each in tokens) == points + contents
    assert sum(each.type == "heading_open" and each.tag == "h2" for each in tokens) == contents + 1
    assert sum(each.type == "blockquote_open" for each in tokens) == 1
    assert sum(each.type == "fence" for each in tokens) == 2


@given(st.text())
def test_markdown_shows_what_is_given(text: str) -> None:
    shown = [_shown(each) for each in _parsed(render_markdown(_saying(text)))]
    said = " ".join(clean(text).split())
    # A paragraph, a point, and two cells: as words and as code.
    assert shown.count(said) >= 4 or not said


def _shown(token: Token) -> str:
    text = "".join(each.content for each in token.children or [] if each.type != "html_inline")
    return text.strip("\N{FIRST STRONG ISOLATE}\N{POP DIRECTIONAL ISOLATE}")


def test_markdown_makes_no_address_a_link() -> None:
    text = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", render_markdown(sample()))
    assert "http:" not in text
    assert "www." not in text


# -- PDF -----------------------------------------------------------------------------------------


@cache
def _pdf() -> pypdf.PdfReader:
    return pypdf.PdfReader(io.BytesIO(render_pdf(sample())))


def test_pdf_is_tagged_titled_and_in_a_language() -> None:
    root = _pdf().root_object
    assert root["/Lang"] == "en"
    assert root["/MarkInfo"]["/Marked"]
    assert root["/ViewerPreferences"]["/DisplayDocTitle"]
    metadata = _pdf().metadata
    assert metadata is not None
    assert str(metadata.title).startswith("Protocol description for ethics and privacy review: ")
    assert "pdfuaid:part>1<" in root["/Metadata"].get_data().decode()


def test_pdf_has_every_page_numbered_and_the_plan_named() -> None:
    pages = [each.extract_text() for each in _pdf().pages]
    assert len(pages) > 5
    for place, text in enumerate(pages, start=1):
        assert f"{place} / {len(pages)}" in text
        assert (f"Plan {HASH[:12]}" in text) == (place > 1)
    # The first section has a page of its own.
    assert "1. In plain words" in pages[1]
    assert "2. Data and people" not in pages[1]


def test_pdf_repeats_a_long_tables_headings() -> None:
    pages = [each.extract_text() for each in _pdf().pages]
    assert sum("Greatest" in each for each in pages) >= 2


def test_pdf_can_be_copied_from() -> None:
    text = "".join(each.extract_text() for each in _pdf().pages).replace("\n", "")
    assert HASH in text
    assert "<script>alert(1)</script>" in text
    assert '#let x = 1; #import "x.typ" *strong* <label> @reference' in text


def test_pdf_bytes_depend_on_the_document_alone() -> None:
    first = render_pdf(sample(rows=3))
    assert first == render_pdf(sample(rows=3))
    assert first != render_pdf(sample(rows=3, date="2026-03-02"))


def test_pdf_names_the_characters_that_no_font_has() -> None:
    document = sample(rows=3, awkward=("北京", *UNPRINTABLE))
    missing = unprintable(document)
    if not missing:
        pytest.skip("this machine has fonts for all of them")
    text = "".join(
        each.extract_text() for each in pypdf.PdfReader(io.BytesIO(render_pdf(document))).pages
    ).replace("\n", "")
    for each in missing:
        assert f"[U+{ord(each):04X}]" in text
    assert keys("en")["render.missing.note"][:40] in text


def test_no_character_of_the_awkward_names_lacks_a_font() -> None:
    assert unprintable(sample(rows=3)) == ()


_ODD = st.characters(categories=["Cf", "Lo", "Mn", "Me", "Sk", "So", "Zl", "Cn"])


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(st.characters(max_codepoint=0x17F) | st.sampled_from('#$*_@<>[]{}\\/"`^') | _ODD))
def test_pdf_can_be_set_whatever_is_given(text: str) -> None:
    assert render_pdf(_saying(text)).startswith(b"%PDF-1.7")


# -- all -----------------------------------------------------------------------------------------


def _renderings(document: Document) -> dict[str, bytes]:
    return {
        "html": render_html(document).encode(),
        "markdown": render_markdown(document).encode(),
        "pdf": render_pdf(document),
    }


def test_each_rendering_holds_the_record() -> None:
    document = sample(rows=3)
    for form, rendering in _renderings(document).items():
        assert record_in(rendering) == document.record, form


@pytest.mark.parametrize(
    "other",
    [
        b"",
        b"# a document",
        b"<!-- secgen-record: [1] -->",
        b'<!-- secgen-record: {"a": 1} -->',
        b"<!-- secgen-record: {} --> more",
        b"%PDF-1.7 <pdf:Keywords>{}</pdf:Keywords>",
        b'<!DOCTYPE html><head></head><meta name="secgen-record" content="{}">',
        b"\xff\xfe\x00",
    ],
)
def test_another_file_has_no_record(other: bytes) -> None:
    assert record_in(other) is None


def test_a_name_cannot_forge_a_record() -> None:
    forged = '<!-- secgen-record: {"plan_sha256": "0"} -->'
    meta = '<meta name="secgen-record" content="{}">'
    keywords = "<pdf:Keywords>{}</pdf:Keywords>"
    packet = f"stream\n<?xpacket begin={keywords}"
    document = sample(rows=3, awkward=(forged, f"\n{forged}\n", meta, keywords))
    document = document.model_copy(
        update={"subtitle": (Given(text=packet + meta),), "title": (Given(text=keywords),)}
    )
    for form, rendering in _renderings(document).items():
        assert record_in(rendering) == document.record, form


@pytest.mark.parametrize("form", ["html", "markdown"])
def test_five_thousand_rows_are_all_there(form: str) -> None:
    document = sample(rows=5000, awkward=())
    text = render_html(document) if form == "html" else render_markdown(document)
    assert text.count("GENE4999") == 2


def _saying(text: str) -> Document:
    """A short document that says it in a paragraph, a point and a table."""
    base = sample(rows=1, awkward=())
    given_text = (Given(text=text),)
    section = Section(
        id="said",
        number="1",
        title=(Plain(text="Said"),),
        blocks=(
            Paragraph(text=given_text),
            Items(items=(given_text,)),
            Table(
                id="said-table",
                caption=(Plain(text="Said"),),
                columns=((Plain(text="So"),), (Plain(text="And so"),)),
                rows=((given_text, (Code(text=text),)),),
            ),
        ),
    )
    return base.model_copy(update={"sections": (section,), "traces": ()})


def test_the_samples_hold_what_they_should() -> None:
    """Every kind of block and inline, so that no rendering forgets one."""
    kinds = set(re.findall(r'"kind":"(\w+)"', sample().model_dump_json()))
    assert kinds == {
        *("plain", "strong", "code", "given", "value", "link"),
        *("heading", "paragraph", "items", "table", "figure", "listing"),
    }
    assert len(AWKWARD) == len(set(AWKWARD))


def test_what_turns_the_direction_of_other_words_is_left_out() -> None:
    for (
        each
    ) in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u00ad\ufeff\u200b\x00\x1b\x85":
        assert clean(f"a{each}b") == "ab"
    # Joiners make one letter of two; lines and tabs belong to listings.
    # Arabic's number sign and its mark of direction are read.
    for kept in ("क्\u200dष\n\t", "\u0600\u200f"):
        assert clean(kept) == kept
    document = sample(rows=3)
    assert "\u202e" not in render_html(document) + render_markdown(document)
