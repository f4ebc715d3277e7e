"""A document that no study has: every kind of block and inline, and words that are hard to show."""

from secgen_dsl.describe.document import (
    Code,
    Document,
    Figure,
    Given,
    Heading,
    Inline,
    Items,
    Link,
    Listing,
    Paragraph,
    Plain,
    Section,
    Strong,
    Table,
    Text,
    Trace,
    Value,
)

HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

# What a spec could give as a name or as prose.  The first ones try to become markup.
AWKWARD = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7 * 7 }} {% raw %}",
    "[link](http://example.org) ![picture](//example.org/x.png)",
    "**bold** _italic_ ~~gone~~ `code` a*b*c",
    "one | two || three \\| four",
    "# not a heading",
    "- not a list",
    "1. not a list either",
    "> not a quotation",
    "http://example.org and www.example.org and someone@example.org",
    "[^1] &lt; &amp; $x^2$ <!-- comment -->",
    '#let x = 1; #import "x.typ" *strong* <label> @reference',
    "back\\slash and trailing \\",
    "``` fence",
    "a\nline\tbreak",
    "בית החולים האוניברסיטאי",
    "مستشفى الجامعة",
    "turned \u202egnorw yaw\u202c round \u2069\u2066",
    "Kraków, Århus, Ελλάδα, Москва",
    "x" * 300,
    "control \x00\x07 characters",
    "",
)

# No font that comes with Typst has these.
UNPRINTABLE = ("大学病院", "🧬 genome")

_SVG = """<?xml version="1.0" encoding="UTF-8"?>
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 150" width="640" height="150" role="img"
 aria-labelledby="title desc"><title id="title">Bars</title><desc id="desc">Two bars</desc>
<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse">
<path d="M0 6L6 0" stroke="currentColor"/></pattern></defs>
<g font-family="sans-serif" font-size="14" fill="currentColor">
<text x="0" y="45">class counts</text><text x="0" y="105">expression of genes</text>
<rect x="160" y="25" width="150" height="30" fill="url(#hatch)" stroke="currentColor"/>
<rect x="160" y="85" width="420" height="30" fill="none" stroke="currentColor"/></g></svg>
"""


def words(text: str) -> Text:
    return (Plain(text=text),)


def _row(*cells: str | Inline | Text) -> tuple[Text, ...]:
    def cell(each: str | Inline | Text) -> Text:
        if isinstance(each, str):
            return words(each) if each else ()
        return each if isinstance(each, tuple) else (each,)

    return tuple(cell(each) for each in cells)


def _figure(place: int) -> Figure:
    return Figure(
        id=f"figure-{place}",
        title=words("Share of the budget by query"),
        description=words("The gene tables take three quarters of the budget."),
        svg=_SVG,
        table=Table(
            id=f"figure-{place}-table",
            caption=words("Share of the budget by query, in per cent"),
            columns=_row("Query", "Share"),
            rows=(
                _row(Code(text="class_counts"), Value(text="26.3%", trace=1)),
                _row(Code(text="expression"), Value(text="73.7%", trace=1)),
            ),
            numeric=(1,),
        ),
    )


def _plain_words() -> Section:
    return Section(
        id="plain-words",
        number="1",
        title=words("In plain words"),
        blocks=(
            Paragraph(
                text=(
                    Strong(text="Purpose."),
                    Plain(text=" Several hospitals want to publish made-up rows that behave like "),
                    Plain(
                        text="those of their patients, without showing anybody's. This study is "
                    ),
                    Given(text="Synthetic profiles of colorectal cancer"),
                    Plain(text=". Section "),
                    Link(text="2", target="data"),
                    Plain(text=" tells whose data they are."),
                )
            ),
            Heading(id="learn", text=words("What could somebody learn about one person?")),
            Paragraph(
                text=(
                    Plain(text="Suppose that somebody knows a person's full profile and wants to "),
                    Plain(text="find out whether that person took part. Guessing is right 500 "),
                    Plain(text="times in 1,000. With all that this study reveals, the best guess "),
                    Plain(text="is right at most "),
                    Value(text="678", trace=1),
                    Plain(text=" times in 1,000 (ε = "),
                    Value(text="4", trace=2),
                    Plain(text=", δ = "),
                    Value(text="10⁻⁵", trace=3),
                    Plain(text=")."),
                )
            ),
            Paragraph(
                tone="caution",
                text=(
                    Strong(text="What is not promised."),
                    Plain(
                        text=" That findings about a group do not apply to its members, whether "
                    ),
                    Plain(
                        text="they took part or not; that relatives are covered; that a hospital "
                    ),
                    Plain(text="reports honestly."),
                ),
            ),
            Items(
                items=(
                    words("No row of a patient leaves a hospital."),
                    (Plain(text="The noise is added "), Strong(text="before"), Plain(text=" it.")),
                    words("Only sums over all hospitals are put together again."),
                )
            ),
        ),
    )


