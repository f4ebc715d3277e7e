"""Specs parse to the right tree, with the right spans."""

from collections import Counter
from dataclasses import fields, is_dataclass
from fractions import Fraction

import pytest

from secgen_dsl.diagnostics.diagnostic import Source, Span
from secgen_dsl.syntax import tree
from secgen_dsl.syntax.parser import parse
from secgen_dsl.syntax.shapes import BLOCKS, KEYWORDS, STATEMENTS
from tests.conftest import SPECS


def read(text: str) -> tree.Spec:
    return parse(Source("s.secgen", text))


def study(name: str) -> tree.Spec:
    return read((SPECS / f"{name}.secgen").read_text(encoding="utf-8"))


def one(spec: tree.Spec, kind: type[tree.ItemT]) -> tree.ItemT:
    (found,) = spec.all(kind)
    return found


def at(span: Span) -> str:
    return span.source.text[span.start : span.end]


def texts(names: tuple[tree.Name, ...]) -> list[str]:
    return [name.text for name in names]


def test_study_a_who() -> None:
    spec = study("colorectal")
    assert one(spec, tree.Version).number.value == 1
    block = one(spec, tree.StudyBlock)
    assert block.title.text == "Colorectal subtypes"
    assert [line.kind for line in block.lines] == [
        "purpose", "reference", "contact", "cohort", "inclusion", "not_for", "retention",
    ]  # fmt: skip
    assert block.lines[5].text.text == "Clinical decisions; finding out who took part"
    silos = one(spec, tree.SilosBlock)
    assert silos.hold.text == "patients"
    assert [(s.name.text, s.title and s.title.text) for s in silos.silos] == [
        ("europe", "European sites"),
        ("northeast", "Northeast sites"),
        ("south", "Southern sites"),
    ]
    terms, source = silos.silos[1].clauses
    assert isinstance(terms, tree.TermsClause)
    assert (terms.kind, terms.reference) == ("open", None)
    assert isinstance(source, tree.SourceClause)
    assert source.text.text == "TCGA COAD, READ; consent to research"
    assert [x.number.value for x in one(spec, tree.TrustBlock).lines] == [1]
    key, *bounds = one(spec, tree.PersonBlock).lines
    assert isinstance(key, tree.PersonKey)
    assert key.name.text == "patient"
    assert [(b.kind, b.number.value) for b in bounds if isinstance(b, tree.PersonBound)] == [
        ("samples", 1),
        ("silos", 1),
        ("people", 1000),
    ]


def test_study_a_what() -> None:
    spec = study("colorectal")
    subtype, sex = one(spec, tree.ColumnsBlock).columns
    assert subtype.name.text == "subtype"
    assert texts(subtype.values) == ["CIN", "GS", "MSI", "unknown"]
    assert subtype.otherwise is not None
    assert subtype.otherwise.text == "unknown"
    assert texts(sex.values) == ["female", "male", "unknown"]
    public = one(spec, tree.PublicLine)
    assert (public.name.text, public.unit.text) == ("elsewhere", "log2")
    assert public.file.text == "data/colorectal_reference.csv.gz"
    assert public.provenance is not None
    repair, cycle = spec.all(tree.PanelLine)
    assert repair.genes is not None
    assert texts(repair.genes) == ["MLH1", "MSH2", "MSH6", "PMS2", "EPCAM"]
    assert (repair.low.value, repair.high.value, repair.unit.text) == (0, 20, "log2")
    assert cycle.genes is None
    assert cycle.file is not None
    assert cycle.file.text == "panels/cell_cycle.txt"
    adjacency, epsilon, delta = one(spec, tree.PrivacyBlock).lines
    assert isinstance(adjacency, tree.AddOrRemove)
    assert isinstance(epsilon, tree.BudgetLine)
    assert isinstance(delta, tree.BudgetLine)
    assert (epsilon.kind, epsilon.number.value) == ("epsilon", 4)
    assert (delta.kind, delta.number.value) == ("delta", Fraction(1, 10**6))


