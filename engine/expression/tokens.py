"""From text to tokens: numbers, operators and brackets, each with its column.

Only ASCII counts: `[0-9]` and nothing else that Unicode calls a digit, and as blanks only space,
tab and the two newlines. Whatever belongs to no token of the grammar is a token of kind `OTHER`, so
that the parser alone says what is wrong. Reading is lazy and linear in the text.
"""

import re
from collections.abc import Iterator

NUMBER = "number"
OTHER = "other"
END = "end"

Token = tuple[str, str, int]
"""Kind, text, and column from 1. The kind of an operator or a bracket is the character itself."""

_TOKEN = re.compile(
    r"""
      (?P<number> (?: [0-9]+ (?: \. [0-9]* )? | \. [0-9]+ ) (?: [eE] [+-]? [0-9]+ )? )
    | [-+*/()]
    | (?P<other>  [A-Za-z_] [A-Za-z_0-9]* | [^\ \t\n\r] )
    """,
    re.VERBOSE,
)


def tokens(text: str) -> Iterator[Token]:
    """Yield the tokens of `text` in order, and at last one of kind `END` behind its last column."""
    for match in _TOKEN.finditer(text):
        token = match[0]
        yield match.lastgroup or token, token, match.start() + 1
    yield END, "", len(text) + 1
