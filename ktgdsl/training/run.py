"""A run: plan in, folder of trained networks and numbers out, and going on after a cut."""

import shlex
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ktgdsl.backend.supported import require_supported
from ktgdsl.errors import KtgError
from ktgdsl.given import require_plan
from ktgdsl.plan.model import Plan
from ktgdsl.training.checkpoint import (
    Accuracies,
    Checkpoint,
    load_checkpoint,
    save_checkpoint,
    writing,
)
from ktgdsl.training.data import Look, load_splits
from ktgdsl.training.datasets.read import complete
from ktgdsl.training.deterministic import deterministically
from ktgdsl.training.device import choose_device
from ktgdsl.training.environment import describe_environment, threads_of
from ktgdsl.training.events import (
    EpochDone,
    Listener,
    RepeatStarted,
    RunFinished,
    RunStarted,
    ignore,
)
from ktgdsl.training.execution import choose_execution, resolved_settings
from ktgdsl.training.folder import RunFolder, create, find, metric_lines
from ktgdsl.training.loop import ResumePoint, train
from ktgdsl.training.networks import save_network
from ktgdsl.training.prepare import stepper
from ktgdsl.training.result import NodeResult, RunResult, Score
from ktgdsl.training.room import room_on
from ktgdsl.training.step import Stepper


class RunInterrupted(KeyboardInterrupt):
    """Ctrl-C during a run. Its text says what is kept, where, and how to go on.

    `epoch` epochs of repeat `repeat` are kept in `folder`.
    """

    def __init__(self, folder: Path, plan: Plan, repeat: int, epoch: int) -> None:
        self.folder, self.repeat, self.epoch = folder, repeat, epoch
        done = (repeat - 1) * plan.train.epochs + epoch
        epochs = plan.train.repeats * plan.train.epochs
        super().__init__(
            f"interrupted; {done} of {epochs} epochs are kept in {folder}, "
            f"go on with: ktgc run --resume {shlex.quote(str(folder))}"
        )


def run(
    plan: Plan,
    *,
    out: str | Path | None = None,
    device: str | torch.device | None = None,
    listener: Listener = ignore,
    spec: str | None = None,
    deterministic: bool = False,
) -> RunResult:
    """Trains a plan, once for each of its seeds, and keeps everything in a folder.

    Args:
        plan: what to train.
        out: the folder, new or empty; by default `runs/NAME`, or `runs/NAME-2` and so on.
        device: such as "cpu" or "cuda:1"; by default the GPU if there is one.
        listener: is told how it goes (`ktgdsl.training.events`).
        spec: the text that the plan was made from, to be kept with it.
        deterministic: whether to compute by deterministic algorithms alone, which give the same
            bits each time on a GPU too, and more slowly (`ktgdsl.training.deterministic`).

    Raises:
        RunError: when the folder cannot be used (E502), a loss is not finite (E503), the
            device does not exist (E504), weights do not fit (E406), the data are missing or
            damaged (E508), the plan is a space (E506) or has what is not supported yet (E901).
            What was kept stays.
        RunInterrupted: on Ctrl-C.
    """
    require_plan(plan, "run")
    require_supported(plan)
    plan = complete(plan)
    chosen = choose_device(device)
    with deterministically(deterministic):
        environment = describe_environment(plan, chosen, seeds(plan))
    folder = create(plan, None if out is None else Path(out), spec, environment)
    start = Checkpoint(plan.digest, repeat=1, epoch=0, seconds=0.0, finished=(), state=None)
    with folder.held():
        try:
            with deterministically(deterministic):
                return _Run(plan, folder, chosen, listener, start).to_the_end()
        except KtgError:
            folder.discard_unused()
            raise


def resume(
    folder: str | Path,
    *,
    device: str | torch.device | None = None,
    listener: Listener = ignore,
) -> RunResult:
    """Goes on with a run that was cut off, to the same bits as if it had not been (on a CPU).

    The device is that of the run unless `device` is given; the number of threads, and whether all
    is deterministic, are in any case. A finished run is left as it is and its result returned.

    Raises:
        RunError: as `run` does, and (E502) when the folder is not that of a run, or a file
            in it is damaged or foreign.
        RunInterrupted: on Ctrl-C.
    """
    here = find(Path(folder))
    with here.held():
        return _go_on(here, device, listener)


