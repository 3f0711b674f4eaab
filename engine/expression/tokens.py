"""What a text is read by: steps, each a number with what stands around it; tokens, for errors.

Only ASCII counts: `[0-9]` and nothing else that Unicode calls a digit, and as blanks only space,
tab and the two newlines. Reading is linear in the text: no part of a step can begin with what the
one before it ends with. And no step is long, a number apart: of very many brackets it takes some.
"""

import re

LONGEST = 1_000  # characters before or behind a number, in one step

_NUMBER = r"(?: [0-9]+ (?: \.[0-9]* |) | \.[0-9]+ ) (?: [eE][+-]?[0-9]+ |)"
_OPENING = rf"[-+(\ \t\n\r]{{0,{LONGEST}}}"  # signs, too
_CLOSING = rf"[)\ \t\n\r]{{0,{LONGEST}}}"
_OPERATOR = r"[-+*/] |"  # that leads to the next step


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.VERBOSE)


STEP = _compiled(f"( {_OPENING} ) ( {_NUMBER} ) ( {_CLOSING} ) ( {_OPERATOR} )")
NUMBER, CLOSING = 2, 3  # groups of a step
OPENING = _compiled(f"( {_OPENING} )")  # where there is no step
# Where the one before may go on: a step without a number, and nothing before it.
BEHIND = _compiled(f"( ) ( ) ( {_CLOSING} ) ( {_OPERATOR} )")

# Whatever belongs to no token of the grammar is a token too, so that an error can name it.
TOKEN = _compiled(rf"{_NUMBER} | [-+*/()] | [A-Za-z_][A-Za-z_0-9]* | [^\ \t\n\r]")
