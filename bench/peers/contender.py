"""How a contender is driven: one process that reads what to do on stdin and tells what it took.

Only the standard library is imported: this runs in the environments of all contenders.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import TypeVar

from bench.expressions import Number

Prepared = TypeVar("Prepared")
Ways = Mapping[str, Callable[[Sequence[Prepared]], Sequence[Number]]]


def serve(ways: Ways[Prepared], prepare: Callable[[str], Prepared]) -> None:
    """Do what each line of stdin asks for, until it ends.

    A line is `{"way": ..., "tasks": [...]}`; the reply is `{"took_s": ..., "answers": [...]}`, or
    `{"failed": ...}`. What `prepare` makes of a text is made before the clock starts. The first
    line of stdout names the ways.
    """
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # libraries print what they like
    print(json.dumps({"ways": list(ways)}), file=replies)
    for line in sys.stdin:
        asked = json.loads(line)
        prepared = [prepare(text) for text in asked["tasks"]]
        try:
            began_at = perf_counter()
            answers = ways[asked["way"]](prepared)
            took_s = perf_counter() - began_at
        except Exception as error:  # whatever a peer raises: it cannot do it
            reply: dict[str, object] = {"failed": f"{type(error).__name__}: {error}"[:200]}
        else:
            reply = {"took_s": took_s, "answers": list(answers)}
        print(json.dumps(reply), file=replies)
