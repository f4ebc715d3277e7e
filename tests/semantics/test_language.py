"""What the statements of the language mean: from text to the program's fields."""

from fractions import Fraction
from pathlib import Path

import pytest

from secgen_dsl.diagnostics.diagnostic import SecgenError, Source
from secgen_dsl.ir.program import Audience, CategoryColumn, NumberColumn, Program
from secgen_dsl.ir.queries import ErrorTarget, Marginal, Moments, PairMarginal
from secgen_dsl.planner.plan import plan_program
from secgen_dsl.semantics.resolve import Resolved, resolve
from secgen_dsl.syntax.parser import parse
from secgen_dsl.verifier.verify import verify

REFERENCE = "sample,A,B,C,age\n" + "\n".join(
    f"s{k},{k},{(k * 7) % 11},{20 - k},{20 + 3 * k}" for k in range(20)
)
GMT = "FIRST\thttp://x\tA\tB\nSECOND\thttp://x\tB\tC\tZ\nALONE\thttp://x\tA\n"

BLOCKS = {
    "silos": "silos hold patients { a terms open; b terms open; c terms open }",
    "trust": "trust { tolerate 1 colluding party }",
    "person": "person { key patient; at most 1 sample; in at most 1 silo; "
    "at most 1000 people in all }",
    "columns": "columns { subtype category { X, Y }; sex category { f, m } else m\n"
    "flags mutation { NPM1, TP53 }; blasts number 0..100 in bins at 20, 50 }",
    "public": 'public r from "r.csv" log2',
    "sets": 'sets hallmark from "s.gmt"',
    "panel": "panel p expression log2 0..20 { A, B, C }",
    "privacy": "privacy { add or remove one person; epsilon 4; delta 1e-6 }",
    "measure": "measure { marginal subtype }",
    "release": "release { samples 100 to public as csv }",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "r.csv").write_text(REFERENCE)
    (tmp_path / "r2.csv").write_text(REFERENCE)
    (tmp_path / "s.gmt").write_text(GMT)
    (tmp_path / "few.csv").write_text("\n".join(REFERENCE.split("\n")[:9]))
    return tmp_path


def text_of(**blocks: str) -> str:
    return 'secgen 1\nstudy "S" { purpose "x" }\n' + "\n".join((BLOCKS | blocks).values())


def resolved(folder: Path, **blocks: str) -> Resolved:
    source = Source("s.secgen", text_of(**blocks))
    return resolve(parse(source), source, folder)


def program_of(folder: Path, **blocks: str) -> Program:
    """The program, which also plans and verifies."""
    found = resolved(folder, **blocks).program
    verify(plan_program(found))
    return found


def errors(folder: Path, **blocks: str) -> list[tuple[str, str]]:
    """Code and the text that each error points at."""
    with pytest.raises(SecgenError) as caught:
        resolved(folder, **blocks)
    found = []
    for diagnostic in caught.value.diagnostics:
        assert diagnostic.span is not None
        assert diagnostic.next_step
        span = diagnostic.span
        found.append((diagnostic.code, span.source.text[span.start : span.end]))
    return found


def test_columns(folder: Path) -> None:
    columns = program_of(folder).columns
    assert [c.name for c in columns] == ["subtype", "sex", "NPM1", "TP53", "blasts"]
    flag, blasts = columns[2], columns[4]
    assert isinstance(flag, CategoryColumn)
    assert (flag.values, flag.otherwise) == (("yes", "no", "untested"), "untested")
    assert isinstance(blasts, NumberColumn)
    assert blasts.values == ("[0, 20)", "[20, 50)", "[50, 100]")


@pytest.mark.parametrize(
    ("bins", "edges"),
    [
        ("in 4 equal bins", (25, 50, 75)),
        ("in bins at 18, 65.5", (18, Fraction(131, 2))),
        ("in 2 bins from r", (Fraction(97, 2),)),
    ],
)
def test_number_columns(folder: Path, bins: str, edges: tuple[Fraction, ...]) -> None:
    text = f"columns {{ subtype category {{ X, Y }}; age number 0..100 {bins} }}"
    column = program_of(folder, columns=text, measure="measure { marginal age }").columns[1]
    assert isinstance(column, NumberColumn)
    assert column.edges == edges