def test_study_a_measure_and_release() -> None:
    spec = study("colorectal")
    one_way, two_way, by_reference, equal = one(spec, tree.MeasureBlock).queries
    assert (texts(one_way.factors), one_way.binning, one_way.importance) == (["subtype"], None, ())
    assert texts(two_way.factors) == ["sex", "subtype"]
    assert isinstance(by_reference.binning, tree.BinsFrom)
    assert by_reference.binning.count.value == 4
    assert by_reference.binning.reference.text == "elsewhere"
    assert isinstance(equal.binning, tree.EqualBins)
    assert equal.binning.count.value == 10
    assert [(c.kind, c.number.value) for c in equal.importance] == [("weight", 10)]
    samples, measurements = one(spec, tree.ReleaseBlock).lines
    assert isinstance(samples, tree.SamplesLine)
    assert (samples.rows.value, samples.audience.kind.text) == (600, "public")
    assert texts(samples.formats) == ["csv", "h5ad"]
    assert isinstance(measurements, tree.MeasurementsLine)
    assert measurements.audience.kind.text == "silos"
    files = one(spec, tree.SimulateBlock).files
    assert [(f.silo.text, f.file.text) for f in files] == [
        ("europe", "data/europe.csv.gz"),
        ("northeast", "data/northeast.csv.gz"),
        ("south", "data/south.csv.gz"),
    ]


def test_study_d() -> None:
    spec = study("two_hospitals")
    north, _ = one(spec, tree.SilosBlock).silos
    (terms,) = north.clauses
    assert isinstance(terms, tree.TermsClause)
    assert terms.reference is not None
    assert (terms.kind, terms.reference.text) == ("consent", "GRU")
    (helper,) = one(spec, tree.HelpersBlock).helpers
    assert (helper.name.text, helper.title and helper.title.text) == (
        "university",
        "University computing centre",
    )
    binning = one(spec, tree.MeasureBlock).queries[1].binning
    assert isinstance(binning, tree.BinsAt)
    assert [edge.value for edge in binning.edges] == [8, Fraction(19, 2), 11]
    assert one(spec, tree.ColumnsBlock).columns[1].otherwise is None


def nodes(node: object) -> list[object]:
    found: list[object] = []
    if is_dataclass(node) and not isinstance(node, Span | Source):
        found.append(node)
        for field in fields(node):
            value = getattr(node, field.name)
            for child in value if isinstance(value, tuple) else (value,):
                found.extend(nodes(child))
    return found


@pytest.mark.parametrize("name", ["colorectal", "two_hospitals"])
def test_spans_hold_exactly_what_they_stand_for(name: str) -> None:
    kinds: Counter[str] = Counter()
    spec = study(name)
    for node in nodes(spec):
        kinds[type(node).__name__] += 1
        text = at(node.span)  # type: ignore[attr-defined]
        if isinstance(node, tree.Name | tree.Text):
            assert text.strip('"') == node.text
        elif isinstance(node, tree.Number):
            assert Fraction(text) == node.value
        elif not isinstance(node, tree.Spec):
            assert text == text.strip()
            assert "#" not in text.split("\n")[-1]
        for field in fields(node):  # type: ignore[arg-type]
            value = getattr(node, field.name)
            for child in value if isinstance(value, tuple) else (value,):
                if is_dataclass(child) and not isinstance(child, Span):
                    assert spec.span.start <= node.span.start <= child.span.start  # type: ignore[attr-defined]
                    assert child.span.end <= node.span.end  # type: ignore[attr-defined]
    assert len(kinds) > 20


def test_statements_have_the_spans_of_their_lines() -> None:
    spec = study("colorectal")
    marginals = one(spec, tree.MeasureBlock).queries
    assert at(marginals[2].span) == "marginal subtype * cycle   in 4 bins from elsewhere"
    assert at(one(spec, tree.TrustBlock).span) == "trust {\n  tolerate 1 colluding party\n}"
    assert at(one(spec, tree.ColumnsBlock).columns[1].values[2].span) == "unknown"


# ---- the rules of LANGUAGE ----------------------------------------------------------------------


def columns(text: str) -> tuple[tree.CategoryLine, ...]:
    return one(read(f"columns {{ {text} }}"), tree.ColumnsBlock).columns


@pytest.mark.parametrize(
    "word",
    [
        "HLA-A",
        "NKX2-1",
        "7SK",
        "ENSG00000141736.9",
        "ER+",
        "HM-SNV",
        "_x",
        "a/b",
        "1e5x",
        "0",
        "3.5",
    ],
)
def test_bare_words(word: str) -> None:
    (line,) = columns(f"c category {{ {word}, other }}")
    assert line.values[0].text == word


@pytest.mark.parametrize(
    ("quoted", "meaning"),
    [
        ('"t(8;21)"', "t(8;21)"),
        ('"a # b"', "a # b"),
        ('"{ } ;"', "{ } ;"),
        (r'"say \"x\""', 'say "x"'),
        (r'"a\\b"', r"a\b"),
        (r'"\\"', "\\"),
        ('"  trimmed "', "trimmed"),
        ('"Ünïcödé β"', "Ünïcödé β"),
        ('"..."', "..."),
        ('"\t tab"', "tab"),
    ],
)
def test_quoted_names(quoted: str, meaning: str) -> None:
    (line,) = columns(f"c category {{ {quoted}, other }}")
    assert texts(line.values) == [meaning, "other"]


