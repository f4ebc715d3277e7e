"""site.toml: which files a site has, and how their names and values map to those of a spec.

It stays at the site.  Without one, a table that names everything as the spec does is a site.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from secgen_dsl.diagnostics.diagnostic import Diagnostic, SecgenError, Source, Span, fail, nearest
from secgen_dsl.runtime.policy import Policy
from secgen_dsl.runtime.site.source import Orientation, location

GeneSystem: TypeAlias = Literal["symbol", "ensembl", "entrez"]
Duplicates: TypeAlias = Literal["error", "sum", "first"]
Key: TypeAlias = tuple[str, ...]
"""Names of nested tables and of a key, for example ``("files", "layer")``."""

_LARGEST = 10_000_000  # bytes


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Cohort(_Table):
    """Whose data these are.

    Attributes:
        id: noted beside each debit.  It splits nothing yet: all the site's data are one cohort
            until an officer can sign that another holds other people.
    """

    id: str = ""


class Files(_Table):
    """The files, relative to the folder of site.toml.

    Attributes:
        expression: the expression values; without ``clinical`` it holds the columns as well.
        clinical: a table of its own for the columns, joined on the sample; empty: none.
        orientation: of the expression file.
        layer: of an h5ad file; empty: ``X``.
        sample: the column that names the sample; empty: ``sample`` or ``sample_id``, and to join
            two files whatever names the rows of each.
        unit: of the expression values, a word of ``UNITS``; empty: not stated.
    """

    expression: str = ""
    clinical: str = ""
    orientation: Orientation = "samples_by_genes"
    layer: str = ""
    sample: str = ""
    unit: str = ""


class Genes(_Table):
    """How the expression file names its genes.

    Attributes:
        system: the file's system, or None: as the spec names them.
        strip_version: ``ENSG00000141736.9`` counts as ``ENSG00000141736``.
        map: a table that gives genes' names in two systems or more; empty: none.
        duplicates: what to do where the file holds a gene several times.
    """

    system: GeneSystem | None = None
    strip_version: bool = True
    map: str = ""
    duplicates: Duplicates = "error"


class SiteDescription(_Table):
    """What a site.toml says.

    Attributes:
        columns: name in the spec → name in the file.
        values: column of the spec → value in the file → value of the spec.
    """

    cohort: Cohort = Cohort()
    files: Files = Files()
    columns: Mapping[str, str] = Field(default_factory=dict)
    values: Mapping[str, Mapping[str, str]] = Field(default_factory=dict)
    genes: Genes = Genes()
    policy: Policy = Policy()


class Site:
    """A site's description and where it stands.

    Args:
        path: the site.toml, or a table that names everything as the spec does.
        place: the site's name, for diagnostics.

    Attributes:
        description: what the file says.
        where: file and site, for diagnostics.

    Raises:
        SecgenError: SG418, site.toml cannot be read, or holds what it cannot hold.
    """

    def __init__(self, path: Path, place: str) -> None:
        self.path = path
        self.place = place
        self.where = location(path, place)
        self._text = ""
        if path.suffix.lower() != ".toml":
            self.description = SiteDescription(files=Files(expression=path.name))
            return
        self._text = _read_text(path, self.where)
        self.description = self._description()

    def file(self, name: str) -> Path:
        """The path of a file that the description names."""
        return self.path.parent / name

    def fault(self, code: str, message: str, key: Key, next_step: str) -> Diagnostic:
        """A diagnostic that points at a key of site.toml, or else at the file."""
        span = _find(self._text, key)
        if span is None:
            return Diagnostic(code, message, place=self.where, next_step=next_step)
        source = Source(str(self.path), self._text)
        return Diagnostic(
            code,
            message,
            span=Span(source, *span),
            label=f"in [{'.'.join(key[:-1])}]" if len(key) > 1 else "",
            next_step=next_step,
        )

    def _description(self) -> SiteDescription:
        try:
            return SiteDescription.model_validate(self._data())
        except ValidationError as error:
            raise SecgenError([self._explained(each) for each in _faults(error)]) from error

    def _data(self) -> dict[str, Any]:
        try:
            return tomllib.loads(self._text, parse_float=Decimal)  # a policy's numbers are exact
        except tomllib.TOMLDecodeError as error:
            reason, _, position = str(error).partition(" (at ")
            raise fail(
                "SG418",
                f"site.toml is no TOML: {reason[:1].lower()}{reason[1:]}",
                place=f"{self.where}, {position.rstrip(')')}" if position else self.where,
                next_step='write `key = "text"` below its [table]; single quotes keep the'
                " backslashes of a Windows path",
            ) from error
        except RecursionError as error:
            raise fail(
                "SG418",
                "site.toml is nested without end",
                place=self.where,
                next_step='write `key = "text"` below its [table]',
            ) from error

    def _explained(self, fault: tuple[Key, str, Sequence[str]]) -> Diagnostic:
        key, kind, choices = fault
        name = key[-1]
        table = f"[{'.'.join(key[:-1])}]" if len(key) > 1 else "site.toml"
        listed = ", ".join(choices)
        match kind:
            case "extra_forbidden":
                message = f'{table} has no "{name}"'
                step = nearest(name, choices)
                step = f"{step} {table} holds {listed}".strip()
            case "literal_error":
                message = f'"{name}" in {table} is none of {listed}'
                step = f"write one of {listed}, in quotes"
            case "string_type":
                message = f'"{name}" in {table} is no text'
                step = 'write it in quotes, numbers too: "1"'
            case "positive_number" | "probability":
                what = "greater than 0" if kind == "positive_number" else "between 0 and 1"
                message = f'"{name}" in {table} is no number {what}'
                step = "write a number without quotes, for example 6, 0.5 or 1e-6"
            case "int_type" | "greater_than_equal":
                message = f'"{name}" in {table} is no whole number of 0 or more'
                step = "write a number without quotes, for example 3"
            case "max_epsilon_and_delta":
                message = '[policy] has one of "max_epsilon" and "delta" without the other'
                step = "an epsilon means something at a delta only: write both"
            case "bool_type":
                message = f'"{name}" in {table} is neither true nor false'
                step = "write true or false, without quotes"
            case _:
                message = f'"{name}" is no table'
                step = f"write [{'.'.join(key)}] on a line of its own, and its keys below"
        return self.fault("SG418", message, key, step)


def _read_text(path: Path, where: str) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
        if len(data) > _LARGEST:
            raise fail(
                "SG418",
                f"site.toml is larger than {_LARGEST // 10**6} MB",
                place=where,
                next_step="give the description of the site, not its table",
            )
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise fail(
            "SG418",
            "site.toml is not text in UTF-8",
            place=f"{where}, byte {error.start + 1}",
            next_step="save it as UTF-8",
        ) from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise fail(
            "SG418",
            f"site.toml cannot be read: {reason}",
            place=where,
            next_step="check the path, and that this account may read the file",
        ) from error


def _faults(error: ValidationError) -> Iterator[tuple[Key, str, Sequence[str]]]:
    """Each fault: key, pydantic's kind of it, what could stand there instead."""
    tables: dict[Key, type[BaseModel]] = {(): SiteDescription}
    for name, field in SiteDescription.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            tables[(name,)] = field.annotation
    for fault in error.errors():
        key = tuple(str(part) for part in fault["loc"] if part != "[key]")
        choices: Sequence[str] = ()
        if fault["type"] == "extra_forbidden":
            choices = list(tables[key[:-1]].model_fields)
        elif fault["type"] == "literal_error":
            choices = re.findall(r"'([^']*)'", fault["ctx"]["expected"])
        yield key, fault["type"], choices