def test_ranges_may_be_negative(folder: Path) -> None:
    panel = "panel p expression log2_fpkm -4..20 { A, B }"
    measure = "measure { marginal subtype * p in bins at -1.5, 3 }"
    query = program_of(folder, panel=panel, measure=measure).queries[0]
    assert query.edges[0] == (Fraction(-3, 2), 3)


def test_each_stands_for_a_marginal_a_column(folder: Path) -> None:
    program = program_of(
        folder, measure="measure { marginal each flags * subtype share 50%\n marginal sex }"
    )
    assert [m.statement for m in program.queries] == [
        "marginal NPM1 * subtype share 25%",
        "marginal TP53 * subtype share 25%",
        "marginal sex",
    ]


def test_a_gene_of_a_panel(folder: Path) -> None:
    program = program_of(folder, measure="measure { marginal subtype * p.B in 2 bins from r }")
    query = program.queries[0]
    assert (query.id, program.genes(query), program.shape(query)) == (
        "subtype*p.B",
        ("B",),
        (1, 2, 2),
    )


def test_pairs_come_from_public_files_alone(folder: Path) -> None:
    measure = "measure { marginal subtype; marginal pairs of p within hallmark in 3 bins from r }"
    query = program_of(folder, measure=measure).queries[1]
    assert isinstance(query, PairMarginal)
    assert (query.genes, query.pairs) == (("A", "B", "C"), ((0, 1), (1, 2)))
    kept = "within hallmark { SECOND } in 3 equal bins keep 1 by correlation in r weight 2"
    query = program_of(
        folder, measure=f"measure {{ marginal subtype; marginal pairs of p {kept} }}"
    ).queries[1]
    assert isinstance(query, PairMarginal)
    assert (query.genes, query.pairs, query.keep) == (("B", "C"), ((0, 1),), 1)
    assert query.statement == f"marginal pairs of p {kept}"
    # A falls as C rises, exactly: the strongest correlation of all.
    any_two = "marginal pairs of p in 2 equal bins keep 1 by correlation in r"
    query = program_of(folder, measure=f"measure {{ marginal subtype; {any_two} }}").queries[1]
    assert query.genes == ("A", "C")  # type: ignore[union-attr]


def test_pairs_by_labels(folder: Path) -> None:
    pairs = "sex * blasts * pairs of p in 2 bins from r keep 2 by correlation in r"
    measure = f"measure {{ marginal subtype; marginal {pairs} }}"
    program = program_of(folder, measure=measure)
    query = program.queries[1]
    assert isinstance(query, PairMarginal)
    assert (query.id, query.columns) == ("sex*blasts*pairs of p", ("sex", "blasts"))
    assert query.statement == f"marginal {pairs}"
    assert program.shape(query) == (2, 6 * 2, 2)
    # A column with such a name needs quotes behind `*`; labels of moments need none.
    columns = "columns { subtype category { X, Y }; pairs category { X, Y } else X }"
    for statement in (
        'marginal subtype * "pairs"',
        "moments p by subtype * pairs in 2 factors from r",
    ):
        found = program_of(folder, columns=columns, measure=f"measure {{ {statement} }}")
        assert found.queries[0].columns == ("subtype", "pairs")


def test_else_equal_stands_in_for_absent_genes(folder: Path) -> None:
    panel = "panel p expression log2 0..20 { A, Q }"
    query = program_of(
        folder, panel=panel, measure="measure { marginal subtype * p in 2 bins from r else equal }"
    ).queries[0]
    assert query.binning == "reference-else-equal"
    assert query.edges == ((Fraction(19, 2),), (10,))
    assert "SG214" in {
        code
        for code, _ in errors(
            folder, panel=panel, measure="measure { marginal subtype * p in 2 bins from r }"
        )
    }


