"""The format ``sarif``: SARIF 2.1.0 (OASIS), which code scanning and editors read."""

import json
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

from secgen_dsl import __version__
from secgen_dsl.diagnostics.diagnostic import Diagnostic, Span, in_order
from secgen_dsl.diagnostics.pages import page_of

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json"


def render(diagnostics: Iterable[Diagnostic]) -> str:
    """One SARIF document, also where nothing was found.

    Each code that occurs is a rule with its title and page.  A file below the current folder has a
    relative URI; columns count characters from 1, the end being the first one behind.
    """
    found = in_order(diagnostics)
    codes = sorted({diagnostic.code for diagnostic in found})
    driver = {"name": "secgen", "version": __version__, "rules": [_rule(code) for code in codes]}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(diagnostic, codes) for diagnostic in found],
    }
    document = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(document, indent=2, ensure_ascii=False)


def _rule(code: str) -> dict[str, object]:
    page = page_of(code)
    return {
        "id": code,
        "shortDescription": {"text": page.title},
        "fullDescription": {"text": " ".join(page.sections["What it does"].split())},
        "help": {"text": page.markdown, "markdown": page.markdown},
    }


def _result(diagnostic: Diagnostic, codes: list[str]) -> dict[str, object]:
    text = diagnostic.message
    if diagnostic.next_step:
        text += f"\nnext: {diagnostic.next_step}"
    result: dict[str, object] = {
        "ruleId": diagnostic.code,
        "ruleIndex": codes.index(diagnostic.code),
        "level": diagnostic.severity,
        "message": {"text": text},
    }
    if diagnostic.span is not None:
        result["locations"] = [{"physicalLocation": _physical(diagnostic.span)}]
    elif diagnostic.place:
        result["locations"] = [{"logicalLocations": [{"fullyQualifiedName": diagnostic.place}]}]
    return result


def _physical(span: Span) -> dict[str, object]:
    line, column = span.source.position(span.start)
    end_line, end_column = span.source.position(span.end)
    region = {"startLine": line, "startColumn": column}
    region |= {"endLine": end_line, "endColumn": end_column}
    return {"artifactLocation": {"uri": _uri(span.source.name)}, "region": region}


def _uri(name: str) -> str:
    path = Path(name).resolve()
    here = Path.cwd()
    if path.is_relative_to(here):
        return quote(path.relative_to(here).as_posix())
    return path.as_uri()
