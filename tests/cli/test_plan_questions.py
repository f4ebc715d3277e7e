"""`secgen plan --target` and `--curve`: what they print and write, and what they refuse."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

from secgen_dsl.cli.main import group
from tests.conftest import SPECS

COLORECTAL = SPECS / "colorectal.secgen"


def plan(*arguments: str, spec: Path = COLORECTAL) -> tuple[int, str]:
    result = CliRunner().invoke(group, ["plan", str(spec), *arguments])
    return result.exit_code, result.output


def answer_of(*arguments: str) -> dict[str, object]:
    code, output = plan(*arguments, "--json")
    assert code == 0, output
    found: dict[str, object] = json.loads(output)
    return found


def test_the_epsilon_of_an_accuracy_and_its_statements() -> None:
    code, output = plan("--target", "error 5%")
    assert code == 0
    assert "epsilon 2.97 is the least if these statements ask for just that" in output
    assert "  marginal sex * subtype error 5%\n" in output


def test_the_statements_can_be_put_into_the_spec(tmp_path: Path) -> None:
    """What the answer says comes true."""
    spec = (SPECS / "two_hospitals.secgen").read_text(encoding="utf-8")
    _, asked = plan("--target", "error 40 people", "--json", spec=SPECS / "two_hospitals.secgen")
    found = json.loads(asked)
    divided = found["divided"]
    start, end = spec.index("measure {"), spec.index("release {")
    statements = "\n".join(found["lines"])
    changed = f"{spec[:start]}measure {{\n{statements}\n}}\n{spec[end:]}"
    written = tmp_path / "asked.secgen"
    written.write_text(
        changed.replace("epsilon 1;", f"epsilon {divided['epsilon']};"), encoding="utf-8"
    )
    (tmp_path / "panels").symlink_to(SPECS / "panels")
    code, output = plan("--json", spec=written)
    assert code == 0, output
    assert json.loads(output)["plan_sha256"] == divided["plan_sha256"]


def test_the_least_error_in_common() -> None:
    found = answer_of("--target", "least error")
    assert found["error"] == "4.16%"
    common = found["in_common"]
    assert isinstance(common, dict)
    assert common["epsilon"] == "4"
    errors = [query["relative_error"] for query in common["queries"]]
    assert 0.0415 < max(errors) <= 0.0416
    assert answer_of("--target", " least  error in people ")["error"] != found["error"]


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("5%", "SG322"),
        ("least", "SG322"),
        ("sex: least error", "SG322"),
        ("error 0%", "SG322"),
        ("error 5 % people", "SG322"),
        ("nothing: error 5%", "SG205"),
        ("error 0.001%", "SG313"),
    ],
)
def test_what_cannot_be_asked(target: str, code: str) -> None:
    exit_code, output = plan("--target", target)
    assert exit_code == 1
    assert f"error[{code}]" in output


def test_moments_have_no_error_of_a_cell() -> None:
    code, output = plan(
        "--target", "moments l1000 by pam50: error 5%", spec=SPECS / "brca_structure.secgen"
    )
    assert code == 1
    assert "error[SG220]" in output


def test_a_curve_as_picture_and_as_data(tmp_path: Path) -> None:
    picture, data = tmp_path / "errors.svg", tmp_path / "errors.json"
    for file in (picture, data):
        code, output = plan("--curve", str(file))
        assert (code, output) == (0, f"{file}: errors at 24 values of epsilon, 0.1 to 20\n")
    root = ET.fromstring(picture.read_text(encoding="utf-8"))  # noqa: S314
    assert root.get("role") == "img"
    curve = json.loads(data.read_text(encoding="utf-8"))
    assert curve["format"] == "secgen.curve/1"
    for query in curve["queries"]:
        errors = [point["standard_error"] for point in query["points"]]
        assert errors[0] > errors[-1] > 0
        # At the study's own epsilon it is what `plan` shows.
    _, shown = plan("--json")
    planned = {one["id"]: one["standard_error_people"] for one in json.loads(shown)["queries"]}
    for query in curve["queries"]:
        (own,) = (point for point in query["points"] if point["epsilon"] == "4")
        assert own["standard_error"] == planned[query["id"]]


@pytest.mark.parametrize("name", ["errors.pdf", "errors"])
def test_a_curve_of_another_kind_is_refused(name: str, tmp_path: Path) -> None:
    code, output = plan("--curve", str(tmp_path / name))
    assert code == 1
    assert "error[SG708]" in output
    assert not list(tmp_path.iterdir())


def test_one_question_at_a_time() -> None:
    code, output = plan("--target", "error 5%", "--curve", "errors.svg")
    assert code == 2
    assert "exclude each other" in output