def test_references_are_aligned_by_a_bridge(folder: Path) -> None:
    (folder / "f.csv").write_text("A,B,C\n0,0,0\n1,1,1\n2,2,2\n")
    (folder / "v.csv").write_text("A,B,C\n3,3,3\n4,4,4\n5,5,5\n")
    program = program_of(
        folder,
        public='public r from "r.csv" log2_fpkm "far" aligned by b\n'
        'public b from "f.csv" log2_fpkm and "v.csv" vst "same samples"',
        panel="panel p expression vst 0..30 { A, B, C }",
        measure="measure { marginal subtype * p in 2 bins from r }",
    )
    assert program.reference_unit(program.reference("r")) == "vst"
    assert program.bridge("b").units == ("log2_fpkm", "vst")
    assert program.queries[0].edges[0] == (Fraction(25, 2),)  # 9.5 + 3


def test_labels_of_a_public_table(folder: Path) -> None:
    rows = ["sample,A,B,C,subtype,sex", "1,1,1,1,Y,f", "2,2,2,2,X,?", "3,3,3,3,NA,", "4,4,4,4, Y,m"]
    (folder / "l.csv").write_text("\n".join(rows))
    found = resolved(folder, public='public r from "l.csv" log2 labelled by subtype, sex "far"')
    assert found.program.reference("r").labelled_by == ("subtype", "sex")
    assert found.labelled == (
        "r: 4 people, labelled by subtype: X 1, Y 2, 1 without (missing 1); "
        'by sex: f 1, 3 without ("?" 1, missing 1, "m" 1)',
    )
    verify(plan_program(found.program))


def test_listed_labels_that_no_public_person_has_are_remarked_on(folder: Path) -> None:
    (folder / "l.csv").write_text("sample,A,B,C,subtype,sex\n1,1,1,1,Y,f\n2,2,2,2,ix,f\n")
    found = resolved(folder, public='public r from "l.csv" log2 labelled by subtype, sex')
    (said,) = [one for one in found.warnings if one.code == "SG224"]
    assert said.message == (
        'nobody in the public table "r" is labelled "X"; its people without a label: "ix" 1'
    )


def test_a_label_is_no_gene_of_the_table(folder: Path) -> None:
    """A mutation and an expression may have one name; a table's column is one of them."""
    (folder / "l.csv").write_text("id,A,B,TP53\ns,1,4,yes\nt,2,5,no\nu,3,6,yes\n")
    blocks = {
        "public": 'public r from "l.csv" log2 labelled by TP53',
        "panel": "panel p expression log2 0..20 { A, B, TP53 }",
    }
    measure = "measure { marginal TP53 * p in 2 bins from r else equal }"
    edges = resolved(folder, **blocks, measure=measure).program.queries[0].edges
    assert edges[2] == (10,)
    assert edges[0] == (2,)
    measure = "measure { marginal TP53 * p in 2 bins from r }"
    with pytest.raises(SecgenError, match="no values of the gene TP53: by `labelled by`"):
        resolved(folder, **blocks, measure=measure)


def test_a_gene_of_two_panels_may_lie_in_the_range_of_either(folder: Path) -> None:
    panels = "panel p expression log2 0..20 { A, B, C }\npanel q expression log2 0..1 { A, B }"
    measure = (
        "measure { marginal subtype * p in 2 bins from r; marginal subtype * q in 2 equal bins }"
    )
    found = resolved(folder, panel=panels, measure=measure)
    assert "SG226" not in [one.code for one in found.warnings]
    alone = panels.replace("{ A, B }", "{ D, E }")
    (folder / "r.csv").write_text(
        "id,A,B,C,D,E\n" + "\n".join(f"s{k},{k},{k},9,{k + 2},9" for k in range(9))
    )
    assert ("SG226", "r") in errors(folder, panel=alone, measure=measure)


@pytest.mark.parametrize(("high", "severe"), [(18, 0), (10, 1), (5, 2)])
def test_values_outside_a_panels_range(folder: Path, high: int, severe: int) -> None:
    blocks = {
        "panel": f"panel p expression log2 0..{high} {{ A, B, C }}",
        "measure": "measure { marginal subtype * p in 2 equal bins }",
    }
    if severe == 2:
        assert errors(folder, **blocks) == [("SG226", "r")]
    else:
        codes = [one.code for one in resolved(folder, **blocks).warnings]
        assert codes.count("SG226") == severe


