"""From text to tokens: numbers, operators and brackets.

Only ASCII counts: `[0-9]` and nothing else that Unicode calls a digit, and as blanks only space,
tab and the two newlines. Whatever belongs to no token of the grammar is a token too, so that the
parser alone says what is wrong. Reading is lazy and linear in the text.
"""

import re
from collections.abc import Iterator

_TOKEN = re.compile(
    r"""
      ( (?: [0-9]+ (?: \. [0-9]* )? | \. [0-9]+ ) (?: [eE] [+-]? [0-9]+ )? )
    | [-+*/()]
    | [A-Za-z_] [A-Za-z_0-9]*
    | [^\ \t\n\r]
    """,
    re.VERBOSE,
)


def tokens(text: str) -> Iterator[re.Match[str]]:
    """Iterate over the tokens of `text` in order; a number is a match with a group."""
    return _TOKEN.finditer(text)
