"""A search whose disk gets full at random moments: `python -m tests.faults.full_disk --fills 20`.

The folder of the search is on a small disk of its own (tmpfs, which takes root to mount). Each time
a file fills it, the search has to end with E502 and say how to go on; then the file is removed and
the search resumed. In the end it has to be equal to one that nobody disturbed.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.faults.kills import SPACE, assert_equal_searches, search_as_owner
from tests.forked import Forked

MEGABYTES = 8


@contextmanager
def small_disk(place: Path) -> Iterator[Path]:
    """A folder on a disk of its own."""
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", str(place)]
    subprocess.run(mount, check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill(disk: Path, spare: int) -> None:
    """Fill the disk with one file but for so many bytes."""
    filler = disk / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(bytes(65536)):  # less where there is no room for more
            pass
    os.truncate(filler, max(0, filler.stat().st_size - spare))


def filled_search(trials: int, fills: int, folder: Path, seed: int = 0) -> str:
    """Fill the disk of a search so many times; what happened, in words."""
    space, log, draw = SPACE % trials, folder / "log.txt", random.Random(seed)
    undisturbed = Forked(search_as_owner, space, folder / "whole", output=folder / "whole.txt")
    said: Counter[str] = Counter()
    with small_disk(folder / "disk") as disk:
        journal, done = disk / "s/study.journal", 0
        while done < fills:
            log.write_text("")
            owner = Forked(search_as_owner, space, disk / "s", output=log)
            size = journal.stat().st_size if journal.exists() else 0
            while owner.poll() is None and not (journal.exists() and journal.stat().st_size > size):
                time.sleep(0.01)
            time.sleep(draw.uniform(0, 0.8))
            fill(disk, draw.choice([0, 4096, 16384]))
            code = owner.wait(300)
            text = log.read_text()
            (disk / "filler").unlink()
            if code == 0:  # it is over
                break
            said["E502, and how to go on" if "make room, then go on with" in text else text] += 1
            done += 1
        code = Forked(search_as_owner, space, disk / "s", output=log).wait(1200)
        assert code == 0, log.read_text()
        assert undisturbed.wait(1200) == 0
        assert_equal_searches(disk / "s", folder / "whole")
    return f"a search of {trials} trials, disk full {done} times: {dict(said)}, equal in the end"


def main() -> int:
    """Read the options, and fill."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fills", type=int, default=20)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(filled_search(options.trials, options.fills, Path(folder), options.seed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