@pytest.mark.parametrize(
    ("fpkm", "found"),
    [
        ("id,A,B,C\ns,0,0,0\nt,1,1,1\nu,2,2,2\n", []),
        ("A,B,C\n0,0,0\n1,1,1\n2,2,2\n", [("SG225", "warning")]),
        ("id,A,B,C\nx,0,0,0\ny,1,1,1\nz,2,2,2\n", [("SG225", "error")]),
    ],
    ids=["same", "without names", "others"],
)
def test_a_bridge_is_of_the_same_people(
    folder: Path, fpkm: str, found: list[tuple[str, str]]
) -> None:
    """Said once, at the bridge's name, however often the reference is used."""
    (folder / "f.csv").write_text(fpkm)
    (folder / "v.csv").write_text("id,A,B,C\nt,4,4,4\ns,3,3,3\nu,5,5,5\n")
    blocks = {
        "public": 'public r from "r.csv" log2_fpkm "far" aligned by both\n'
        'public both from "f.csv" log2_fpkm and "v.csv" vst',
        "panel": "panel p expression vst 0..30 { A, B, C }",
        "measure": "measure { marginal subtype * p in 2 bins from r; "
        "marginal sex * p in 3 bins from r }",
    }
    try:
        said = resolved(folder, **blocks).warnings
    except SecgenError as error:
        said = error.diagnostics
    said = [one for one in said if one.code not in ("SG221", "SG223")]
    assert [(one.code, one.severity) for one in said] == found
    assert all(
        one.span is not None and one.span.source.text[one.span.start : one.span.end] == "both"
        for one in said
    )


def test_counts(folder: Path) -> None:
    form = (
        "panel p expression counts as log2(cpm+1) 0..16 library size from {} {{ A, B }} "
        "missing is 0"
    )
    for words, column in (("column total", "total"), ("all genes in the file", None)):
        panel = program_of(
            folder,
            panel=form.format(words),
            measure="measure { marginal subtype * p in 4 equal bins }",
        ).panel("p")
        assert panel.counts is not None
        assert (panel.unit, panel.counts.library_column, panel.missing) == ("log2_cpm", column, 0)


def test_person(folder: Path) -> None:
    person = (
        "person { key donor; at most 2 samples per sex; keep earliest taken; in at most 3 silos\n"
        'at most 90 people in all; expect subtype X ~ 12.5% "a registry" }'
    )
    found = program_of(folder, person=person)
    assert found.person.model_dump() == {
        "key": "donor", "samples": 2, "per": "sex", "keep": "taken", "silos": 3,
        "people_bound": 90,
    }  # fmt: skip
    assert [(e.column, e.value, e.share) for e in found.expectations] == [
        ("subtype", "X", Fraction(1, 8))
    ]


@pytest.mark.parametrize(
    ("terms", "audience", "allowed"),
    [
        ("open", "public", True),
        ('consent "GRU"', "registered", True),
        ('consent "GRU"', 'named "Us"', True),
        ('consent "GRU"', "public", False),
        ('consent "GRU" approval "DAC 1"', "public", True),
        ('controlled "phs1"', "silos", True),
        ('controlled "phs1"', 'named "Us"', False),
        ('controlled "phs1" approval "DAC 1"', "public", True),
    ],
)
def test_audiences_and_terms(folder: Path, terms: str, audience: str, allowed: bool) -> None:
    silos = f"silos hold patients {{ a terms open; b terms {terms}; c terms open }}"
    release = f"release {{ samples 9 to {audience}; measurements to {audience} }}"
    if not allowed:
        assert {code for code, _ in errors(folder, silos=silos, release=release)} == {"SG307"}
        return
    found = program_of(folder, silos=silos, release=release)
    kind, name = audience.split(maxsplit=1)[0], "Us" if "named" in audience else ""
    assert found.measurements == Audience(kind=kind, name=name)  # type: ignore[arg-type]


def test_importance(folder: Path) -> None:
    measure = (
        "measure { marginal subtype weight 2 error 30 people; marginal sex share 30%\n"
        "marginal subtype * sex error 45.5% }"
    )
    privacy = "privacy { add or remove one person; epsilon 1; delta 1e-6; mechanism gaussian }"
    one, two, three = (
        m.importance for m in program_of(folder, measure=measure, privacy=privacy).queries
    )
    assert (one.weight, one.error) == (2, ErrorTarget(unit="people", value=Fraction(30)))
    assert two.share == Fraction(3, 10)
    assert three.error == ErrorTarget(unit="percent", value=Fraction(91, 2))


