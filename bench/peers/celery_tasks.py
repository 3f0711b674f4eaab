"""The Celery application: what its workers import. `PEERS_REDIS` is broker and result backend."""

import os

from celery import Celery

from bench.expressions import Number
from bench.peers import operations

app = Celery("peers", broker=os.environ["PEERS_REDIS"], backend=os.environ["PEERS_REDIS"])


@app.task
def compute(symbol: str, left: Number, right: Number) -> Number:
    """Compute one operation."""
    return operations.compute(symbol, left, right)


@app.task
def from_left(left: Number, symbol: str, right: Number) -> Number:
    """Compute one operation whose left operand comes from the task before."""
    return operations.compute(symbol, left, right)


@app.task
def from_right(right: Number, symbol: str, left: Number) -> Number:
    """Compute one operation whose right operand comes from the task before."""
    return operations.compute(symbol, left, right)


@app.task
def from_both(both: list[Number], symbol: str) -> Number:
    """Compute one operation whose operands both come from tasks before."""
    return operations.compute(symbol, *both)
