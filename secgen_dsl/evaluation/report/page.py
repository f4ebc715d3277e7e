"""An evaluation as one HTML file: no network, no script, light and dark, and made to be printed."""

from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING

from secgen_dsl import __version__
from secgen_dsl.describe.render.words import clean, resource
from secgen_dsl.evaluation.evaluate import Evaluation
from secgen_dsl.evaluation.report.parts import Grid, Picture
from secgen_dsl.evaluation.report.words import parts
from secgen_dsl.evaluation.results import PRIVATE

if TYPE_CHECKING:
    from jinja2 import Template


def render_page(found: Evaluation, label: str) -> str:
    """The page.  Nothing in it is markup but what the template and the figures hold.

    Args:
        label: name of the column of the classes.
    """
    return _template().render(
        parts=parts(found, label),
        private=PRIVATE,
        style=resource("style.css"),
        version=__version__,
    )


def _kind(block: object) -> str:
    return (
        "table" if isinstance(block, Grid) else "figure" if isinstance(block, Picture) else "text"
    )


@lru_cache(maxsize=1)
def _template() -> "Template":
    from jinja2 import BaseLoader, Environment, StrictUndefined

    def cleaned(value: object) -> object:
        return clean(value) if type(value) is str else value

    environment = Environment(
        loader=BaseLoader(),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=cleaned,
    )
    environment.filters["kind"] = _kind
    text = (files("secgen_dsl.evaluation.report") / "page.html.jinja").read_text(encoding="utf-8")
    return environment.from_string(text)