FAULTS: list[tuple[dict[str, str], list[tuple[str, str]]]] = [
    ({"measure": "measure { marginal each subtype }"}, [("SG205", "subtype")]),
    ({"measure": "measure { marginal flags }"}, [("SG205", "flags")]),
    ({"measure": "measure { marginal each flags * each flags }"}, [("SG211", "flags")]),
    ({"measure": "measure { marginal subtype * B in 2 equal bins }"}, [("SG205", "B")]),
    ({"measure": "measure { marginal blasts in 4 equal bins }"}, [("SG211", "in 4 equal bins")]),
    ({"measure": "measure { marginal pairs of q in 2 equal bins }"}, [("SG205", "q")]),
    ({"measure": "measure { marginal pairs of p }"}, [("SG211", "marginal pairs of p")]),
    ({"measure": "measure { marginal stage * pairs of p in 2 equal bins }"}, [("SG205", "stage")]),
    ({"measure": "measure { marginal p * pairs of p in 2 equal bins }"}, [("SG205", "p")]),
    (
        {"measure": "measure { marginal each flags * pairs of p in 2 equal bins }"},
        [("SG211", "flags")],
    ),
    (
        {"measure": "measure { marginal sex * sex * pairs of p in 2 equal bins }"},
        [("SG207", "sex")],
    ),
    (
        {
            "measure": "measure { marginal sex * pairs of p in 2 equal bins\n"
            "marginal pairs of p in 3 equal bins\n"  # may stand beside them
            "marginal sex * pairs of p in 3 equal bins\n"
            "marginal subtype * pairs of p in 2 equal bins }"
        },
        [("SG112", "subtype")],
    ),
    (
        {
            "columns": "columns { "
            + "; ".join(f"c{k} number 0..9 in 9 equal bins" for k in range(7))
            + " }",
            "measure": f"measure {{ marginal {' * '.join(f'c{k}' for k in range(7))} "
            "* pairs of p in 2 equal bins }",
        },
        [("SG311", "marginal c0 * c1 * c2 * c3 * c4 * c5 * c6 * pairs of p in 2 equal bins")],
    ),
    (  # label cells times the pairs of all statements
        {
            "columns": "columns { "
            + "; ".join(f"c{k} number 0..9 in 9 equal bins" for k in range(4))
            + " }",
            "measure": "measure { marginal c0 * c1 * c2 * c3 * pairs of p in 2 equal bins\n"
            + "\n".join(f"marginal pairs of p in {bins} equal bins" for bins in (2, 3))
            + " }",
        },
        [("SG311", "marginal pairs of p in 3 equal bins")],
    ),
    (
        {
            "measure": "measure { marginal sex * pairs of p in 2 equal bins\n"
            "marginal sex * pairs of p in 2 equal bins }"
        },
        [("SG215", "marginal sex * pairs of p in 2 equal bins")],
    ),
    (
        {"measure": "measure { marginal pairs of p within hallmrk in 2 equal bins }"},
        [("SG205", "hallmrk")],
    ),
    (
        {"measure": "measure { marginal pairs of p within hallmark { FRST } in 2 equal bins }"},
        [("SG205", "FRST")],
    ),
    (
        {"measure": "measure { marginal pairs of p within hallmark { ALONE } in 2 equal bins }"},
        [("SG208", "within hallmark { ALONE }")],
    ),
    (
        {"measure": "measure { marginal subtype share 60%; marginal sex share 50% }"},
        [("SG220", "share 50%")],
    ),
    (
        {"measure": "measure { marginal subtype share 60%; marginal sex share 30% }"},
        [("SG220", "share 30%")],
    ),
    (
        {"measure": "measure { marginal subtype share 100%; marginal sex }"},
        [("SG220", "share 100%")],
    ),
    (
        {"measure": "measure { marginal subtype share 50% weight 2; marginal sex }"},
        [("SG220", "weight 2")],
    ),
    ({"measure": "measure { marginal subtype error 0% }"}, [("SG216", "error 0%")]),
    ({"measure": "measure { marginal subtype weight 1 weight 2 }"}, [("SG204", "weight 2")]),
    (
        {
            "measure": "measure { marginal subtype error 5% }",
            "person": "person { key k; at most 1 sample; in at most 1 silo }",
        },
        [("SG220", "error 5%")],
    ),
    ({"measure": "measure { moments p by subtype in 3 factors from r }"}, [("SG214", "3")]),
    ({"measure": "measure { moments p by subtype in 3 factors from hallmark }"}, [("SG220", "3")]),
    ({"measure": "measure { moments p by subtype in 65 factors from r }"}, [("SG216", "65")]),
    (
        {
            "measure": "measure { moments p by sex in factors from r }",
            "privacy": "privacy { add or remove one person; epsilon 4; delta 0 }",
        },
        [("SG220", "moments p by sex in factors from r")],
    ),
    (
        {
            "measure": "measure { moments p by sex in 2 factors from r }",
            "panel": "panel p expression tpm 0..20 { A, B, C }",
            "public": 'public r from "r.csv" tpm',
        },
        [("SG220", "p")],
    ),
    (
        {
            "measure": "measure { moments p by sex in 2 factors from r }",
            "panel": "panel p expression log2 0..5 { A, B, C }",
        },
        [("SG226", "r")],
    ),
    ({"measure": "measure { moments p by p in 2 factors from r }"}, [("SG205", "p")]),
    ({"measure": "measure { moments p by sex * sex in 2 factors from r }"}, [("SG207", "sex")]),
    ({"measure": "measure { moments q by sex in 2 factors from r }"}, [("SG205", "q")]),
    ({"measure": "measure { moments p by sex in 2 factors from q }"}, [("SG205", "q")]),
    (
        {"measure": "measure { moments p by sex in 2 factors from r error 5% }"},
        [("SG220", "error 5%")],
    ),
    (
        {
            "public": 'public r from "r.csv" vst',
            "measure": "measure { moments p by sex in 2 factors from r }",
        },
        [("SG212", "r")],
    ),
    (
        {
            "measure": "measure { moments p by sex in 2 factors from r\n"
            "moments p by sex in 2 factors from r weight 2 }"
        },
        [("SG215", "moments p by sex in 2 factors from r weight 2")],
    ),
    (
        {
            "measure": "measure { moments p by sex in 2 factors from few }",
            "public": 'public r from "r.csv" log2\npublic few from "few.csv" log2',
        },
        [("SG214", "few")],
    ),
    ({"measure": "measure { marginal subtype * p in 65 learned bins }"}, [("SG211", "65")]),
    (
        {"measure": "measure { marginal subtype * p in 4 learned bins from q }"},
        [("SG205", "q")],
    ),
    (
        {"measure": "measure { marginal pairs of p in 3 learned bins }"},
        [("SG112", "in 3 learned bins")],
    ),
    (
        {
            "columns": "columns { subtype category { X, Y }; age number 0..99 in 4 learned bins }",
            "measure": "measure { marginal age }",
        },
        [("SG112", "in 4 learned bins")],
    ),
    *(
        (
            {
                "panel": "panel p expression counts as log2(cpm + 1) 0..20 "
                "library size from column x { A, B, C }",
                "measure": f"measure {{ {statement} }}",
            },
            [("SG112", place)],
        )
        for statement, place in (
            ("moments p by sex in 2 factors from r", "p"),
            ("marginal subtype * p in 4 learned bins", "in 4 learned bins"),
        )
    ),
    (
        {"columns": "columns { subtype category { X, Y }; flags mutation { } }"},
        [("SG208", "flags mutation { }")],
    ),
    (
        {"columns": "columns { subtype category { X, Y }; f mutation { subtype } }"},
        [("SG207", "subtype")],
    ),
    (
        {"columns": "columns { subtype category { X, Y }; n number 5..5 in 2 equal bins }"},
        [("SG210", "5..5")],
    ),
    (
        {"columns": "columns { subtype category { X, Y }; n number 0..5 in bins at 7 }"},
        [("SG211", "in bins at 7")],
    ),
    (
        {"columns": "columns { subtype category { X, Y }; nobody number 0..5 in 2 bins from r }"},
        [("SG214", "r")],
    ),
    ({"panel": "panel p expression lgo2 0..20 { A }"}, [("SG218", "lgo2")]),
    (
        {"panel": "panel p expression log2 as zscore 0..20 { A }"},
        [("SG219", "as zscore")],
    ),
    (
        {
            "panel": "panel p expression log2 as log2(cpm + 1) 0..20 "
            "library size from column x { A }"
        },
        [("SG219", "log2")],
    ),
    (
        {"panel": "panel p expression counts as log2(cpm + 1) 0..20 { A }"},
        [("SG203", "as log2(cpm + 1)")],
    ),
    (
        {"panel": "panel p expression log2 0..20 library size from column x { A }"},
        [("SG220", "library size from column x")],
    ),
    (
        {"panel": "panel p expression log2 0..20 { A, B }\npanel q expression tpm 0..20 { B }"},
        [("SG212", "tpm")],
    ),
    ({"public": 'public r from "r.csv" log2 aligned by b'}, [("SG205", "b")]),
    (
        {"public": 'public r from "r.csv" log2 labelled by subtyp, flags, blasts, sex, sex'},
        [
            ("SG207", "sex"),
            ("SG205", "subtyp"),
            ("SG205", "flags"),
            ("SG220", "blasts"),
            ("SG214", "sex"),
        ],
    ),
    (
        {
            "columns": "columns { sample category { X, Y }; subtype category { X } else Z }",
            "public": 'public r from "r.csv" log2 labelled by sample, subtype',
        },
        [("SG208", "subtype category { X } else Z"), ("SG205", "Z"), ("SG224", "sample")],
    ),
    (
        {
            "columns": "columns { subtype category { } }",
            "measure": "measure { moments p by subtype in factors from r }",
        },
        [("SG208", "subtype category { }")],
    ),
    (
        {"public": 'public b from "r.csv" log2 and "r2.csv" vst labelled by sex'},
        [("SG220", "sex")],
    ),
    (
        {"public": 'public r from "r.csv" log2\npublic b from "r.csv" vst and "r2.csv" vst'},
        [("SG212", "vst")],
    ),
    (
        {
            "public": 'public r from "r.csv" log2 aligned by b\n'
            'public b from "r.csv" vst and "r2.csv" tpm'
        },
        [("SG212", "b")],
    ),
    ({"sets": 'sets hallmark from "r.csv"'}, [("SG213", '"r.csv"')]),
    (
        {"sets": 'sets hallmark from "s.gmt"\nsets hallmark from "s.gmt"'},
        [("SG206", "hallmark")],
    ),
    (
        {"person": "person { key k; at most 1 sample per age; in at most 1 silo }"},
        [("SG205", "age")],
    ),
    (
        {"person": "person { key k; at most 1 sample; keep earliest subtype; in at most 1 silo }"},
        [("SG206", "subtype")],
    ),
    (
        {"person": "person { key k; at most 1 sample; keep earliest k; in at most 1 silo }"},
        [("SG206", "k")],
    ),
    ({"person": "person { key k; at most 1 sample; in at most 4 silos }"}, [("SG216", "4")]),
    (
        {
            "person": "person { key k; at most 1 sample; in at most 1 silo; "
            "expect subtype Z ~ 10%; expect blats f ~ 5%; expect sex f ~ 100% }"
        },
        [("SG205", "Z"), ("SG205", "blats"), ("SG216", "100")],
    ),
    (
        {
            "privacy": "privacy { add or remove one person; epsilon 1\n"
            "replace one person of exactly 9 }"
        },
        [("SG204", "replace one person of exactly 9")],
    ),
    (
        {"privacy": "privacy { replace one person of exactly 9; epsilon 1 }"},
        [("SG204", "replace one person of exactly 9")],
    ),
    (
        {"privacy": "privacy { add or remove one person; epsilon 1; delta 0; mechanism gaussian }"},
        [("SG220", "0")],
    ),
    (
        {
            "privacy": "privacy { add or remove one person; epsilon 1\n"
            "learned bins using at most 15% }"
        },
        [("SG220", "learned bins using at most 15%")],
    ),
    *(
        (
            {
                "privacy": "privacy { add or remove one person; epsilon 1\n"
                f"learned bins using at most {percent}% }}",
                "measure": "measure { marginal subtype * p in 4 learned bins }",
            },
            [("SG216", percent)],
        )
        for percent in ("0", "100")
    ),
    (
        {"silos": 'silos hold patients { a terms open approval "x"; b terms open; c terms open }'},
        [("SG220", 'approval "x"')],
    ),
    ({"release": 'release { samples 9 to named "" }'}, [("SG207", 'named ""')]),
    ({"release": 'release { samples 9 to "named" }'}, [("SG207", '"named"')]),
    (
        {"silos": "silos hold columns { a terms open; b terms open; c terms open }"},
        [("SG217", "columns")],
    ),
]


