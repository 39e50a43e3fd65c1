"""`make chaos [SECONDS=…] [SEED=…]`: torment a cluster, print what each fault cost; exit 1 when an invariant did not hold."""

import argparse
import asyncio
import logging
import secrets
import sys

from rich.console import Console

from tests.chaos.nemesis import FAULTS
from tests.chaos.report import show
from tests.chaos.run import run


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="no new fault begins after this")
    parser.add_argument("--seed", type=int, default=None, help="the same seed brings the same faults in the same order")
    parser.add_argument("--fault", action="append", choices=sorted(FAULTS), help="only this kind; may be given again")
    given = parser.parse_args()
    seed = secrets.randbelow(1_000_000) if given.seed is None else given.seed
    for noisy in ("asyncpg", "aiormq", "aio_pika"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)  # our own look at services that are away
    console = Console()
    console.print(f"seed {seed}, {given.seconds:.0f} s", highlight=False)
    tell = lambda line: console.print(line, highlight=False, soft_wrap=True)  # noqa: E731
    outcome = asyncio.run(run(given.seconds, seed, kinds=given.fault or tuple(FAULTS), tell=tell))
    show(outcome, console)
    sys.exit(1 if outcome.wrong else 0)


if __name__ == "__main__":
    main()
