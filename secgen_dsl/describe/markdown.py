"""The protocol description as Markdown."""

from importlib.resources import files

from secgen_dsl.describe.content import NOT_STATED, Content


def render_markdown(content: Content) -> str:
    """The document.  Text from a spec is escaped: it cannot add markup or links."""
    from jinja2 import BaseLoader, Environment, StrictUndefined

    environment = Environment(
        loader=BaseLoader(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - Markdown, escaped by _escape
        finalize=lambda value: _escape(value) if isinstance(value, str) else value,
    )
    text = (files("secgen_dsl.describe") / "description.md.jinja").read_text(encoding="utf-8")
    return environment.from_string(text).render(content=content, not_stated=NOT_STATED)


def _escape(text: str) -> str:
    escaped = "".join("\\" + c if c in "\\`*_{}[]<>#|~" else c for c in text)
    return " ".join(escaped.split())