@pytest.mark.parametrize(
    ("blocks", "expected"), FAULTS, ids=[" ".join(blocks.values())[:70] for blocks, _ in FAULTS]
)
def test_faults(folder: Path, blocks: dict[str, str], expected: list[tuple[str, str]]) -> None:
    assert errors(folder, **blocks) == expected


STUDY_B = """
sets hallmark from "s.gmt"
measure {
  moments  p by subtype     in 2 factors from r            share 60%
  marginal subtype * p      in 4 learned bins                       share 30%
  marginal pairs of p within hallmark { FIRST, SECOND } in 3 bins from r keep 40 by correlation in r
}
"""


def test_study_b_plans(folder: Path) -> None:
    sets, measure = STUDY_B.strip().split("\n", 1)
    found = resolved(folder, sets=sets, measure=measure)
    moments, learned, pairs = found.program.queries
    assert isinstance(moments, Moments)
    assert (len(moments.loadings), moments.source, moments.standard.reference) == (2, "r", "r")
    assert isinstance(learned, Marginal)
    assert learned.learned is not None
    assert (learned.binning, learned.edges, learned.learned.part) == (
        "learned",
        (),
        Fraction(3, 20),
    )
    assert learned.learned.standard.centres == (10, 10, 10)  # the middle of the range
    assert "learned bins using at most 15%" in found.defaults
    plan = plan_program(found.program)
    verify(plan)
    assert [[release.query for release in one.releases] for one in plan.rounds] == [
        [
            pairs.id, "subtype", "means of moments p by subtype", "scores of moments p by subtype",
            "second moment of moments p by subtype", "means of subtype*p", "squares of subtype*p",
        ],
        ["subtype*p"],
    ]  # fmt: skip


