"""A Pygments lexer for specs, for documents and ``pygmentize``.

Only Pygments imports this module (by its entry point).  The words come from the grammar.
"""

from typing import ClassVar

from pygments.lexer import RegexLexer, include, words
from pygments.token import (
    Comment,
    Keyword,
    Name,
    Number,
    Operator,
    Punctuation,
    String,
    Text,
    Whitespace,
)

from secgen_dsl.syntax.outline import LIST_OPENERS
from secgen_dsl.syntax.parser import block_words, keywords

_WORD = r"[A-Za-z0-9_](?:(?!\.\.)[A-Za-z0-9_.+/-])*"
_WORD_END = r"(?![A-Za-z0-9_+/-]|\.(?!\.))"
_CALL = r'[A-Za-z][A-Za-z0-9_]*[ \t]*\([^()\n{}"]*\)'
_NUMBER = rf"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?{_WORD_END}"


class SecgenLexer(RegexLexer):
    """Specs: words of the language, names, texts, numbers, comments.

    A word of the language is one only where a statement can hold it: not in a list, in which
    everything is a name.
    """

    name = "secgen"
    aliases: ClassVar = ["secgen"]
    filenames: ClassVar = ["*.secgen"]

    tokens: ClassVar = {
        "root": [
            include("blank"),
            (words(sorted(LIST_OPENERS), suffix=_WORD_END), Keyword.Declaration, "declaration"),
            (words(sorted(block_words()), suffix=_WORD_END), Keyword.Declaration, "header"),
            include("piece"),
            (r"[{}]", Punctuation),
        ],
        "blank": [
            (r"#[^\n]*", Comment.Single),
            (r"[ \t\r]+|\n", Whitespace),
            (r";", Punctuation),
        ],
        "header": [
            (r"(?=[\n;#])", Text, "#pop"),
            (r"\{", Punctuation, ("#pop", "block")),
            include("statement"),
        ],
        "declaration": [
            (r"(?=[\n;#])", Text, "#pop"),
            (r"\{", Punctuation, ("#pop", "list")),
            include("statement"),
        ],
        "block": [
            (r"\}", Punctuation, "#pop"),
            (r"\{", Punctuation, "list"),
            include("statement"),
        ],
        "list": [
            (r"\}", Punctuation, "#pop"),
            include("blank"),
            (_WORD, Name.Constant),
            include("piece"),
        ],
        "statement": [
            include("blank"),
            (_CALL, Name.Function),
            (words(sorted(keywords()), suffix=_WORD_END), Keyword),
            include("piece"),
        ],
        "piece": [
            (r'"(?:\\["\\]|[^"\\\n])*"', String.Double),
            (_NUMBER, Number),
            (_WORD, Name),
            (r"\.\.|[*~%]", Operator),
            (r",", Punctuation),
        ],
    }
