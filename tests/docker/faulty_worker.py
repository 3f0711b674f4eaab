"""A worker of ours with a fault, for a container: it `lies` or `dies`, as FAULT says.

It passes its examination. After that a liar is one off whatever it computes, and one that dies
kills its process when it meets `POISON`.
"""

import os
import signal
import sys

import worker
from engine.arithmetic import compute
from engine.examination import QUESTIONS
from engine.job import Number
from engine.worker import app

POISON = 9_000_000_000
EXAMINED = {(name, operands) for name, operands, _ in QUESTIONS}


def lying(name: str, operands: tuple[Number, ...]) -> Number:
    """Compute wrongly, but for an examination."""
    right = compute(name, operands)
    return right if (name, operands) in EXAMINED else right + 1


def dying(name: str, operands: tuple[Number, ...]) -> Number:
    """Compute rightly, but for the poison."""
    if POISON in operands:
        os.kill(os.getpid(), signal.SIGKILL)
    return compute(name, operands)


if __name__ == "__main__":
    app.compute = {"lies": lying, "dies": dying}[os.environ["FAULT"]]  # type: ignore[attr-defined]
    sys.exit(worker.main())