_KEY = re.compile(
    r"""\s*((?:"(?:[^"\\]|\\.)*"|'[^']*'|[A-Za-z0-9_-]+)"""
    r"""(?:\s*\.\s*(?:"(?:[^"\\]|\\.)*"|'[^']*'|[A-Za-z0-9_-]+))*)\s*="""
)
_HEADER = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]\s*(?:#.*)?$")


def _find(text: str, key: Key) -> tuple[int, int] | None:
    """Where a key, or the longest beginning of it, is written: offsets of its first and last.

    tomllib tells no places; this looks for headers and keys at the beginnings of lines.
    """
    found: tuple[int, int] | None = None
    length = 0
    table: Key = ()
    offset = 0
    for line in text.split("\n"):
        header = _HEADER.match(line)
        match = header or _KEY.match(line)
        if match is not None:
            path = _path(match[1]) if header else (*table, *_path(match[1]))
            if header:
                table = path
            if length < len(path) and key[: len(path)] == path:
                found = (offset + match.start(1), offset + match.end(1))
                length = len(path)
        offset += len(line) + 1
    return found


def _path(key: str) -> Key:
    """The parts of a dotted key, without their quotes."""
    try:
        data: Any = tomllib.loads(f"{key} = 0")
    except tomllib.TOMLDecodeError:
        return (key,)
    parts = []
    while isinstance(data, dict):
        ((part, data),) = data.items()
        parts.append(part)
    return tuple(parts)