@pytest.mark.parametrize("word", sorted({*BLOCKS, *KEYWORDS, *STATEMENTS, "hold", "open", "add"}))
def test_keywords_are_not_reserved(word: str) -> None:
    spec = read(
        f"silos hold {word} {{ {word} terms open; b {word and 'terms open'} }}\n"
        f"helpers {{ {word} }}\n"
        f"person {{ key {word} }}\n"
        f"columns {{ {word} category {{ {word}, x }} else {word} }}\n"
        f'public {word} from "f" {word}\n'
        f"panel {word} expression {word} 0..1 {{ {word}, {word} }}\n"
        f"measure {{ marginal {word} * {word} in 2 bins from {word} weight 1 }}\n"
        f"release {{ samples 1 to {word} as {word}, {word}; measurements to {word} }}\n"
        f'simulate {{ {word} "f" }}\n'
    )
    assert len(spec.items) == 9
    assert one(spec, tree.SilosBlock).silos[0].name.text == word
    (column,) = one(spec, tree.ColumnsBlock).columns
    assert column.otherwise is not None
    assert (column.name.text, column.otherwise.text) == (word, word)
    (marginal,) = one(spec, tree.MeasureBlock).queries
    assert texts(marginal.factors) == [word, word]
    assert [c.kind for c in marginal.importance] == ["weight"]


def test_newline_and_semicolon_end_statements() -> None:
    lines = "epsilon 1;delta 1e-6\n\n;; add or remove one person ;"
    block = one(read(f"privacy {{ {lines} }}"), tree.PrivacyBlock)
    assert [type(line).__name__ for line in block.lines] == [
        "BudgetLine",
        "BudgetLine",
        "AddOrRemove",
    ]


def test_lists_go_on_over_newlines_commas_and_comments() -> None:
    listed = "{ # first\n  A, B # second\n  C,\n\n  # a line of its own\n  D,\n}"
    (line,) = columns(f"c category {listed}")
    assert texts(line.values) == ["A", "B", "C", "D"]


def test_a_marginal_goes_on_after_a_star_and_a_comma() -> None:
    spec = read(
        "measure {\n marginal a * # and\n\n  b *\n c in bins at 1,\n  2, # x\n 3\n marginal d\n}"
    )
    first, second = one(spec, tree.MeasureBlock).queries
    assert texts(first.factors) == ["a", "b", "c"]
    assert isinstance(first.binning, tree.BinsAt)
    assert [edge.value for edge in first.binning.edges] == [1, 2, 3]
    assert texts(second.factors) == ["d"]


def without_spans(node: object) -> object:
    if isinstance(node, tuple):
        return tuple(without_spans(child) for child in node)
    if is_dataclass(node) and not isinstance(node, Span):
        return (
            type(node).__name__,
            *(without_spans(getattr(node, f.name)) for f in fields(node) if f.name != "span"),
        )
    return node


@pytest.mark.parametrize("name", ["colorectal", "two_hospitals"])
def test_layout_means_nothing(name: str) -> None:
    text = (SPECS / f"{name}.secgen").read_text(encoding="utf-8")
    meaning = without_spans(read(text))
    assert without_spans(read(text.replace("\n", "\r\n"))) == meaning
    assert without_spans(read(text.rstrip("\n"))) == meaning
    assert without_spans(read(text.replace("  ", "\t"))) == meaning
    assert without_spans(read(text.replace("\n", "  # note\n\n"))) == meaning
    assert without_spans(read("\n# a line\n" + text + "\n\n# the end")) == meaning


def test_a_byte_order_mark_is_ignored(tmp_path) -> None:  # type: ignore[no-untyped-def]
    from secgen_dsl.syntax.parser import read_source

    path = tmp_path / "x.secgen"
    path.write_bytes(b"\xef\xbb\xbfsecgen 1\r\n")
    assert one(parse(read_source(path)), tree.Version).number.value == 1


@pytest.mark.parametrize(
    ("text", "value"),
    [("4", 4), ("0.25", Fraction(1, 4)), ("1e-6", Fraction(1, 10**6)), ("2.5E+1", 25), ("007", 7)],
)
def test_numbers_are_exact(text: str, value: Fraction) -> None:
    (line,) = one(read(f"privacy {{ epsilon {text} }}"), tree.PrivacyBlock).lines
    assert isinstance(line, tree.BudgetLine)
    assert line.number.value == value
