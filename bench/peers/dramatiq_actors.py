"""The Dramatiq actors: what its workers import. `PEERS_REDIS` is broker and result backend."""

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from bench.expressions import Number
from bench.peers import operations

broker = RedisBroker(url=os.environ["PEERS_REDIS"])
broker.add_middleware(Results(backend=RedisBackend(url=os.environ["PEERS_REDIS"])))
dramatiq.set_broker(broker)


@dramatiq.actor(store_results=True)
def compute(symbol: str, left: Number, right: Number) -> Number:
    """Compute one operation."""
    return operations.compute(symbol, left, right)


@dramatiq.actor(store_results=True)
def from_left(symbol: str, right: Number, left: Number) -> Number:
    """Compute one operation whose left operand comes, last, from the message before."""
    return operations.compute(symbol, left, right)
