"""The description of whole studies: what it holds, word by word, and what it refuses."""

import io
import json
import re
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path

import pypdf
import pytest

from secgen_dsl.cli.description import subject_of_study
from secgen_dsl.cli.study import plan_of
from secgen_dsl.describe.catalogue import LANGUAGES, keys
from secgen_dsl.describe.document import Document, Paragraph, Table, plain
from secgen_dsl.describe.registry import registry_of
from secgen_dsl.describe.render.markdown import render_markdown
from secgen_dsl.describe.render.pdf import render_pdf
from secgen_dsl.describe.sections import document_of
from secgen_dsl.describe.subject import Subject
from secgen_dsl.ir.program import Counts, Expectation
from secgen_dsl.verifier.certify import certify
from tests.cli.commands import secgen
from tests.conftest import SPECS
from tests.goldens import GOLDEN, check_golden
from tools.examples import DAY, EXAMPLES, FILES, write_example
from tools.examples import STUDIES as EXAMPLE_STUDIES

STUDIES = ("two_hospitals", "pure")  # two more are whole documents: tools/examples.py


@cache
def subject(name: str) -> Subject:
    planned = plan_of(SPECS / f"{name}.secgen")
    certificate = certify(planned.plan, planned.verified, independent=True)
    return subject_of_study(planned, certificate, DAY)


# Versions of libraries are not ours to pin, and the certificate holds them.
_VERSIONS = re.compile(
    r"((?:numpy|scipy|mpmath|dp-accounting)(?: \| | |</th><td>))\d[\w.]*"
    r"|(Certificate \(SHA-256\)\W[^0-9]*?)[0-9a-f]{64}"
)


@pytest.mark.parametrize("name", STUDIES)
def test_golden_descriptions(name: str) -> None:
    document, _ = document_of(subject(name))
    text = render_markdown(document)
    check_golden(GOLDEN / f"{name}.description.md", _VERSIONS.sub(r"\1\2VERSION", text))


@pytest.mark.parametrize("name", EXAMPLE_STUDIES)
def test_the_example_documents_are_what_their_specs_give(name: str, tmp_path: Path) -> None:
    write_example(name, tmp_path)
    for file in FILES:
        committed, made = (
            _VERSIONS.sub(r"\1\2", (folder / file).read_text("utf-8"))
            for folder in (EXAMPLES / name, tmp_path)
        )
        assert committed == made, f"{name}/{file} differs; if that is meant, run make examples"


@pytest.mark.parametrize("name", EXAMPLE_STUDIES)
def test_the_examples_leave_no_gap_that_a_spec_can_fill(name: str) -> None:
    document, missing = document_of(subject(name))
    assert missing == ()
    assert keys("en")["document.not_stated"] not in render_markdown(document)


SPEC_NAMES = [path.stem for path in sorted(SPECS.glob("*.secgen"))]


@pytest.mark.parametrize("name", SPEC_NAMES)
def test_the_words_for_all_take_one_page_of_the_pdf(name: str) -> None:
    for language in LANGUAGES:
        document, _ = document_of(subject(name), language)
        first, *others = document.sections
        headings = [section.model_copy(update={"blocks": ()}) for section in others]
        short = document.model_copy(update={"sections": (first, *headings)})
        reader = pypdf.PdfReader(io.BytesIO(render_pdf(short)))
        texts = [page.extract_text() for page in reader.pages]
        titles = [f"{one.number}. {plain(one.title)}" for one in document.sections[:2]]
        starts = [[i for i, text in enumerate(texts) if i and title in text] for title in titles]
        assert starts == [[1], [2]], language


def table(document: Document, name: str) -> Table:
    (found,) = [each for each in document.blocks() if isinstance(each, Table) and each.id == name]
    return found


@pytest.mark.parametrize("name", SPEC_NAMES)
def test_the_disclosure_table_lists_the_openings_and_nothing_else(name: str) -> None:
    about = subject(name)
    document, _ = document_of(about)
    plan = about.plan
    stated = [(plan.query(one.query).statement, one.values) for one in plan.openings]
    listed = []
    for row in table(document, "disclosure-caption").rows:
        (opened,) = [each.text for each in row[2] if each.kind == "value"]
        listed.append((row[0][0].text, int(opened.replace(",", ""))))
    assert listed == stated
    assert sum(values for _, values in listed) == sum(one.opened for one in plan.releases())


