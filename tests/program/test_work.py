"""How the work of making a large graph grows: counts of calls, whatever the machine does."""

import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

from ktgdsl.backend.emit import emit
from ktgdsl.program.from_plan import program_of
from tests.specs import of


def calls_of(work: Callable[[], object]) -> int:
    """How many calls of functions some work takes."""
    calls = Counter[str]()

    def count(_: Any, event: str, __: Any) -> None:
        calls[event] += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
    return calls["call"] + calls["c_call"]


def test_the_work_grows_as_the_edges_do() -> None:
    """Not as edges times nodes, which would be eight times as much for twice the nodes."""

    def work(nodes: int) -> int:
        plan = of(f"node n[{nodes}] = resnet8 target n[0] edge label, * -> *")

        def make() -> None:
            (update,) = program_of(plan).phases[0].updates
            emit(update, together=True)

        make()  # what is done once for a process
        return calls_of(make)

    small, large = work(8), work(16)
    assert 2 * small < large < 4.2 * small
