"""`secgen init`: what each question says when an answer cannot be, and what is kept."""

import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import pytest

from secgen_dsl.ir.program import CategoryColumn, NumberColumn
from tests.cli.commands import Ended, secgen
from tests.cli.test_init import PROTECTED, from_demo, piped, small_table, written

NO_DEFAULT = "this has no default; an answer is, for example, "


@pytest.mark.parametrize(
    ("question", "example"),
    [("key", "patient"), ("samples", "1"), ("in_silos", "1"), ("adjacency", "add")],
)
def test_enter_where_nothing_is_the_default_gets_an_example(
    question: str, example: str, tmp_path: Path
) -> None:
    good = PROTECTED[question.replace("_", " ")]
    ended = secgen("init", tmp_path / "study.secgen", stdin=piped(**{question: ["", " ", good]}))
    written(tmp_path, ended)
    assert (ended.out + ended.err).count(NO_DEFAULT + example) == 2


def test_enter_for_columns_values_and_genes_of_a_file(tmp_path: Path) -> None:
    stdin = piped(labels=["", "sex"], values=["n", "", "f, m", ""], genes=["", "MLH1"])
    ended = from_demo(tmp_path, stdin.replace("\nsex\nn\n", "\nsex\n\nn\n"))
    written(tmp_path, ended)
    for example in ("subtype, sex", "I, II", "TP53, KRAS, EGFR"):
        assert NO_DEFAULT + example in ended.out + ended.err


def test_numbers_get_a_range_and_bins_of_the_user(tmp_path: Path) -> None:
    bins = ["number", "", "90..18", "18..90", "60, 40", "10, 40", "forty", "40, 60.5"]
    stdin = piped(labels="sex, age", values=["", "f, m", "none", *bins])
    ended = secgen("init", tmp_path / "study.secgen", stdin=stdin)
    program = written(tmp_path, ended).plan.program
    shown = ended.out + ended.err
    assert NO_DEFAULT + "0..100" in shown
    assert "a range is needed" in shown
    assert shown.count("have to rise between 18 and 90") == 2
    assert "for example 40, 60, 80" in shown
    sex, age = program.columns
    assert isinstance(sex, CategoryColumn)
    assert isinstance(age, NumberColumn)
    assert (age.low, age.high, age.edges) == (18, 90, (40, Fraction(121, 2)))
    assert "age  number 18..90 in bins at 40, 60.5" in (tmp_path / "study.secgen").read_text()


def test_a_study_of_numbers_alone(tmp_path: Path) -> None:
    stdin = piped(labels="age", values=["0..100", "50"]).replace("\nage\n\n", "\nage\nnumber\n")
    program = written(tmp_path, secgen("init", tmp_path / "study.secgen", stdin=stdin)).plan.program
    assert isinstance(program.columns[0], NumberColumn)


@pytest.mark.parametrize("whether", ["y", "n"])
def test_many_numbers_in_a_file_are_offered_bins(whether: str, tmp_path: Path) -> None:
    """The data's own bounds (40 and 99) are not shown, offered or written."""
    table = small_table(tmp_path)
    after = ["0..120", "35, 70"] if whether == "y" else ["old, young", ""]
    stdin = piped(labels="age", values=["y", whether, *after], genes="TP53")
    ended = secgen("init", tmp_path / "study.secgen", "--from", table, stdin=stdin)
    program = written(tmp_path, ended).plan.program
    assert '"age" holds numbers: give a range and bins for it' in ended.out
    kind = NumberColumn if whether == "y" else CategoryColumn
    assert isinstance(program.columns[0], kind)
    for text in ((tmp_path / "study.secgen").read_text(), ended.out):
        assert not re.search(r"\b(40|99)\b", text.replace("40, 60, 80", ""))


@pytest.mark.parametrize("word", ["y", "n", "Yes", " no "])
def test_a_bare_y_is_no_list_of_names(word: str, tmp_path: Path) -> None:
    stdin = piped(labels=[word, "stage"], values=["", word, "I, II", ""], genes=[word, "A, B"])
    stdin = stdin.replace("\nstage\n\n\n", "\nstage\n\n")
    ended = secgen("init", tmp_path / "study.secgen", stdin=stdin)
    program = written(tmp_path, ended).plan.program
    assert (ended.out + ended.err).count("names are asked for here, not y or n") == 3
    assert program.columns[0].values == ("I", "II", "unknown")
    assert program.panels[0].genes == ("A", "B")