def test_moments_of_gene_sets(folder: Path) -> None:
    """Each set is a contrast of its genes with the others, orthogonal to those before it."""
    measure = "measure { moments p by sex in 2 factors from hallmark; marginal subtype }"
    query = program_of(folder, measure=measure).queries[0]
    assert isinstance(query, Moments)
    assert query.standard.reference == ""
    assert set(query.standard.scales) == {Fraction(round(Fraction(20, 6) * 1024), 1024)}
    assert query.loadings == ((6688, 6688, -13377), (-11585, 11585, 0))  # 2^14/√6, 2^14/√2


def test_the_number_of_factors_is_chosen(folder: Path) -> None:
    """By predicted error, from public facts alone; said, and part of the statement."""
    for source, count in (("r", 2), ("hallmark", 2)):
        measure = f"measure {{ moments p by sex in factors from {source}; marginal subtype }}"
        found = resolved(folder, measure=measure)
        query = found.program.queries[0]
        assert isinstance(query, Moments)
        assert len(query.loadings) == count
        assert f"moments of p: {count} factors" in found.defaults
        assert query.statement == f"moments p by sex in {count} factors from {source}"


def test_the_budgets_part_for_learning_is_kept(folder: Path) -> None:
    for percent, part in (("15", Fraction(3, 20)), ("40", Fraction(2, 5))):
        privacy = BLOCKS["privacy"][:-1] + f"; learned bins using at most {percent}% }}"
        measure = "measure { marginal subtype * p in 4 learned bins from r; marginal sex }"
        plan = plan_program(program_of(folder, measure=measure, privacy=privacy))
        costs = {r.query: r.noise.sensitivity_squared / r.noise.variance for r in plan.releases()}
        learning = costs["means of subtype*p"] + costs["squares of subtype*p"]
        own = learning + costs["subtype*p"]
        assert part * Fraction(99, 100) < learning / own <= part