def _data(awkward: tuple[str, ...]) -> Section:
    return Section(
        id="data",
        number="2",
        title=(Plain(text="Data and people: "), Given(text="<b>bold</b> | names")),
        blocks=(
            Paragraph(text=words("Each hospital reads the columns that the study names.")),
            Table(
                id="parties",
                caption=words("Who takes part, and on what terms"),
                columns=_row("Party", "Who", "Terms", "People"),
                rows=(
                    _row(
                        Code(text="north"),
                        Given(text="University Hospital North"),
                        Given(text="Consent to research, ethics vote 2024-117"),
                        Value(text="312", trace=4),
                    ),
                    _row(
                        Code(text="south"),
                        Given(text="مستشفى الجامعة"),
                        Given(text="Broad consent"),
                        Value(text="1,204", trace=4),
                    ),
                    _row(Code(text="helper"), Given(text="Computing centre"), "holds no data", ""),
                ),
                numeric=(3,),
            ),
            *(Paragraph(text=(Given(text=each),)) for each in awkward),
            Items(items=tuple((Given(text=each),) for each in awkward)),
            Table(
                id="awkward",
                caption=(Plain(text="Hard names: "), Given(text='"quoted" & <tagged>')),
                columns=_row("Name", "As code", "In words"),
                rows=tuple(
                    _row(Given(text=each), Code(text=each), (Strong(text="so: "), Plain(text=each)))
                    for each in awkward
                ),
            ),
            Table(
                id="nothing",
                caption=words("What was changed since the approval"),
                columns=_row("What", "Before", "After"),
                rows=(),
            ),
        ),
    )


def _budget() -> Section:
    noise = ("Sensitivity", "Certified", "Released")
    columns = ("Query", "Shape", *noise, "Share", "Error", "Recipients")
    return Section(
        id="budget",
        number="3",
        title=words("Every value that anyone sees"),
        blocks=(
            Table(
                id="disclosure",
                caption=words("Every value that is opened, to whom, and with how much noise"),
                columns=_row(*columns),
                rows=tuple(
                    _row(
                        Code(text=f"expression_of_panel_{place}"),
                        "978 × 5 × 4",
                        Value(text="31.3", trace=1),
                        Value(text="29.4", trace=2),
                        Value(text="36.1", trace=2),
                        Value(text="73.7%", trace=1),
                        "±59 people",
                        "north, south, helper",
                    )
                    for place in range(4)
                ),
                numeric=(2, 3, 4, 5),
            ),
            _figure(1),
            _figure(2),
        ),
    )


def _annexes(rows: int) -> tuple[Section, ...]:
    return (
        Section(
            id="genes",
            number="A",
            title=words("All genes"),
            blocks=(
                Table(
                    id="gene-table",
                    caption=words("Genes and their bounds"),
                    columns=_row("Gene", "Least", "Greatest"),
                    rows=tuple(
                        _row(Code(text=f"GENE{i}"), f"{i / 7:.2f}", f"{i:,}") for i in range(rows)
                    ),
                    numeric=(1, 2),
                ),
            ),
        ),
        Section(
            id="plan",
            number="B",
            title=words("The plan"),
            blocks=(
                Listing(
                    id="plan-json",
                    title=(Code(text="plan.json"), Plain(text=", as it is hashed")),
                    text='{\n  "format": "secgen.plan/1",\n  "odd": "``` </pre>"\n}\n',
                ),
                Listing(
                    id="panel",
                    title=words("The panel"),
                    text="\n".join(f"GENE{place}" for place in range(rows)),
                ),
            ),
        ),
    )


def sample(
    rows: int = 60,
    awkward: tuple[str, ...] = AWKWARD,
    language: str = "en",
    date: str = "2026-03-01",
) -> Document:
    """The document, with so many rows in its longest table and lines in its longest listing."""
    return Document(
        format="secgen.description/1",
        language=language,
        title=words("Protocol description for ethics and privacy review"),
        subtitle=(Given(text="Synthetic profiles of colorectal cancer in three hospitals"),),
        cover=Table(
            id="cover",
            caption=words("What this document describes"),
            columns=((), ()),
            rows=(
                _row("Status", "draft, generated from the plan"),
                _row("Review reference", Given(text="EK 2026/117")),
                _row("Contact", Given(text="someone@example.org")),
                _row("Plan (SHA-256)", Code(text=HASH)),
                _row("Compiler", Code(text="secgen 0.1.0")),
            ),
        ),
        sections=(_plain_words(), _data(awkward), _budget(), *_annexes(rows)),
        traces=(
            Trace(
                number=1,
                field="certificate: attacker_accuracy",
                formula=words(
                    "largest of (1 + TPR − FPR) ÷ 2 over the certified curve, rounded up"
                ),
            ),
            Trace(number=2, field="plan: privacy.epsilon", formula=words("as it is")),
            Trace(number=3, field="plan: privacy.delta", formula=words("as it is")),
            Trace(
                number=4,
                field="plan: program.silos[].people_bound",
                formula=(
                    Plain(text="at most, as "),
                    Given(text='the "spec" <says>'),
                    Plain(text="."),
                ),
            ),
        ),
        record={
            "program": "secgen 0.1.0",
            "plan_sha256": HASH,
            "date": date,
            "odd": 'a "quoted" --> <!-- & -- <tag>',
        },
    )
