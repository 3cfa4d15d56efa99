"""What constructs cost: `python -m tests.benchmarks.constructs ROWS [--rounds N] [--threads N]`.

ROWS is `logits` (each logit loss), `features` (each feature loss), `phases`, `cached` (kept
outputs), or `auto` (how steps are executed). Steps of all candidates are taken in turn in one
process. A ratio is that of two steps of the same round, and what is printed its median with the
quartiles. With one thread, the default but for `auto`, times are those of the CPU.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from statistics import quantiles

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

import ktgdsl
from ktgdsl.backend.partition import split_networks
from ktgdsl.bench.candidates import Training, limit, training
from ktgdsl.plan.model import Plan
from ktgdsl.program.reads import placeholders_of
from ktgdsl.program.values import IMAGE, LABEL, PROGRESS, SAMPLE, SECOND_VIEW
from ktgdsl.training.autotune import candidates, name_of, steps_of
from ktgdsl.training.execution import choose_execution
from ktgdsl.training.process_settings import keep_freed_pages
from ktgdsl.vocabulary.losses import Loss
from ktgdsl.vocabulary.reads import Connected, Read, SourceKind
from ktgdsl.vocabulary.registry import entries
from tests.benchmarks.output import Row, options, show
from tests.words import reads_margins, variants

CPU = torch.device("cpu")
OFTEN = 5
"""Times that losses are computed for one measurement."""

Steps = Mapping[str, Callable[[], object]]


def times(steps: Steps, rounds: int) -> dict[str, list[float]]:
    """Seconds of a step of each in each round, after one that does not count."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(rounds + 1):
        for name, step in steps.items():
            start = clock()
            step()
            if turn:
                taken[name].append(clock() - start)
    return taken


def row(name: str, ours: list[float], other: list[float]) -> dict[str, str | int | float]:
    """Milliseconds of both, and the ratio of ours to the other."""
    ratios = [mine / its for mine, its in zip(ours, other, strict=True)]
    low, middle, high = quantiles(ratios, n=4)
    return {
        "row": name,
        "against": round(1000 * quantiles(other, n=4)[1], 2),
        "ours": round(1000 * quantiles(ours, n=4)[1], 2),
        "ratio": round(middle, 3),
        "quartiles": f"{low:.3f} to {high:.3f}",
        "n": len(ratios),
    }


def plan(edges: str, student: str, teacher: str, data: str = "cifar10", settings: str = "") -> Plan:
    """A student with a frozen teacher."""
    return ktgdsl.loads(
        f"graph g {{ node a = {student} node t = {teacher} {{ frozen = true {settings} }} target a "
        f"edge label -> a {edges} }} data {data} {{ batch = 64 }} train {{ epochs = 200 }}"
    )


def losses(inside: bool) -> Iterator[tuple[str, str]]:
    """The losses of logits, or inside of networks, as they are written, and the edge of each."""
    for loss in (loss for entry in entries("loss").values() for loss in variants(entry)):
        assert isinstance(loss, Loss)
        source: SourceKind = "node" if "node" in loss.sources else "nothing"
        read = [each for each in loss.inputs(source) if isinstance(each, Read | Connected)]
        of_features = any(isinstance(r, Connected) or r.form == "features" for r in read)
        if of_features != inside or loss.word in ("python", "ce"):
            continue
        written = str(loss.call()).replace("stage2", "stage3")
        tap = '."stage2.pre"' if reads_margins(loss) else ".stage2" if loss.at_taps else ""
        edge = f"t{tap} -> a{tap}" if source == "node" else "a"
        yield written, f"edge {edge} : 0.001 * {written}"


def measure_losses(inside: bool, rounds: int) -> Iterator[Row]:
    """ResNet32 that learns each loss from a frozen ResNet32, against the two alone.

    `losses` is one more than what the loss itself costs, its backward pass up to the networks
    included, against the least step of the networks: small numbers, which other work of the machine
    hardly hides. `ratio` is that of whole steps.
    """
    for name, edge in losses(inside):
        made = training(plan(edge, "resnet32", "resnet32"), CPU)
        taken = times({"bare": limit(made).call, "ours": made.take}, rounds)
        alone = {"loss": losses_alone(made), "none": cross_entropy_alone(made)}
        parts = times({each: partial(_often, call) for each, call in alone.items()}, rounds)
        more = (min(parts["loss"]) - min(parts["none"])) / OFTEN
        cost = {"losses": round(1 + more / min(taken["bare"]), 3)}
        yield row(name, taken["ours"], taken["bare"]) | cost


