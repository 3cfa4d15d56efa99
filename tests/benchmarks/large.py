"""A graph of 256 small networks that all teach each other: `python -m tests.benchmarks.large`.

65,280 edges between nodes and 256 from the labels, on digits. Each row is a part of what happens
until the graph trains: CPU seconds in one thread, and the megabytes by which it raised the peak of
the memory. `--open` has the gates of the edges open instead, and says what the space costs.
`--deterministic` computes every edge for itself.
"""

import resource
import sys
import time
from collections.abc import Callable
from typing import TypeVar

import torch

from ktgdsl.backend.emit import emit
from ktgdsl.backend.graph import build
from ktgdsl.backend.initial import make_networks
from ktgdsl.program.from_plan import program_of
from ktgdsl.report.describe import describe
from ktgdsl.report.space_cost import space_cost
from ktgdsl.training.deterministic import deterministically
from ktgdsl.training.prepare import stepper
from tests.benchmarks.output import Row, options, show
from tests.specs import sound

SPEC = """
graph large {{
    node n[{nodes}] = resnet(depth=8, width=1)
    target n[0]
    edge label -> * : ce
    edge * -> * : kl {gate}
}}
{search}
"""

_T = TypeVar("_T")


class Parts:
    """The parts of something that have been measured, one after the other."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def measure(self, name: str, part: Callable[[], _T]) -> _T:
        """What a part gives, with a row for its costs."""
        before, began = memory(), time.process_time()
        result = part()
        seconds = time.process_time() - began
        self.rows.append({"part": name, "CPU s": seconds, "peak MB more": memory() - before})
        return result


def memory() -> float:
    """The most memory that this process has had so far, in MB."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1e6 if sys.platform == "darwin" else 1e3)


def trained(nodes: int, *, deterministic: bool) -> list[Row]:
    """From the spec to the second step."""
    parts = Parts()
    plan = parts.measure("check and plan", lambda: sound(spec(nodes)))
    networks = parts.measure("networks", lambda: make_networks(plan))
    program = parts.measure("program", lambda: program_of(plan))
    (update,) = program.phases[0].updates
    with deterministically(deterministic):
        parts.measure("fx graph", lambda: emit(update, together=not deterministic))
        parts.measure("all of build", lambda: build(plan, networks))
        step = parts.measure("all of stepper", lambda: stepper(plan, "cpu", networks=networks))
        images = torch.rand(plan.data.batch, *plan.data.shape)
        labels = torch.arange(plan.data.batch) % plan.data.classes
        parts.measure("first step", lambda: step(images, labels))
        parts.measure("second step", lambda: step(images, labels))
    return parts.rows


def planned(nodes: int) -> list[Row]:
    """What `ktgc plan` does with a space."""
    parts = Parts()
    plan = parts.measure("check", lambda: sound(spec(nodes, gate="via through | cutoff")))
    parts.measure("size and cost of the search", lambda: space_cost(plan))
    parts.measure("description", lambda: describe(plan, {}))
    return parts.rows


def spec(nodes: int, gate: str = "") -> str:
    """The graph, or with a gate that is open the space."""
    return SPEC.format(nodes=nodes, gate=gate, search="search { trials = 60 }" if gate else "")


def main() -> None:
    """Measure and print."""
    parser = options(__doc__)
    parser.add_argument("--nodes", type=int, default=256)
    parser.add_argument("--open", action="store_true")
    parser.add_argument("--deterministic", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.open:
        rows = planned(given.nodes)
    else:
        rows = trained(given.nodes, deterministic=given.deterministic)
    show(rows, f"{given.nodes} nodes, {given.nodes**2:,} edges; once each", given.json)


if __name__ == "__main__":
    main()