def test_y_in_quotes_and_in_a_list_is_a_value(tmp_path: Path) -> None:
    for number, (typed, values) in enumerate({'"y"': ("y", "rest"), "y, n": ("y", "n")}.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        stdin = piped(values=[typed, "rest" if len(values) == 2 and "rest" in values else "none"])
        program = written(folder, secgen("init", folder / "study.secgen", stdin=stdin)).plan.program
        assert program.columns[0].values == values


def test_each_silo_has_its_own_terms(tmp_path: Path) -> None:
    terms = ["consent", "GRU", "open", "controlled", "DUO:1", "", ""]
    ended = secgen("init", tmp_path / "study.secgen", stdin=piped(silos="a, b, c, d", terms=terms))
    silos = written(tmp_path, ended).plan.program.silos
    kinds = [(silo.terms.kind, silo.terms.reference) for silo in silos]
    assert kinds == [
        ("consent", "GRU"), ("open", ""), ("controlled", "DUO:1"), ("controlled", "DUO:1"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("genes", "kept"),
    [
        (["MLH1, MSHH2", "n", "MLH1, MSH2"], ("MLH1", "MSH2")),
        (["MLH1, MSHH2", "", "MLH1, MSH2"], ("MLH1", "MSH2")),
        (["MLH1, MSHH2", "y"], ("MLH1", "MSHH2")),
    ],
    ids=["no", "enter", "yes"],
)
def test_a_gene_that_the_file_lacks(
    genes: Iterable[str], kept: tuple[str, ...], tmp_path: Path
) -> None:
    ended = from_demo(tmp_path, piped(labels="sex", values=["n", "f, m", ""], genes=genes))
    program = written(tmp_path, ended).plan.program
    assert 'Warning: the file has no gene "MSHH2"; did you mean "MSH2"?' in ended.out
    assert '"MLH1"' not in ended.out
    assert program.panels[0].genes == kept


def test_with_yes_a_gene_that_the_file_lacks_is_a_warning(tmp_path: Path) -> None:
    stdin = "\n".join([*PROTECTED.values(), "sex", "MLH1, MSHH2", ""])
    ended = from_demo(tmp_path, stdin, "--yes")
    assert written(tmp_path, ended).plan.program.panels[0].genes == ("MLH1", "MSHH2")
    assert 'did you mean "MSH2"?' in ended.out


def number_of(question: str, ended: Ended) -> str:
    found = re.search(rf"^ +(\d+)  {re.escape(question)}", ended.out, re.MULTILINE)
    assert found, ended.out
    return found[1]


@pytest.mark.parametrize("options", [[], ["--yes"]], ids=["asked", "yes"])
def test_one_bad_answer_is_changed_and_the_others_are_kept(
    options: list[str], tmp_path: Path
) -> None:
    """A file of genes that is empty is found out only when the spec is checked."""
    (tmp_path / "genes.txt").write_text("")
    small_table(tmp_path)
    table = ["--from", tmp_path / "table.csv"]
    if options:
        stdin = "\n".join([*PROTECTED.values(), "stage", "genes.txt", ""])
    else:
        answers = {"values": ["n", "I, II", ""], "genes": "genes.txt"}
        stdin = piped(title="Kept", labels="stage", rows="77", **answers)
    first = secgen("init", tmp_path / "study.secgen", *table, *options, stdin=stdin)
    assert first.code == 1
    assert "these answers make no sound spec; nothing was written" in first.err
    assert not (tmp_path / "study.secgen").exists()
    number = number_of("Genes", first)
    stdin += f"99\n\n{number}\nTP53\n"
    ended = secgen("init", tmp_path / "study.secgen", *table, *options, stdin=stdin)
    program = written(tmp_path, ended).plan.program
    assert program.panels[0].genes == ("TP53",)
    assert program.samples is not None
    assert program.samples.rows == (500 if options else 77)
    assert ended.out.count("Title of the study [") == 1


_PROMPT = re.compile(r": *(\x1b\[[0-9;?]*[A-Za-z])* *$")
"""The end of a question; a terminal library may set its mode behind it."""


def at_terminal(folder: Path, typed: list[bytes]) -> tuple[int, str]:
    """Types each text when a question stands on a real terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "secgen_dsl.cli.main", "init", "study.secgen"],
        stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder, start_new_session=True,
        preexec_fn=_own_terminal,  # noqa: PLW1509
    )  # fmt: skip
    os.close(theirs)
    left, shown, deadline = iter(typed), "", time.monotonic() + 120
    try:
        while time.monotonic() < deadline:
            ready, _, _ = select.select([ours], [], [], 0.3)
            if ready:
                shown += os.read(ours, 4096).decode(errors="replace")
            elif _PROMPT.search(shown):  # whatever is shown is shown whole
                os.write(ours, next(left))
                shown += "\n"
    except OSError:  # how Linux says that the terminal's other end is closed
        pass
    finally:
        os.close(ours)
    if process.poll() is None and time.monotonic() >= deadline:
        process.kill()
        pytest.fail(f"nothing more was shown after: {shown}")
    return process.wait(timeout=60), shown


def _own_terminal() -> None:
    """The child's terminal sends it the interrupt that Ctrl-C means."""
    import fcntl
    import signal
    import termios

    signal.signal(signal.SIGINT, signal.SIG_DFL)  # whatever the tests run under
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@pytest.mark.parametrize("after", [0, 3, 9])
def test_ctrl_c_says_that_nothing_was_written(after: int, tmp_path: Path) -> None:
    code, shown = at_terminal(tmp_path, [b"\n"] * after + [b"\x03"])
    assert code == 1
    assert "SG707" in shown
    assert "nothing was written" in shown
    assert "Traceback" not in shown
    assert list(tmp_path.iterdir()) == []


def test_enter_at_a_terminal_is_told_what_is_wanted(tmp_path: Path) -> None:
    # Ten defaults stand before the first question without one.
    _, shown = at_terminal(tmp_path, [b"\n"] * 11 + [b"\x03"])
    assert NO_DEFAULT + "patient" in shown