def losses_alone(made: Training) -> Callable[[], None]:
    """The losses and gates of a step, and their gradients in what the networks give."""
    networks, rest = split_networks(made.step.graph)
    outputs = [_leaves(call.module(made.image)) for calls in networks for call in calls]
    values = {
        IMAGE: made.image,
        LABEL: made.label,
        PROGRESS: torch.tensor(0.5, dtype=torch.float64),
        SAMPLE: torch.arange(len(made.label)),
        SECOND_VIEW: made.image,
    }
    inputs = [values[each] for each in placeholders_of(made.step.graph.update)]

    def take() -> None:
        torch.autograd.backward([*rest(*inputs, *outputs).losses.values()])

    return take


def _leaves(output: Tensor | dict[str, Tensor]) -> Tensor | dict[str, Tensor]:
    """What a network gives, without the network."""
    if isinstance(output, dict):
        return {tap: _leaf(each) for tap, each in output.items()}
    return _leaf(output)


def _leaf(output: Tensor) -> Tensor:
    return output.detach().requires_grad_(output.requires_grad)


def cross_entropy_alone(made: Training) -> Callable[[], None]:
    """The loss of the bare networks."""
    logits = torch.zeros(len(made.label), 10, requires_grad=True)
    return lambda: torch.autograd.backward(cross_entropy(logits, made.label))


def _often(call: Callable[[], object]) -> None:
    for _ in range(OFTEN):
        call()


def measure_phases(rounds: int) -> Iterator[Row]:
    """Each phase of a teacher, an assistant and a student, against what is called in it."""
    takd = ktgdsl.loads(
        "graph g { node t = wrn16_2 node b = resnet14 node a = resnet8 target a edge label -> * "
        "edge t -> b : kl(T=4) edge b -> a : kl(T=4) } data digits { batch = 64 }"
        "train { epochs = 5 } phase teach { learn = [t] } phase assist { learn = [b] } "
        "phase study { learn = [a] }"
    )
    for number, phase in enumerate(takd.phases):
        made = training(takd, CPU, phase=number)
        taken = times({"bare": limit(made).call, "ours": made.take}, rounds)
        yield row(phase.name, taken["ours"], taken["bare"])


def measure_cached(rounds: int) -> Iterator[Row]:
    """Kept outputs against computed ones."""
    edge = "edge t -> a : kl(T=4)"
    for student, teacher, data in (
        ("resnet8", "wrn16_2", "digits"),
        ("resnet32", "wrn28_2", "cifar10"),
    ):
        kept, computed = (
            training(plan(edge, student, teacher, data, settings), CPU).take
            for settings in ("cache = outputs", "")
        )
        taken = times({"kept": kept, "computed": computed}, rounds)
        yield row(f"{teacher} teaches {student}", taken["kept"], taken["computed"])


def measure_auto(rounds: int) -> Iterator[Row]:
    """Each way to execute steps, against that of the rule."""
    peers = ktgdsl.loads(
        "graph g { node a, b, c = resnet8 target a edge label -> * edge * -> * : kl } "
        "data digits { batch = 64 } train { epochs = 200 }"
    )
    taught = plan("edge t -> a : kl(T=4)", "resnet8", "wrn16_2", "digits")
    for name, each in (("three peers", peers), ("teacher", taught)):
        ways = candidates(each, CPU, choose_execution(each, CPU))
        taken = times({name_of(way): steps_of(each, CPU, way) for way in ways}, rounds)
        rule = taken[name_of(ways[0])]
        yield from (row(f"{name}: {way}", own, rule) for way, own in taken.items())


ROWS: dict[str, Callable[[int], Iterator[Row]]] = {
    "logits": lambda rounds: measure_losses(False, rounds),
    "features": lambda rounds: measure_losses(True, rounds),
    "phases": measure_phases,
    "cached": measure_cached,
    "auto": measure_auto,
}


def main() -> None:
    """Measure and print."""
    parser = options(__doc__)
    parser.add_argument("rows", choices=ROWS)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    threads = arguments.threads or (torch.get_num_threads() if arguments.rows == "auto" else 1)
    torch.set_num_threads(threads)
    keep_freed_pages()
    rows = list(ROWS[arguments.rows](arguments.rounds))
    clock = "CPU milliseconds" if threads == 1 else "milliseconds"
    show(rows, f"{clock}, medians; {threads} threads, interleaved in one process", arguments.json)


if __name__ == "__main__":
    main()
