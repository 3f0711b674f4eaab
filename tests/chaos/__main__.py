"""`python -m tests.chaos --kills 200`: kill masters under load, and say what was lost.

Exits 0 if nothing was, 1 otherwise.
"""

import argparse
import asyncio
import sys
import time
from functools import partial

from engine.crashpoints import POINTS
from tests.chaos.siege import besiege, visit


def main() -> int:
    """Read the arguments and do what they say."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--points", metavar="NAME,...", help="die once at each of these instead; 'all' for all"
    )
    parser.add_argument("--verbose", action="store_true", help="tell of every life, on stderr")
    given = parser.parse_args()
    say = partial(print, file=sys.stderr, flush=True) if given.verbose else lambda _: None
    begun = time.monotonic()
    if given.points is None:
        report = asyncio.run(besiege(given.kills, given.seed, say))
    else:
        wanted = POINTS if given.points == "all" else tuple(given.points.split(","))
        unknown = set(wanted) - set(POINTS)
        if unknown:
            parser.error(f"there is no {', '.join(unknown)}; choose of {', '.join(POINTS)}")
        report = asyncio.run(visit([p for p in POINTS if p in wanted], given.seed, say))
    print(f"seed {given.seed}, {time.monotonic() - begun:.0f} s: {report}")
    return 0 if report.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
