"""`python -m tests.fuzz TARGET`: judge many inputs, print how many, write what fails."""

import argparse
import sys
from pathlib import Path

from tests.fuzz.campaign import keep, run
from tests.fuzz.targets import TARGETS


def main() -> int:
    """1 where something was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument(
        "targets", nargs="*", metavar="TARGET", help=f"{', '.join(TARGETS)}; or all"
    )
    parser.add_argument("--inputs", type=int, default=1_000, help="of each target (default: 1000)")
    parser.add_argument("--first", type=int, default=0, help="the number of the first input")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="for each target")
    parser.add_argument("--out", type=Path, default=Path("runs/fuzz"), help="for what fails")
    options = parser.parse_args()
    if unknown := {*options.targets} - {*TARGETS}:
        parser.error(f"there is no target {min(unknown)}; there are {', '.join(TARGETS)}")
    found = 0
    for name in options.targets or TARGETS:
        numbers = iter(range(options.first, options.first + options.inputs))
        done = run(name, TARGETS[name], numbers, seed=options.seed, seconds=options.seconds)
        print(f"{name}: {done}", flush=True)
        for path in keep(options.out, name, options.seed, done):
            print(f"    {path}: {path.read_text('utf-8').splitlines()[0]}", flush=True)
        found += len(done.findings)
    return min(found, 1)


if __name__ == "__main__":
    sys.exit(main())
