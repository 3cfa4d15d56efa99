"""A campaign: inputs from a seed, each judged under limits; what fails is shrunk and kept."""

import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from random import Random

from tests.fuzz.limits import SECONDS, TimeExceeded, memory_limit, time_limit
from tests.fuzz.shrinking import shrunk

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Target:
    """What reads text of anybody's, and texts for it.

    Attributes:
        make: an input from a random generator.
        judge: reads an input. Whether it was accepted; raises where something is wrong with us.
    """

    make: Callable[[Random], str]
    judge: Callable[[str], bool]


@dataclass
class Finding:
    """A way to fail: the first input that did, made smaller, and how many did."""

    number: int
    smallest: str
    failure: str
    times: int = 1


@dataclass
class Campaign:
    """What came of the inputs so far. Findings are by where and how they fail."""

    inputs: int = 0
    accepted: int = 0
    seconds: float = 0.0
    longest: float = 0.0
    findings: dict[str, Finding] = field(default_factory=dict)

    def __str__(self) -> str:
        return (
            f"{self.inputs:,} inputs, {self.accepted:,} accepted, {self.seconds:,.0f} s of "
            f"processor time, the longest {self.longest:.2f} s, {len(self.findings)} findings"
        )


def run(
    name: str,
    target: Target,
    numbers: Iterator[int],
    *,
    seed: int = 0,
    seconds: float = float("inf"),
    shrink: bool = True,
) -> Campaign:
    """Judge the inputs of these numbers, until so many seconds have passed.

    The input of a number is the same whatever was judged before it.
    """
    done, end = Campaign(), time.monotonic() + seconds
    for number in numbers:
        if time.monotonic() > end:
            break
        text = target.make(Random(f"{name} {seed} {number}"))
        start = time.process_time()
        how, accepted = failure(target, text)
        taken = time.process_time() - start
        done.inputs, done.seconds = done.inputs + 1, done.seconds + taken
        done.accepted += accepted
        done.longest = max(done.longest, taken)
        if how is None:
            continue
        if how in done.findings:
            done.findings[how].times += 1
            continue
        fails_alike = _same_failure(target, how)
        smallest = (
            shrunk(text, fails_alike, 30 if "any place" in how else 3_000) if shrink else text
        )
        done.findings[how] = Finding(number, smallest, details(target, smallest))
    return done


def _same_failure(target: Target, how: str) -> Callable[[str], bool]:
    return lambda text: failure(target, text)[0] == how


@contextmanager
def _limits() -> Iterator[None]:
    with memory_limit(), time_limit(SECONDS):
        yield


def failure(target: Target, text: str) -> tuple[str | None, bool]:
    """How the judgement fails and where, None if it does not; and whether the input is accepted."""
    try:
        with _limits():
            return None, target.judge(text)
    except (Exception, TimeExceeded) as error:
        return f"{type(error).__name__} at {_place(error)}", False


def _place(error: BaseException) -> str:
    """The innermost place in the repository; of endless recursion and time that is arbitrary."""
    if isinstance(error, TimeExceeded | RecursionError | MemoryError):
        return "any place"
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if Path(frame.filename).is_relative_to(ROOT)]
    last = (ours or frames)[-1]
    return f"{Path(last.filename).name}:{last.lineno}"


def details(target: Target, text: str) -> str:
    """The traceback of a failure."""
    try:
        with _limits():
            target.judge(text)
    except (Exception, TimeExceeded):
        return traceback.format_exc(limit=-12)
    return "it did not fail again"


def keep(folder: Path, name: str, seed: int, campaign: Campaign) -> list[Path]:
    """Write the findings, a file each; the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for how, found in campaign.findings.items():
        path = folder / f"{name}-{sha256(how.encode()).hexdigest()[:8]}.txt"
        head = f"{how}, {found.times} times, first by input {found.number} of seed {seed}"
        path.write_text(f"{head}\n{found.smallest!a}\n\n{found.failure}", encoding="utf-8")
        written.append(path)
    return written
