"""What a text is read by: steps, each a number with what stands around it; tokens, for errors.

Only ASCII counts: `[0-9]` and nothing else that Unicode calls a digit, and as blanks only space,
tab and the two newlines. Reading is linear in the text: no part of a step can begin with what the
one before it ends with.
"""

import re

_NUMBER = r"(?: [0-9]+ (?: \.[0-9]* |) | \.[0-9]+ ) (?: [eE][+-]?[0-9]+ |)"

BEFORE_NUMBER = "-+( \t\n\r"
STEP = re.compile(
    rf"""
    ( [{BEFORE_NUMBER}]* )  # signs and opening brackets
    ( {_NUMBER} )
    ( [)\ \t\n\r]* )        # closing brackets
    ( [-+*/] |)             # the operator that leads to the next step
    """,
    re.VERBOSE,
)
NUMBER = 2  # the group of a step that is its number

# Whatever belongs to no token of the grammar is a token too, so that an error can name it.
TOKEN = re.compile(rf"{_NUMBER} | [-+*/()] | [A-Za-z_][A-Za-z_0-9]* | [^\ \t\n\r]", re.VERBOSE)
