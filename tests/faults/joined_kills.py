"""A search that processes share, which are killed: `python -m tests.faults.joined_kills`.

Three processes as `ktgc search --join` starts them train with a worker each. Each of them gets
SIGKILL once it has lost some workers so, and a new one joins instead. The trials have to be those
of a search in one process that nobody disturbed, to the bit (nobody is pruned in it, since who is
depends on which process is faster).
"""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import ktgdsl
from ktgdsl.searching.shared import claims, joined_coordinator, participation
from ktgdsl.searching.shared.joined_search import join
from tests.faults.kills import SPACE, killing_workers, rows, search_as_owner
from tests.forked import Forked
from tests.searching.shared.postgres import Server, server

PROCESSES = 3


def take_part(space: str, address: str, folder: Path, kills: int, seed: int) -> None:
    """Join a search as a process so many of whose workers are killed."""
    participation.BEAT, claims.HEARTBEAT_TIMEOUT, claims.MAX_ATTEMPTS = 0.5, 5.0, 1000
    joined_coordinator.POLL_SECONDS = 0.5
    with killing_workers(kills, seed, folder.with_suffix(".kills")):
        join(ktgdsl.loads(space), address, out=folder, device="cpu", workers=1)


class Process:
    """A process of the search, of whose workers `kills` are killed."""

    def __init__(self, space: str, address: str, folder: Path, kills: int, seed: int) -> None:
        self.folder, self.log = folder, folder.with_suffix(".log")
        self._kills = kills
        self._lines = folder.with_suffix(".kills")
        self._lines.touch()
        entry = (space, address, folder, kills, seed)
        self.process = Forked(take_part, *entry, output=self.log)

    @property
    def killed(self) -> int:
        """How many of its workers were killed."""
        return len(self._lines.read_text().splitlines())

    @property
    def is_due(self) -> bool:
        """Whether it is its own turn to be killed."""
        return self.killed == self._kills


def killed_join(trials: int, owners: int, kills: int, folder: Path, seed: int = 0) -> str:
    """Kill so many processes of a search, each after so many of its workers.

    Returns what happened, in words. Fails where the search is not as an undisturbed one.
    """
    space, draw = SPACE % trials, random.Random(seed)
    whole, log = folder / "whole", folder / "log.txt"
    assert Forked(search_as_owner, space, whole, output=log).wait(1800) == 0, log.read_text()
    with server() as postgres:
        lives: list[Process] = []

        def another() -> Process:
            number = len(lives)
            left = kills if number < owners else 0
            path = folder / f"process-{number}"
            lives.append(Process(space, postgres.address, path, left, seed + number))
            return lives[-1]

        places = [another() for _ in range(PROCESSES)]
        done = 0
        while any(each.process.poll() is None for each in places):
            time.sleep(draw.uniform(0.05, 0.5))
            for place, each in enumerate(places):
                if done < owners and each.is_due and each.process.poll() is None:
                    each.process.kill()
                    done += 1
                    places[place] = another()
        for each in places:
            assert each.process.poll() == 0, each.log.read_text()
        assert done == owners, f"too few trials for {owners} kills: {done}"
        for each in places:
            assert rows(each.folder) == rows(whole)
            assert (each.folder / "best.ktg").read_bytes() == (whole / "best.ktg").read_bytes()
        count, graphs, lost = accounted(postgres)
    assert count == graphs == trials
    workers = sum(each.killed for each in lives)
    return (
        f"a search of {trials} trials by {PROCESSES} processes: {workers} kills of workers and "
        f"{done} of processes, {lost} trials lost with their process and trained again, "
        "each trial once, no graph twice, all equal"
    )


def accounted(postgres: Server) -> Any:
    """How many trials the tables have, of how many graphs, and how often one was lost."""
    import psycopg

    query = "SELECT count(*), count(DISTINCT graph), sum(attempt - 1) FROM ktgdsl_trials"
    with psycopg.connect(postgres.address) as connection:
        return connection.execute(query).fetchone()


def main() -> int:
    """Read the options, and kill."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=150)
    parser.add_argument("--owners", type=int, default=40, help="processes that are killed")
    parser.add_argument("--kills", type=int, default=2, help="workers of each that are killed")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        said = killed_join(options.trials, options.owners, options.kills, Path(name), options.seed)
    print(f"{said}, in {time.monotonic() - began:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
