"""How fast a step is: `python -m tests.benchmarks.step [ROW ...] [--quick] [--threads N]`.

Each row has a setting and its candidates: the reference (the algorithm as the authors' code
runs it), the limit (the same networks, each alone, no transfer) and ours. They are interleaved
in one process, on equal weights and batches; milliseconds are medians, with `--threads 1` those
of the CPU (of this process: not of the reference's DataLoader workers). `speedup` is reference
over ours, `overhead` ours over limit, `peak` the share of ours in the rate of a matrix product
that is interleaved with them. GPUs are not measured here.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median

import torch

from ktgdsl.bench.flops import one_thread
from ktgdsl.training.costs import operations
from ktgdsl.training.data import load_splits
from ktgdsl.training.loop import epochs
from tests.benchmarks.candidates import (
    ENDLESS,
    Candidate,
    Setting,
    all_candidates,
    matmul,
    our_stepper,
    ours,
    use_default_allocator_settings,
    use_our_allocator_settings,
)
from tests.benchmarks.output import Row, options, show
from tests.benchmarks.reference import Reference, epoch, loader

STEPS = {
    "resnet32": Setting("resnet32", "cifar10"),
    "resnet32-bf16": Setting("resnet32", "cifar10", precision="bf16"),
    "digits": Setting("resnet8", "digits"),
    "digits-compiled": Setting("resnet8", "digits", compile="on"),
    "kd": Setting("resnet32", "cifar10", nodes=1, teacher="wrn28_2"),
    "kd-bf16": Setting("resnet32", "cifar10", nodes=1, teacher="wrn28_2", precision="bf16"),
}
MANY = 16
# Not `ru_maxrss`, which includes the parent's. Pages are locked, since some systems swap out those
# that are not used for a while.
PEAK = """\
import ctypes, sys
from tests.benchmarks import candidates, step
ctypes.CDLL(None).mlockall(7)
empty = step.resident()
candidate = getattr(candidates, sys.argv[1])(step.STEPS[sys.argv[2]])
candidate.before()
for _ in range(3):
    candidate.step()
print(step.resident() - empty)
"""


def resident() -> int:
    """The peak of this process's memory so far, in kB, on Linux."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (peak,) = (line for line in lines if line.startswith("VmHWM:"))
    return int(peak.split()[1])


def times(candidates: Sequence[Candidate], rounds: int, each: int = 2) -> dict[str, list[float]]:
    """Seconds of the steps of each, interleaved; each round, and the first one, begin untimed."""
    taken: dict[str, list[float]] = {candidate.name: [] for candidate in candidates}
    # Of one thread the CPU time is known, which does not see what else the machine does.
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    for turn in range(rounds + 1):
        for candidate in candidates:
            candidate.before()
            candidate.step()
            for _ in range(each if turn else 1):
                start = clock()
                candidate.step()
                if turn:
                    taken[candidate.name].append(clock() - start)
    return taken


def measure_step(name: str, rounds: int) -> Row:
    """The three candidates, and the share of the peak rate that ours reaches."""
    setting = STEPS[name]
    three = all_candidates(setting)
    product, product_operations = matmul()
    with one_thread():
        count = operations(ours(replace(setting, compile="off")).step)
    taken = times([*three, product], rounds)
    reference, limit, mine, peak = (median(taken[each.name]) for each in [*three, product])
    share = count / mine / (product_operations / peak)
    return _row(name, reference, limit, mine, len(taken["ours"])) | {"peak": round(share, 2)}


def measure_many(rounds: int) -> Row:
    """A node among sixteen that all teach each other, against a node alone: the "limit"."""
    alone = ours(Setting("resnet8", "digits", nodes=1))
    many = ours(Setting("resnet8", "digits", nodes=MANY))
    taken = times([Candidate("alone", alone.before, alone.step), many], rounds)
    one, all_nodes = median(taken["alone"]), median(taken["ours"])
    return _row("many", None, one, all_nodes / MANY, len(taken["ours"]))


def measure_epoch(rounds: int) -> Row:
    """An epoch of three networks on the digits, with its data and evaluation, all images seen."""
    setting = STEPS["digits"]
    plan = setting.plan
    splits = load_splits(plan.data, 0, torch.device("cpu"))
    train, test = (
        ((each.image.float() / each.white * 255).byte(), each.label)
        for each in (splits.train, splits.test)
    )
    reference = Reference(setting.networks(), setting.transfers, steps=ENDLESS)
    learned = loader(*train, setting.batch, learn=True, augment=False)
    evaluated = loader(*test, setting.batch, learn=False, augment=False)
    # Each of its epochs is trained when it is asked for.
    mine = epochs(our_stepper(setting), splits.for_training, seed=0)
    pair = [
        Candidate(
            "reference",
            use_default_allocator_settings,
            lambda: epoch(reference, learned, evaluated),
        ),
        Candidate("ours", use_our_allocator_settings, lambda: next(mine)),
    ]
    taken = times(pair, rounds, each=1)
    return _row("epoch", median(taken["reference"]), None, median(taken["ours"]), rounds)


def measure_memory(rounds: int) -> Row:
    """Megabytes that three steps of 3 x ResNet32 add to a process of their own."""
    names = ("reference", "limit", "ours")
    taken: dict[str, list[float]] = {name: [] for name in names}
    times = 1 + rounds // 5
    for _ in range(times):
        for name in names:
            command = [sys.executable, "-c", PEAK, name, "resnet32"]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            taken[name].append(int(output) / 1e6)  # a table of milliseconds: kB as if µs
    reference, limit, mine = (median(taken[name]) for name in names)
    return _row("memory (MB)", reference, limit, mine, times)


def _row(
    name: str, reference: float | None, limit: float | None, mine: float, n: int
) -> dict[str, str | int | float]:
    def rounded(value: float | None, digits: int = 2) -> str | float:
        return "-" if value is None else round(value, digits)

    return {
        "row": name,
        "reference": rounded(reference and 1000 * reference),
        "limit": rounded(limit and 1000 * limit),
        "ours": rounded(1000 * mine),
        "speedup": rounded(reference and reference / mine),
        "overhead": rounded(limit and mine / limit, 3),
        "n": n,
        "peak": "-",
    }


ROWS: dict[str, Callable[[int], Row]] = {
    **{name: partial(measure_step, name) for name in STEPS},
    "many": measure_many,
    "epoch": measure_epoch,
    "memory": measure_memory,
}


def main() -> None:
    """Measure and print."""
    parser = options(__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--quick", action="store_true", help="three rounds instead of fifteen")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    if unknown := set(arguments.rows) - set(ROWS):
        parser.error(f"there is no row {', '.join(sorted(unknown))}; rows are {', '.join(ROWS)}")
    torch.set_num_threads(arguments.threads)
    rounds = 3 if arguments.quick else 15
    # Without instructions for it, a step in bf16 takes nine times one in fp32.
    bf16 = torch.cpu._is_avx512_bf16_supported()
    names = arguments.rows or [name for name in ROWS if bf16 or not name.endswith("bf16")]
    rows = [ROWS[name](rounds) for name in names]
    clock = "CPU milliseconds" if arguments.threads == 1 else "milliseconds"
    how = f"{clock}, medians; {arguments.threads} threads, interleaved in one process"
    show(rows, how, arguments.json)


if __name__ == "__main__":
    main()
