"""Every file that is read back, cut short and with a flipped bit: `python -m tests.faults.damage`.

A line says of each file what became of `--places` damaged copies, half of them cut short and half
with one bit flipped, when the command that reads it was given them:

    refused CODE    it ends with that code
    noted           it says so, and does without the file or makes it anew
    made anew       it is not used, and what it held is computed again
    not read        the result is the same, since nothing of what was damaged is in it
    USED            the result is another one and nothing was said: a bug, as is any other exception
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

import ktgdsl
from ktgdsl.searching import search_run
from ktgdsl.searching.events import SearchStarted
from ktgdsl.searching.search import resume as resume_search
from ktgdsl.searching.workers.protocol import Task, state_path
from ktgdsl.searching.workers.trial_checkpoint import TrialCheckpoint
from ktgdsl.syntax import grammar
from ktgdsl.tables.model import read_table
from ktgdsl.tables.status import Rerun
from ktgdsl.training import autotune, epoch_steps
from ktgdsl.training.events import EpochDone, Event, PretrainDone, RunStarted, StepsDone
from ktgdsl.training.execution import choose_execution
from ktgdsl.training.pretrain_cache import load_entry
from ktgdsl.training.run import resume, run
from tests.faults.damaged import Reader, ToldError, as_before, outcomes
from tests.faults.damaged_commands import (
    readers_of_begun_searches,
    readers_of_joined_searches,
    readers_of_tables,
)
from tests.searching.test_search import Pretended
from tests.specs import sound
from tests.trained import CPU, train_plan

SMALL = 'python("tests.test_run_files:small")'
SPEC = f"""
graph g {{
    node a = {SMALL}
    node t = {SMALL} {{ frozen = true }}
    target a
    edge label, t -> a
}}
data digits {{ batch = 128  samples = 256 }}
train {{ epochs = 2  repeats = 2  checkpoint = 1 step }}
"""
SPACE = f"""
graph tiny {{
    node a, b = {SMALL}
    target a
    edge label -> * via through | linear | cutoff
    edge b -> a : kl(T=1 | 4) via correct | linear
}}
data digits {{ batch = 256  samples = 512 }}
train {{ epochs = 2 }}
search {{ trials = 6  keep = 1 }}
"""


def _tell(event: Any) -> None:
    if isinstance(event, RunStarted | SearchStarted) and event.notes:
        raise ToldError


def _accuracies(folder: Path) -> object:
    nodes = resume(folder, listener=_tell).nodes
    return {name: node.accuracy for name, node in nodes.items()}


def _evaluation(folder: Path) -> object:
    return str(ktgdsl.evaluate(folder))


def _searched(folder: Path) -> object:
    found = resume_search(folder, listener=_tell)
    trials = [(trial.number, trial.params, trial.values) for trial in found.study.trials]
    best = (folder / "best.ktg").read_bytes()
    return found.result.best.value, found.result.states, best, trials


def readers(root: Path, *, searches: bool = True) -> Iterator[Reader]:
    """All files that are read back, each with a command that reads it.

    `root` is empty, and $KTGDSL_CACHE a folder `cache` in it.
    """
    yield from _of_runs(root)
    yield from _of_caches(root)
    if searches:
        yield from _of_searches(root)
        yield from _of_kept_networks(root)
        yield from readers_of_tables(root)
        yield from readers_of_joined_searches(root)  # last: they need PostgreSQL


def _of_runs(root: Path) -> Iterator[Reader]:
    plan, begun, finished = ktgdsl.loads(SPEC), root / "begun", root / "finished"
    heard: list[Event] = []

    def cut(event: Event) -> None:
        heard.append(event)
        if sum(isinstance(each, EpochDone) for each in heard) == 5:  # two of the pre-training
            raise KeyboardInterrupt

    try:
        run(plan, out=begun, device="cpu", spec=SPEC, listener=cut)
    except KeyboardInterrupt:
        shutil.copytree(begun, finished)
    accuracies = _accuracies(finished)

    def within(event: Event) -> None:
        if isinstance(event, StepsDone) and event.epoch == 2:
            raise KeyboardInterrupt

    with suppress(KeyboardInterrupt), patch.object(epoch_steps, "REPORT_INTERVAL", 0.0):
        run(plan, out=root / "within", device="cpu", listener=within)
    evaluation = _evaluation(finished)
    code = "code/tests/test_run_files.py"
    shared = ("plan.json", "environment.json", "spec.ktg", code)
    for file in (*shared, "checkpoint.pt", "metrics.jsonl", "classes.json", "nodes/a.safetensors"):
        yield Reader(
            f"run, begun: {file}",
            begun,
            file,
            lambda folder: as_before(_accuracies(folder), accuracies),
        )
    for file in ("plan.json", "environment.json", "result.json"):
        yield Reader(
            f"run, finished: {file}",
            finished,
            file,
            lambda folder: as_before(_accuracies(folder), accuracies),
        )
    for file in ("plan.json", "environment.json", "result.json", "nodes/a.safetensors"):
        yield Reader(
            f"eval of a run: {file}",
            finished,
            file,
            lambda folder: as_before(_evaluation(folder), evaluation),
        )

    yield Reader(
        "run, begun within an epoch: checkpoint.pt",
        root / "within",
        "checkpoint.pt",
        lambda folder: as_before(_accuracies(folder), accuracies),
    )
    (finished / "table.toml").write_text('title = "t"\nrows = [{ label = "a", run = "." }]')

    def tabulated(folder: Path) -> str:
        table = read_table(folder)
        status = Rerun(table, folder, folder / "runs").status(table.rows[0])
        if status.error is not None:
            raise status.error
        assert status.result is not None
        found = {name: node.accuracy for name, node in status.result.nodes.items()}
        return as_before(found, accuracies)

    for file in ("plan.json", "result.json"):
        yield Reader(f"row of a table: {file}", finished, file, tabulated)

    def weights(folder: Path) -> str:
        spec = SPEC.replace("{ frozen = true }", '{ weights = "nodes/a.safetensors" }')
        (folder / "with_weights.ktg").write_text(spec)
        ktgdsl.stepper(ktgdsl.load(folder / "with_weights.ktg"), "cpu")
        return "USED"

    yield Reader("weights of a spec", finished, "nodes/a.safetensors", weights)


def _of_caches(root: Path) -> Iterator[Reader]:
    plan = ktgdsl.loads(SPEC)
    cache = Path(root / "cache/pretrained")
    entry = min(cache.glob("*.safetensors"))
    network = ktgdsl.stepper(plan, "cpu").networks["t"]

    def teacher(folder: Path) -> str:
        found: PretrainDone | None = load_entry(network, folder / entry.name, "t")
        return "made anew" if found is None else "USED"

    yield Reader("cache: weights of a teacher", cache, entry.name, teacher)
    long = ktgdsl.loads("""
        graph g { node a, b = resnet(depth=8, width=4) target a edge label -> * }
        data digits { batch = 32 }  train { epochs = 300 }
    """)
    measured: list[object] = []

    def measure(*arguments: Any, **_: Any) -> dict[str, float]:
        measured.append(arguments)
        return {
            autotune.name_of(each): 1.0 + number
            for number, each in enumerate(
                autotune.candidates(long, CPU, choose_execution(long, CPU))
            )
        }

    def execution(folder: Path) -> str:
        with (
            patch.object(autotune, "measure", measure),
            patch.dict("os.environ", KTGDSL_CACHE=str(folder)),
        ):
            measured.clear()
            autotune.autotuned_execution(long, CPU)
        return "made anew" if measured else "USED"

    folder = root / "timed"
    folder.mkdir()
    execution(folder)
    for file in folder.glob("executions/*.json"):
        yield Reader(
            "cache: ways of computing a step", folder, f"executions/{file.name}", execution
        )

    def parsed(folder: Path) -> str:
        table = folder / "table.pickle"
        before = table.read_bytes()
        grammar.build(str(table))
        return "made anew" if table.read_bytes() != before else "USED"

    tables = root / "tables"
    tables.mkdir()
    grammar.build(str(tables / "table.pickle"))
    yield Reader("cache: parse table", tables, "table.pickle", parsed)


def _of_searches(root: Path) -> Iterator[Reader]:
    begun, finished = root / "search", root / "searched"
    ended: list[object] = []

    def cut(event: Any) -> None:
        if type(event).__name__ == "TrialEnded":
            ended.append(event)
            if len(ended) == 3:
                raise KeyboardInterrupt

    with patch.object(search_run, "Pool", Pretended):
        try:
            ktgdsl.search(sound(SPACE), out=begun, workers=1, device="cpu", listener=cut)
        except KeyboardInterrupt:
            shutil.copytree(begun, finished)
        whole = _searched(finished)

    def search(folder: Path) -> str:
        with patch.object(search_run, "Pool", Pretended):
            return as_before(_searched(folder), whole)

    code = "code/tests/test_run_files.py"
    shared = ("plan.json", "environment.json", "space.ktg", code)
    for file in (*shared, "study.journal", "trials.csv", "best.ktg"):
        yield Reader(f"search, begun: {file}", begun, file, search)
    yield from readers_of_begun_searches(begun)
    for file in ("plan.json", "environment.json", "study.journal", "result.json"):
        yield Reader(f"search, finished: {file}", finished, file, search)
    plan = ktgdsl.loads(SPEC.replace("repeats = 2", "").replace("{ frozen = true }", ""))
    task = Task(0, plan.to_json(), 0, study_seed=0, objective="a")
    trial = root / "trial"
    trial.mkdir()
    checkpoint = TrialCheckpoint(trial, task, plan)
    train_plan(plan, on_steps=lambda _epoch, _step, state: checkpoint.save(state, []))

    def resumed(folder: Path) -> str:
        found, _ = TrialCheckpoint(folder, task, plan).load()
        return "made anew" if found is None else "USED"

    file = state_path(trial, 0).relative_to(trial).as_posix()
    assert resumed(trial) == "USED"  # it is whole
    yield Reader("search: checkpoint of a trial", trial, file, resumed)


def _of_kept_networks(root: Path) -> Iterator[Reader]:
    """The folder of a trial whose networks a real search has kept, evaluated."""
    searched = root / "keeps"
    space = sound(SPACE.replace("trials = 6", "trials = 2"))
    ktgdsl.search(space, out=searched, workers=1, device="cpu")
    (trial,) = (searched / "kept").iterdir()
    evaluation = _evaluation(trial)
    for file in ("plan.json", "environment.json", "result.json", "nodes/a.safetensors"):
        yield Reader(
            f"eval of kept networks: {file}",
            trial,
            file,
            lambda folder: as_before(_evaluation(folder), evaluation),
        )


def main() -> int:
    """Read the options, damage, and print the table; 1 where something was used."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--places", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="files with this in their names")
    options = parser.parse_args()
    torch.set_num_threads(1)
    used = 0
    with (
        tempfile.TemporaryDirectory() as name,
        patch.dict("os.environ", KTGDSL_CACHE=f"{name}/cache"),
    ):
        root = Path(name)
        for reader in readers(root):
            if options.only not in reader.name:
                continue
            found = outcomes(reader, options.places, options.seed, root)
            used += sum(n for what, n in found.items() if what.startswith("USED"))
            print(f"{reader.name:60} {dict(found.most_common())}", flush=True)
    return 1 if used else 0


if __name__ == "__main__":
    sys.exit(main())
