"""The canonical layout: what it looks like, and that it changes nothing else."""

import re
import time
from pathlib import Path

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from secgen_dsl.syntax.format import WIDTH, format_text
from tests.conftest import ROOT, SPECS
from tests.semantics.test_hashes import BEFORE, hashes
from tests.syntax.layouts import any_spec, comments, gaps, meaning, relaid

STUDIES = {path.stem: path.read_text(encoding="utf-8") for path in sorted(SPECS.glob("*.secgen"))}

EVERYTHING = f"""secgen 1
columns {{
  label category {{ A, "t(8;21)", {", ".join(f"class_{k}" for k in range(20))} }} else A # note
  sex category {{ f # female
    m }}
  score number -3..3.5 in bins at -1, 0
}}
sets pathways from "s.gmt"
panel bulk expression counts as log2(cpm + 1) 0..16 library size from all genes {{ A, B }}
panel genes expression log2 0..20 {{ {", ".join(f"GENE{k}" for k in range(30))} }}
panel few expression log2 0.5..1e1 {{
  # repair
  MLH1, MSH2 # two

  # cycle
  CDK1
}}
measure {{
  marginal label * sex * genes in bins at 1, 2, 3.5 weight 2
  marginal sex * # c
    label in 4 equal bins
  marginal pairs of few within pathways {{ ONE, TWO }} in 2 learned bins share 10%
  moments bulk by sex * label in 3 factors from elsewhere
}}
privacy {{ expect label A ~ 15% "registry"; learned bins using at most 5% }}
simulate {{ north "a # b"; south "C:/x" }}
"""
"""What the committed studies lack: long lists, comments in odd places, statements that go on."""

LAID_OUT = {**STUDIES, "everything": EVERYTHING}


# ---- it changes nothing but the layout -----------------------------------------------------------


def same(text: str, formatted: str) -> None:
    """The properties that hold for every text that parses."""
    assert meaning(formatted) == meaning(text)
    assert comments(formatted) == comments(text)
    assert format_text(formatted) == formatted
    assert "\t" not in re.sub(r'"[^"]*"|#.*', "", formatted)
    assert not re.search(r"[ \t\r]\n|\n\n\n|\A\n|\n\n\Z|\{\n\n|\n\n *\}", formatted)
    assert formatted.endswith("\n")


@given(any_spec())
@example("columns { a category { x # one\n , } # two\n }")
@example("privacy { # c\n }")
@example("columns { a category { } }")
@example("# c\n\n\nsecgen 1")
@example("secgen 1;# c\n;# own\n;")
def test_any_spec(text: str) -> None:
    assume(meaning(text) is not None)
    same(text, format_text(text))


@settings(max_examples=settings.default.max_examples // 4)
@given(st.data())
@pytest.mark.parametrize("name", LAID_OUT)
def test_any_layout_of_a_study(name: str, data: st.DataObject) -> None:
    text = data.draw(relaid(LAID_OUT[name]))
    assert meaning(text) == meaning(LAID_OUT[name])
    same(text, format_text(text))


@given(st.data())
@pytest.mark.parametrize("name", LAID_OUT)
def test_blanks_within_lines_leave_no_trace(name: str, data: st.DataObject) -> None:
    text = LAID_OUT[name]
    blanks = re.compile(r'"(?:\\.|[^"\\\n])*"|#[^\n]*|(?<=\S)[ \t]+(?=[^\s#])')
    drawn = blanks.sub(
        lambda m: (
            data.draw(st.sampled_from([" ", "\t", "    "])) if m.group().isspace() else m.group()
        ),
        text,
    )
    assert format_text(drawn) == format_text(text)


def test_comments_are_tried_wherever_they_can_stand() -> None:
    """The strategy above is worth something: it finds the places that the grammar has."""
    for name, places in (("everything", 90), ("colorectal", 65)):
        found = gaps(LAID_OUT[name])
        assert sum("comment" in allowed for _, allowed in found) > places
        assert sum("none" in allowed for _, allowed in found) > 30
    before_star = [allowed for piece, allowed in gaps(EVERYTHING) if piece == "*"]
    assert before_star
    assert all("comment" not in allowed for allowed in before_star)


@pytest.mark.parametrize("name", sorted(BEFORE))
@settings(max_examples=8)
@given(st.data())
def test_the_hashes_stay(name: str, data: st.DataObject) -> None:
    assert hashes(format_text(data.draw(relaid(STUDIES[name])))) == BEFORE[name]


@pytest.mark.parametrize("name", sorted(STUDIES))
def test_committed_specs_are_canonical(name: str) -> None:
    assert format_text(STUDIES[name]) == STUDIES[name]


def test_specs_in_the_documents_are_canonical() -> None:
    texts = [(ROOT / "README.md").read_text(encoding="utf-8")]
    texts += [path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").rglob("*.md"))]
    whole = [spec for text in texts for spec in re.findall(r"```\n(secgen 1\n.*?)```", text, re.S)]
    assert whole
    for spec in whole:
        assert format_text(spec) == spec


# ---- what it looks like --------------------------------------------------------------------------


def cases() -> dict[str, tuple[str, str]]:
    """`format.cases`: `=== name`, a text, `---`, its layout."""
    text = Path(__file__).with_name("format.cases").read_text(encoding="utf-8")
    found = {}
    for case in text.removeprefix("=== ").split("\n=== "):
        name, _, rest = case.partition("\n")
        before, _, after = rest.partition("\n---\n")
        found[name] = before, after.rstrip("\n") + "\n"
    return found


CASES = cases()


@pytest.mark.parametrize("name", CASES)
def test_layout(name: str) -> None:
    text, expected = CASES[name]
    formatted = format_text(text)
    assert formatted == expected
    assert meaning(text) is not None
    same(text, formatted)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        (" \r\n\t\n", ""),
        ("\n\n# c  \n\n", "# c\n"),
        ("secgen 1\r\n\r\n# a\r\ntrust {\r\n}", "secgen 1\n\n# a\ntrust {}\n"),
        ('study "a\tb" {}', 'study "a\tb" {}\n'),
    ],
)
def test_blanks_and_line_ends(text: str, expected: str) -> None:
    assert format_text(text) == expected


def test_lines_fit_where_they_can_be_broken() -> None:
    formatted = format_text(EVERYTHING)
    assert all(len(line) <= WIDTH for line in formatted.split("\n"))
    assert max(len(line) for line in formatted.split("\n")) > WIDTH - 10


# ---- time ----------------------------------------------------------------------------------------


def of_size(lines: int) -> str:
    columns = "\n".join(
        f"c{k} category {{ A, B, unknown }} else unknown # {k}" for k in range(lines)
    )
    genes = "\n".join(f"GENE{k}, ALSO{k}" for k in range(lines))
    factors = " * ".join(f"c{k}" for k in range(lines))
    panel = f"panel p expression log2 0..20 {{ {genes} }}"
    return f"columns {{\n{columns}\n}}\n{panel}\nmeasure {{ marginal {factors} }}"


def test_time_grows_with_the_text_only() -> None:
    def seconds(text: str) -> float:
        taken = []
        for _ in range(3):
            start = time.process_time()
            format_text(text)
            taken.append(time.process_time() - start)
        return min(taken)

    assert seconds(of_size(8000)) < 8 * 3 * seconds(of_size(1000))  # 64 times if it were quadratic
