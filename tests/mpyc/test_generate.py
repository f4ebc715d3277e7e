"""The generated program: golden, deterministic, clean, and deaf to hostile names."""

import ast
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secgen_dsl.backends.mpyc.generate import generate_program, literal, printable
from secgen_dsl.cli.study import plan_spec
from secgen_dsl.ir.base import canonical_json, read_node, sha256_of
from secgen_dsl.ir.plan import Plan
from tests.conftest import SPECS

from .plans import LINES, label_histogram, plan_five, plan_of, plan_three, program

GOLDEN = Path(__file__).parent / "golden"
PLANS = {
    "three": plan_three,
    "five": plan_five,
    "structure": lambda: plan_spec(SPECS / "brca_structure.secgen").plan,
}


@dataclass(frozen=True)
class Call:
    name: str
    arguments: tuple[str, ...]


def calls(text: str) -> list[Call]:
    """All calls of a program, in the order of the text."""
    nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    nodes.sort(key=lambda node: (node.lineno, node.col_offset))
    return [
        Call(ast.unparse(node.func), tuple(ast.unparse(argument) for argument in node.args))
        for node in nodes
    ]


@pytest.mark.parametrize("name", PLANS)
def test_golden(name: str) -> None:
    """Read what changed before `SECGEN_UPDATE_GOLDEN=1` writes it."""
    text = generate_program(PLANS[name](), LINES)
    if os.environ.get("SECGEN_UPDATE_GOLDEN"):
        (GOLDEN / f"program_{name}.py").write_text(text, encoding="utf-8")
    assert text == (GOLDEN / f"program_{name}.py").read_text(encoding="utf-8")


def test_the_same_plan_gives_the_same_bytes() -> None:
    plan = plan_three()
    again = read_node(Plan, canonical_json(plan))
    assert generate_program(plan, LINES) == generate_program(again, dict(reversed(LINES.items())))
    assert sha256_of(plan) in generate_program(plan, LINES)


def test_the_program_follows_the_plan() -> None:
    plan = plan_five()
    found = [call.name for call in calls(generate_program(plan, LINES)) if "party." in call.name]
    prepared = ["party.draws", "party.encode", "party.noise", "party.keep"]
    assert found == [
        "party.check_plan",
        *prepared,
        "party.connect",
        "party.store",
        "party.all_stored",
        "party.share",
        "party.open",
        *prepared,  # a later round may need what was opened
        "party.wait",
        "party.store",
        "party.all_stored",
        "party.share",
        "party.open",
        "party.close",
    ]
    assert Call("Fraction", ("5",)) in calls(generate_program(plan, LINES))


@pytest.mark.parametrize("name", PLANS)
def test_ruff_finds_nothing(name: str, tmp_path: Path) -> None:
    ruff = shutil.which("ruff") or str(Path(__file__).parents[2] / ".venv" / "bin" / "ruff")
    path = tmp_path / "program.py"
    path.write_text(generate_program(PLANS[name](), LINES), encoding="utf-8")
    config = f"--config={Path(__file__).parents[2] / 'pyproject.toml'}"
    for command in (["check", "--no-cache"], ["format", "--check", "--no-cache"]):
        done = subprocess.run(
            [ruff, *command, config, str(path)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


HOSTILE = [
    "x\nimport os; os.system('touch /tmp/owned')",
    'x"); import os  # ',
    "x\r\n    raise SystemExit",
    "x\u2028import os",
    "x\u202e# reversed",
    "\\",
    "x'\"\\n",
    "SLOT_PLAN",
    "# </release>\n# <release>",
    '"""',
    "x\x00\x0c\x1b[31m",
    "ζ" * 300,
]


def hostile_plan(name: str) -> Plan:
    one = program(silos=(name, "b", "c"))
    marginal = label_histogram(name).model_copy(update={"statement": name})
    return plan_of(one, [[(marginal, "identity")]])


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_becomes_code(name: str) -> None:
    plan = hostile_plan(name)
    text = generate_program(plan, {name: name})
    harmless = generate_program(hostile_plan("harmless"), {"harmless": "harmless"})
    assert [call.name for call in calls(text)] == [call.name for call in calls(harmless)]
    tree = ast.parse(text)
    literals = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert name in literals
    assert all(line.isprintable() for line in text.split("\n"))


@settings(max_examples=200, deadline=None)
@given(st.text())
def test_any_text_stays_a_literal_or_a_comment(text: str) -> None:
    assert ast.literal_eval(literal(text)) == text
    assert literal(text).isprintable()
    assert ast.dump(ast.parse(f"# {printable(text)}\n0")) == ast.dump(ast.parse("0"))