def _go_on(here: RunFolder, device: str | torch.device | None, listener: Listener) -> RunResult:
    plan = here.plan()
    if (result := here.result()) is not None:
        listener(RunFinished(plan, result, already=True))
        return result
    at = Checkpoint(plan.digest, repeat=1, epoch=0, seconds=0.0, finished=(), state=None)
    if here.checkpoint.exists():
        at = load_checkpoint(here.checkpoint, plan.digest)
    environment = here.environment()
    chosen = choose_device(device if device is not None else environment.get("device"))
    with threads_of(environment), deterministically(environment.get("deterministic") is True):
        now = describe_environment(plan, chosen, seeds(plan))
        if not environment:
            environment = now
        else:
            earlier = environment.get("resumed")
            environment["resumed"] = [*(earlier if isinstance(earlier, list) else []), now]
        here.write_environment(environment)
        here.cut_metrics(at.repeat, at.epoch)
        return _Run(plan, here, chosen, listener, at).to_the_end()


def seeds(plan: Plan) -> tuple[int, ...]:
    """The seeds of the repeats: the plan's, and the numbers after it."""
    return tuple(plan.train.seed + i for i in range(plan.train.repeats))


class _Run:
    """A run under way. `at` is what has been kept of it, and only grows."""

    def __init__(
        self,
        plan: Plan,
        folder: RunFolder,
        device: torch.device,
        listener: Listener,
        at: Checkpoint,
    ) -> None:
        self.plan, self.folder, self.device, self.listener = plan, folder, device, listener
        self.at = at
        self._began = time.monotonic() - at.seconds

    def to_the_end(self) -> RunResult:
        """Trains what is left."""
        at, plan, folder = self.at, self.plan, self.folder
        try:
            chosen = resolved_settings(plan, choose_execution(plan, self.device))
            device = str(self.device)
            self.listener(RunStarted(plan, folder.path, device, at.repeat, at.epoch, chosen))
            with room_on(self.device):
                for repeat in range(at.repeat, plan.train.repeats + 1):
                    self._repeat(repeat)
            result = self._result()
            folder.finish(result)
        except KeyboardInterrupt:
            raise RunInterrupted(folder.path, plan, self.at.repeat, self.at.epoch) from None
        self.listener(RunFinished(plan, result))
        return result

    def _repeat(self, repeat: int) -> None:
        seed = seeds(self.plan)[repeat - 1]
        resume = None
        if self.at.state is not None:
            resume = ResumePoint(self.at.epoch, self.at.state)
        self.listener(RepeatStarted(repeat, seed, self.at.epoch))
        splits = load_splits(self.plan.data, seed, self.device)
        step = stepper(self.plan, self.device, seed=seed, listener=self.listener)
        accuracies = train(
            step,
            splits,
            seed=seed,
            resume=resume,
            listener=self.listener,
            on_epoch=lambda done: self._keep(done, step),
        )
        self._save_networks(repeat, step, splits.train.look)
        self._reach(repeat + 1, 0, None, (*self.at.finished, accuracies))

    def _keep(self, done: EpochDone, step: Stepper) -> None:
        """Metrics first: a checkpoint may lack behind them, never be ahead."""
        self.folder.add_metrics(metric_lines(self.plan, self.at.repeat, done))
        last = done.epoch == self.plan.train.epochs
        if last or done.epoch % self.plan.train.checkpoint == 0:
            self._reach(self.at.repeat, done.epoch, step.state_dict(), self.at.finished)

    def _reach(
        self,
        repeat: int,
        epoch: int,
        state: dict[str, Any] | None,
        finished: tuple[Accuracies, ...],
    ) -> None:
        seconds = time.monotonic() - self._began
        at = Checkpoint(self.plan.digest, repeat, epoch, seconds, finished, state)
        save_checkpoint(at, self.folder.checkpoint)
        # The state is on the disk; holding it would keep a second optimiser in memory.
        self.at = replace(at, state=None)

    def _save_networks(self, repeat: int, step: Stepper, look: Look) -> None:
        for node in self.plan.graph.nodes:
            path = self.folder.weights(node.name, repeat)
            with writing(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                save_network(step.graph.networks[node.name], look, path)

    def _result(self) -> RunResult:
        graph = self.plan.graph
        names = dict.fromkeys([*graph.targets, *(node.name for node in graph.nodes)])
        finished = self.at.finished
        return RunResult(
            folder=self.folder.path,
            target=self.plan.graph.targets[0],
            nodes={name: _node_result(name, finished) for name in names},
            digest=self.plan.digest,
            seeds=seeds(self.plan),
            epochs=self.plan.train.epochs,
            seconds=round(self.at.seconds, 3),
        )


def _node_result(name: str, finished: tuple[Accuracies, ...]) -> NodeResult:
    held = [each.validation[name] for each in finished if each.validation is not None]
    return NodeResult(
        accuracy=Score.of([each.test[name] for each in finished]),
        validation_accuracy=Score.of(held) if held else None,
    )