@pytest.mark.parametrize("name", EXAMPLE_STUDIES)
def test_every_row_of_the_crosswalks_is_answered(name: str) -> None:
    document, _ = document_of(subject(name))
    (section,) = [one for one in document.sections if one.id == "crosswalk"]
    anchors = {one.id for one in document.sections} | {"secgen-sources"}
    count = 0
    for block in section.blocks:
        if isinstance(block, Table):
            for requirement, answer in block.rows:
                assert plain(requirement)
                targets = {each.target for each in answer if each.kind == "link"}
                assert targets or "for the institution" in plain(answer), plain(requirement)
                assert targets <= anchors
                count += 1
    assert count > 40


def section(about: Subject, name: str, language: str = "en") -> str:
    """The words of a section."""
    document, _ = document_of(about, language)
    (found,) = [one for one in document.sections if one.id == name]
    words = []
    for block in found.blocks:
        if isinstance(block, Paragraph):
            words.append(plain(block.text))
        elif isinstance(block, Table):
            words += [plain(cell) for row in block.rows for cell in row]
    return "\n".join(words)


def with_program(about: Subject, **changes: object) -> Subject:
    program = about.plan.program.model_copy(update=changes)
    return replace(about, plan=about.plan.model_copy(update={"program": program}))


@pytest.mark.parametrize(
    ("name", "totals", "rows"),
    [
        ("brca_structure", "the public", "the public"),
        ("colorectal", "only the parties", "the public"),
        ("pseudobulk", "only the parties", "the parties and Members of the consortium"),
    ],
)
def test_who_sees_the_totals_is_whom_they_are_released_to(
    name: str, totals: str, rows: str
) -> None:
    document, _ = document_of(subject(name))
    found = {plain(row[-1]) for row in table(document, "disclosure-caption").rows}
    assert found == {totals}
    record = json.dumps(registry_of(subject(name)))
    assert f"Synthetic rows: {rows}. Noised totals and model: {totals}." in record


def test_every_column_that_is_read_is_named() -> None:
    about = subject("pseudobulk")
    words = section(about, "people")
    for column in ("cell_type", "disease", "donor", "collected", "total_counts"):
        assert column in words
    assert "every gene in the file" not in words
    (panel,) = about.plan.program.panels
    summed = panel.model_copy(update={"counts": Counts(library_column=None)})
    words = section(with_program(about, panels=(summed,)), "people")
    assert "the counts of every gene in the file" in words
    assert "total_counts" not in words
    assert "collected" not in section(subject("colorectal"), "people")


def test_delta_is_held_against_the_stated_number_of_people() -> None:
    about = subject("colorectal")
    assert "at most 1,000, is 0.001, far below one" in section(about, "risks")
    person = about.plan.program.person
    many = with_program(about, person=person.model_copy(update={"people_bound": 30_000}))
    assert "at most 30,000, is 0.03. That is not small" in section(many, "risks")
    assert "Not known: the study states no bound" in section(subject("two_hospitals"), "risks")
    assert "None from δ" in section(subject("pure"), "risks")


def test_errors_say_for_which_groups_they_are() -> None:
    about = subject("brca_structure")
    basal = Expectation(column="pam50", value="Basal", share=Fraction(1, 10), provenance="")
    document, _ = document_of(with_program(about, expectations=(basal,)))
    rows = {
        plain(row[0]).partition(" of")[0]: [plain(cell) for cell in row[1:4]]
        for row in table(document, "utility-caption").rows
    }
    means = next(cells for name, cells in rows.items() if name == "scores")
    assert means[:2] == ["pam50 Basal", "110"]
    even, _ = document_of(about)
    evenly = {plain(row[0]): row for row in table(even, "utility-caption").rows}
    (scores,) = [row for name, row in evenly.items() if name.startswith("scores")]
    assert [plain(cell) for cell in scores[1:3]] == ["any, if people were spread evenly", "220"]
    errors = [float(re.findall(r"[\d.]+", one)[0]) for one in (means[2], plain(scores[3]))]
    assert errors[0] == pytest.approx(2 * errors[1], rel=0.01)
    (pairs,) = [row for name, row in evenly.items() if "pairs" in name]
    assert plain(pairs[1]) == "a bin of the first gene, if people were spread evenly"
    (total,) = [row for name, row in evenly.items() if name.startswith("second moment")]
    assert [plain(cell) for cell in total[1:3]] == ["all people", "1,100"]


def test_the_officers_of_helpers_sign_too() -> None:
    document, _ = document_of(subject("two_hospitals"))
    roles = [plain(row[0]) for row in table(document, "signoff-caption").rows]
    assert any("university" in role for role in roles)


