"""A training step by step, alone or as one of several processes: in float64, so that sums agree."""

import io
import json
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import torch.distributed as dist
from torch import Tensor

from ktgdsl.backend.output import Output
from ktgdsl.backend.process_group import process_group
from ktgdsl.plan.model import Plan, Steps
from ktgdsl.training import group_stop
from ktgdsl.training.assemble import assemble
from ktgdsl.training.batches import numbered_batches
from ktgdsl.training.data import load_training_data
from ktgdsl.training.events import EpochDone, Event
from ktgdsl.training.group import synchronize
from ktgdsl.training.loop import ResumePoint
from ktgdsl.training.metrics import EpochMeter
from ktgdsl.training.repeats import RunInterrupted
from ktgdsl.training.run import resume, run
from tests.trained import train_plan

CPU = torch.device("cpu")


def train(plan: Plan, steps: int) -> tuple[list[dict[str, float]], dict[str, list[float]]]:
    """The losses of each edge in the first steps, and the weights and buffers after them."""
    torch.set_default_dtype(torch.float64)
    try:
        step = assemble(plan, CPU, seed=0)
    finally:
        torch.set_default_dtype(torch.float32)
    data = load_training_data(plan.data, 0, CPU)
    batches = numbered_batches(
        data.train,
        plan.data.batch,
        0,
        1,
        labeled=plan.data.labeled_batch,
        views=step.views,
        group=process_group(),
    )
    losses = []
    for (image, label, sample, *views), _ in zip(batches, range(steps), strict=False):
        output = step(image.double(), label, sample, *(each.double() for each in views))
        losses.append({" -> ".join(key): loss.item() for key, loss in output.edges.items()})
    synchronize(step.changing, 1)
    states = {name: module.state_dict() for name, module in step.networks.items()}
    return losses, {
        f"{name}.{key}": value.flatten().tolist()
        for name, state in states.items()
        for key, value in state.items()
    }


def process(rank: int, count: int, folder: Path, plans: Sequence[str], steps: int) -> None:
    """Train the plans as one of `count` processes that meet in a folder; write what comes out."""
    with _group(rank, count, folder):
        found = [train(Plan.from_json(plan), steps) for plan in plans]
    (folder / f"{rank}.json").write_text(json.dumps(found))


@contextmanager
def _group(rank: int, count: int, folder: Path) -> Iterator[None]:
    os.environ.update(RANK=str(rank), WORLD_SIZE=str(count))
    torch.set_num_threads(1)
    meeting = f"file://{folder / 'group'}"
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=count)
    yield
    dist.destroy_process_group()


def interrupted_as(rank: int, count: int, folder: Path, plan: str, out: Path) -> None:
    """Run a plan as one of `count` processes, and be interrupted after the first epoch."""

    def interrupt(event: Event) -> None:
        if isinstance(event, EpochDone) and event.phase is None and "s" in event.metrics.loss:
            raise KeyboardInterrupt

    with _group(rank, count, folder), suppress(RunInterrupted):
        run(Plan.from_json(plan), out=out, listener=interrupt)


def resumed_inside_an_epoch(rank: int, count: int, folder: Path, plan: str) -> None:
    """Train as one of `count` processes, and again from a step on: to the same bits."""
    parsed = Plan.from_json(plan)
    states: list[bytes] = []

    def keep(epoch: int, step: int, state: Mapping[str, Any]) -> None:
        buffer = io.BytesIO()
        torch.save(dict(state), buffer)
        states.append(buffer.getvalue())

    checkpointed = parsed.train.model_copy(update={"checkpoint": Steps(steps=2)})
    with _group(rank, count, folder):
        whole = train_plan(parsed.model_copy(update={"train": checkpointed}), on_steps=keep)
        leaders = [states]
        dist.broadcast_object_list(leaders)  # which alone writes a file
        state = torch.load(io.BytesIO(leaders[0][1]), weights_only=True)
        resumed = train_plan(parsed, resume=ResumePoint(1, state))
    assert resumed.accuracy == whole.accuracy
    pairs = [step.networks["a"].state_dict() for step in (resumed.stepper, whole.stepper)]
    assert all(torch.equal(value, pairs[1][name]) for name, value in pairs[0].items())


def run_as(rank: int, count: int, folder: Path, plan: str, out: Path) -> None:
    """Run a plan as one of `count` processes."""
    with _group(rank, count, folder):
        run(Plan.from_json(plan), out=out)


def resume_as(rank: int, count: int, folder: Path, out: Path) -> None:
    """Resume a run as one of `count` processes."""
    with _group(rank, count, folder):
        resume(out)


def stopped(rank: int, count: int, folder: Path, plan: str, out: Path) -> None:
    """Run a plan as one of `count` processes; SIGTERM reaches the last alone, in step 4."""
    with _group(rank, count, folder):
        _run_until_sigterm(rank, count, folder, plan, out)


def stopped_and_resumed(rank: int, count: int, folder: Path, plan: str) -> None:
    """Run a plan as one of `count` processes, of which SIGTERM reaches the last, in step 4.

    Then go on with it, and run it whole.
    """
    with _group(rank, count, folder):
        _run_until_sigterm(rank, count, folder, plan, folder / "stopped")
        resume(folder / "stopped")
        run(Plan.from_json(plan), out=folder / "whole")


def _run_until_sigterm(rank: int, count: int, folder: Path, plan: str, out: Path) -> None:
    """Run a plan in a group; write where it was interrupted to a file of this process."""

    def terminate(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, terminate)
    group_stop.LOOK_INTERVAL = 0.0
    update = EpochMeter.update

    def updated(meter: EpochMeter, output: Output, label: Tensor, k: int) -> None:
        update(meter, output, label, k)
        if k == 4 and rank == count - 1:
            os.kill(os.getpid(), signal.SIGTERM)

    with patch.object(EpochMeter, "update", updated):
        try:
            run(Plan.from_json(plan), out=out)
        except RunInterrupted as interrupt:
            (folder / f"{rank}.txt").write_text(f"{interrupt.epoch} {interrupt.step}")