_PLACES = re.compile(r"\{[a-z_]+\}|\[\[[^|]+")


@pytest.mark.parametrize("language", LANGUAGES)
def test_languages_have_the_same_texts_and_places(language: str) -> None:
    english, texts = keys("en"), keys(language)
    assert set(texts) == set(english)
    for key, text in texts.items():
        found, wanted = (sorted(set(_PLACES.findall(one))) for one in (text, english[key]))
        assert found == wanted, key
        assert not any("{" in strong for strong in re.findall(r"\*\*([^*]+)\*\*", text)), key


def test_what_the_spec_does_not_say_is_marked_and_warned_of() -> None:
    ended = secgen("describe", SPECS / "two_hospitals.secgen")
    assert ended.code == 0
    assert "Not stated; the institution completes this." in ended.out
    assert "SG712" in ended.err
    assert "study.retention" in ended.err


def test_written_documents_hold_and_altered_ones_do_not(tmp_path: Path) -> None:
    spec = SPECS / "two_hospitals.secgen"
    folder = tmp_path / "document"
    assert secgen("describe", spec, "-o", folder).code == 0
    names = {path.name for path in folder.iterdir()}
    assert names == {"description.html", "description.md", "description.pdf", "registry.json"}
    for name in sorted(names - {"registry.json"}):
        path = folder / name
        ended = secgen("describe", spec, "--check", path)
        assert (ended.code, ended.err) == (0, ""), name
        assert "holds" in ended.out
        data = path.read_bytes()
        old, new = (b"%%EOF", b"%%EOG") if name.endswith("pdf") else (b"19.52", b"18.52")
        assert old in data
        path.write_bytes(data.replace(old, new, 1))
        ended = secgen("describe", spec, "--check", path)
        assert (ended.code, set(ended.codes())) == (1, {"SG710"}), name
        assert name.endswith("pdf") or "18.52" in ended.err
        path.write_bytes(data)
    other = secgen("describe", SPECS / "pure.secgen", "--check", folder / "description.md")
    assert (other.code, other.codes()) == (1, ["SG710"])
    foreign = tmp_path / "foreign.md"
    foreign.write_text("# Something else\n", encoding="utf-8")
    assert secgen("describe", spec, "--check", foreign).codes() == ["SG709"]


def test_the_registrys_record_has_its_fields(tmp_path: Path) -> None:
    out = tmp_path / "registry.json"
    assert secgen("describe", SPECS / "pure.secgen", "-o", out).code == 0
    record = json.loads(out.read_text(encoding="utf-8"))
    assert set(record) == {"url_slug", "deployment"}
    assert record["deployment"]["dp_variant"]["variant_name"] == "Pure DP"
    assert "delta" not in record["deployment"]["privacy_loss"]["privacy_parameters"]
    text = json.dumps(record)
    assert "()" not in text
    assert "1 samples" not in text
    assert set(record["deployment"]) == {
        "basic", "dp_variant", "privacy_loss", "deployment_model", "implementation",
        "administrative",
    }  # fmt: skip


def test_the_registrys_record_says_which_samples_count() -> None:
    text = json.dumps(registry_of(subject("pseudobulk")))
    assert "At most one sample of a person counts at a site for each value of cell_type" in text
    assert "the earliest by collected" in text
    assert "keyed hash" not in text
    assert "No bound on the people is stated" in json.dumps(registry_of(subject("two_hospitals")))


def test_changes_void_an_approval(tmp_path: Path) -> None:
    old = SPECS / "two_hospitals.secgen"
    new = tmp_path / "new.secgen"
    new.write_text(old.read_text("utf-8").replace("epsilon 1", "epsilon 2"), "utf-8")
    text = secgen("describe", new, "--against", old).out
    assert "Approval is void" in text
    assert "ε 1 → 2: **an attacker's best odds rise** from" in text
    assert "epsilon: 1 → 2" in text
    same = secgen("describe", old, "--against", old).out
    assert "The plan is the one that was approved" in same


def test_a_record_names_no_files(tmp_path: Path) -> None:
    """The language of a record is one of the catalogue's, and no path to another's texts."""
    document = tmp_path / "description.md"
    spec = SPECS / "two_hospitals.secgen"
    assert secgen("describe", spec, "-o", document).code == 0
    text = document.read_text(encoding="utf-8")
    assert '"language": "en"' in text
    forged = text.replace('"language": "en"', f'"language": "{tmp_path}"')
    document.write_text(forged, encoding="utf-8")
    assert secgen("describe", spec, "--check", document).codes() == ["SG709"]
