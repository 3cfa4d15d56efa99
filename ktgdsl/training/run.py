"""Runs of a plan: one training for each seed, kept in a folder, and resuming one."""

import shlex
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ktgdsl.backend.own_code import own_code
from ktgdsl.backend.spec_or_space import require_spec
from ktgdsl.errors import KtgError
from ktgdsl.plan.model import Plan
from ktgdsl.plan.require import require_plan
from ktgdsl.program.from_plan import program_of
from ktgdsl.training.checkpoint import (
    Accuracies,
    Checkpoint,
    load_checkpoint,
    require_progress,
    save_checkpoint,
)
from ktgdsl.training.data import load_splits
from ktgdsl.training.datasets.loaders import loaders_reported
from ktgdsl.training.datasets.preprocessing import Preprocessing
from ktgdsl.training.deterministic import deterministically
from ktgdsl.training.device import choose_device
from ktgdsl.training.environment import describe_environment, threads_of
from ktgdsl.training.events import (
    EpochDone,
    Event,
    Listener,
    PretrainDone,
    RepeatStarted,
    RunDiscarded,
    RunFinished,
    RunStarted,
    ignore,
)
from ktgdsl.training.execution import Execution, resolved_settings
from ktgdsl.training.identity import identify
from ktgdsl.training.loop import ResumePoint, train
from ktgdsl.training.memory_errors import reporting_out_of_memory
from ktgdsl.training.networks import save_network
from ktgdsl.training.new_folder import create_run_folder
from ktgdsl.training.prepare import stepper
from ktgdsl.training.pretrain import Pretraining
from ktgdsl.training.result import NodeResult, Pretrained, RunResult, Score
from ktgdsl.training.resume_notes import notes_on_resume
from ktgdsl.training.run_files import named_folder, reporting_write_errors
from ktgdsl.training.run_folder import RunFolder, metric_lines, open_run_folder, require_result_of
from ktgdsl.training.step import Stepper
from ktgdsl.training.stopping import early_stops
from ktgdsl.training.tried_execution import execution_to_resume, tried_execution
from ktgdsl.training.unchanged import (
    changes_to_resume,
    last_noted,
    note_imported_code,
    resumptions,
)


class RunInterrupted(KeyboardInterrupt):
    """Ctrl-C during a run. Its text says what is kept, where, and how to resume.

    `epoch` epochs of repeat `repeat` are kept in `folder`.
    """

    def __init__(self, folder: Path, plan: Plan, done: Checkpoint) -> None:
        self.folder, self.repeat, self.epoch = folder, done.repeat, done.epoch
        kept = sum(sum(each.epochs) or plan.epochs for each in done.finished) + done.epoch
        most = "at most " if plan.may_stop else ""
        epochs = plan.train.repeats * plan.epochs
        super().__init__(
            f"interrupted; {kept} of {most}{epochs} epochs are kept in {folder}, "
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
    """Train a plan, once for each of its seeds, and keep everything in a folder.

    Args:
        plan: what to train.
        out: the folder, new or empty; by default `runs/NAME`, or `runs/NAME-2` and so on.
        device: such as "cpu" or "cuda:1"; by default the GPU if there is one.
        listener: is called with the events of `ktgdsl.training.events`, between two steps.
        spec: the text that the plan was made from, to be kept with it.
        deterministic: whether to use deterministic algorithms alone, which give the same
            bits each time on a GPU too, and are slower (`ktgdsl.training.deterministic`).

    Returns:
        The accuracies of all nodes, in percent: mean and deviation over the seeds, and each.

    Raises:
        TypeError: when `plan` is not a plan.
        RunError: when the folder cannot be used (E502), a loss is not finite (E503), the
            device does not exist or has too little memory (E504), a network cannot be made or
            does not fit the data (E505), weights do not fit (E406), the data are missing or
            damaged (E508), the plan is a space (E506).
            The folder stays, with what is done.
        RunInterrupted: on Ctrl-C.
    """
    require_plan(plan, "run")
    require_spec(plan)
    plan, identity = identify(plan)
    chosen = choose_device(device)
    with deterministically(deterministic):
        execution = tried_execution(plan, chosen)
        environment = describe_environment(chosen, seeds(plan), execution)
    place = None if out is None else named_folder(out)
    folder = create_run_folder(plan, place, spec, environment, identity)
    with folder.locked():
        try:
            with deterministically(deterministic):
                return Run(plan, folder, chosen, execution, listener, _start(plan)).train()
        except KtgError:
            if folder.discard_unused():
                listener(RunDiscarded(folder.path))
            raise


def resume(
    folder: str | Path,
    *,
    device: str | torch.device | None = None,
    listener: Listener = ignore,
    allow_changed_code: bool = False,
) -> RunResult:
    """Resume an interrupted run, to the same bits as if it had not been interrupted (on a CPU).

    With as many threads as before, and deterministic algorithms if the run was started with
    them. A finished run is left as it is and its result returned.

    Args:
        folder: of the run.
        device: such as "cpu" or "cuda:1"; by default that of the run.
        listener: as of `run`.
        allow_changed_code: whether to go on although the user's own code is not what it was.

    Returns:
        As `run` does.

    Raises:
        RunError: as `run` does, and (E502) when the folder is not that of a run, or a file
            in it is damaged or foreign, or the user's own code has changed.
        RunInterrupted: on Ctrl-C.
    """
    run_folder = open_run_folder(named_folder(folder))
    with run_folder.locked():
        return _resume(run_folder, device, listener, allow_changed_code)


def _resume(
    folder: RunFolder,
    device: str | torch.device | None,
    listener: Listener,
    allow_changed_code: bool,
) -> RunResult:
    plan = folder.plan()
    if (result := folder.result()) is not None:
        require_result_of(plan, result)
        listener(RunFinished(plan, result, already=True))
        return result
    environment = folder.environment_to_resume()
    changes = changes_to_resume(folder, plan, environment, "run", allow_changed_code)
    checkpoint = _start(plan)
    if folder.checkpoint.exists():
        checkpoint = load_checkpoint(folder.checkpoint, plan.digest)
        require_progress(checkpoint, plan, folder.checkpoint)
    chosen = choose_device(device if device is not None else environment.get("device"))
    with threads_of(environment), deterministically(environment.get("deterministic") is True):
        notes = notes_on_resume(folder, environment, checkpoint)
        execution = execution_to_resume(plan, chosen, environment)
        now = describe_environment(chosen, seeds(plan), execution) | changes
        folder.write_environment({**environment, "resumed": [*resumptions(environment), now]})
        folder.truncate_metrics(checkpoint.repeat, checkpoint.epoch, checkpoint.metrics)
        return Run(plan, folder, chosen, execution, listener, checkpoint, notes).train()


def _start(plan: Plan) -> Checkpoint:
    """The checkpoint of a run that has not begun."""
    return Checkpoint(plan.digest, repeat=1, epoch=0, seconds=0.0, finished=(), state=None)


def seeds(plan: Plan) -> tuple[int, ...]:
    """The seeds of the repeats: the plan's, and the numbers after it."""
    return tuple(plan.train.seed + i for i in range(plan.train.repeats))


class Run:
    """A run in progress. `checkpoint` is what is on the disk, but for the stepper's state."""

    def __init__(
        self,
        plan: Plan,
        folder: RunFolder,
        device: torch.device,
        execution: Execution,
        listener: Listener,
        checkpoint: Checkpoint,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.plan, self.folder, self.device, self.listener = plan, folder, device, listener
        self.execution, self.checkpoint, self.notes = execution, checkpoint, notes
        self._started = time.monotonic() - checkpoint.seconds
        self._pretrained: dict[str, dict[str, Any]] = {}  # of the repeat that is trained
        self._opening: list[Event] = []  # not told yet

    def train(self) -> RunResult:
        """Train what is not done yet, and write the result."""
        start, plan, folder = self.checkpoint, self.plan, self.folder
        try:
            chosen = resolved_settings(plan, self.execution)
            device = str(self.device)
            at = start.repeat, start.epoch
            self._opening = [RunStarted(plan, folder.path, device, *at, chosen, self.notes)]
            with loaders_reported(), reporting_out_of_memory(self.device):
                for repeat in range(start.repeat, plan.train.repeats + 1):
                    self._train_repeat(repeat)
            self._open()  # where only the result was missing
            result = self._result()
            folder.finish(result)
        except KeyboardInterrupt:
            raise RunInterrupted(folder.path, plan, self.checkpoint) from None
        self.listener(RunFinished(plan, result))
        return result

    def _train_repeat(self, repeat: int) -> None:
        seed, start = seeds(self.plan)[repeat - 1], self.checkpoint
        resume = None if start.state is None else ResumePoint(start.epoch, start.state)
        self._pretrained = {} if resume is None else {k: {**v} for k, v in start.pretrained.items()}
        self._opening.append(RepeatStarted(repeat, seed, start.epoch))
        splits = load_splits(self.plan.data, seed, self.device)
        known = Pretraining(seed, data=last_noted(self.folder.environment(), "data"))
        step = stepper(
            self.plan,
            self.device,
            seed=seed,
            pretraining=known,
            execution=self.execution,
            listener=self._note_pretraining,
        )
        self._open()
        note_imported_code(self.folder, own_code(self.plan))
        accuracies = train(
            step,
            splits,
            seed=seed,
            resume=resume,
            listener=self.listener,
            on_epoch=lambda done: self._save_epoch(done, step),
        )
        self._save_networks(repeat, step, splits.train.preprocessing)
        if splits.classes is not None:
            self.folder.write_classes(splits.classes)
        done = replace(accuracies, pretrained=self._pretrained)
        self._save_checkpoint(repeat + 1, 0, None, (*self.checkpoint.finished, done))

    def _open(self) -> None:
        """Tell that the run, or a repeat of it, has begun: not before its networks were tried."""
        for event in self._opening:
            self.listener(event)
        self._opening = []

    def _note_pretraining(self, event: Event) -> None:
        self._open()
        if isinstance(event, PretrainDone):
            facts = {name: getattr(event, name) for name in Pretrained.model_fields}
            # After a resume the weights are in the cache in any case.
            self._pretrained.setdefault(event.node, facts)
        self.listener(event)

    def _save_epoch(self, done: EpochDone, step: Stepper) -> None:
        """Metrics first: they may be ahead of the checkpoint, never behind it."""
        repeat, finished = self.checkpoint.repeat, self.checkpoint.finished
        self.folder.append_metrics(metric_lines(self.plan, repeat, done))
        if done.last or done.epoch % self.plan.train.checkpoint == 0:
            self._save_checkpoint(repeat, done.epoch, step.state_dict(), finished)

    def _save_checkpoint(
        self,
        repeat: int,
        epoch: int,
        state: dict[str, Any] | None,
        finished: tuple[Accuracies, ...],
    ) -> None:
        seconds = time.monotonic() - self._started
        checkpoint = Checkpoint(
            self.plan.digest,
            repeat,
            epoch,
            seconds,
            finished,
            state,
            self._pretrained,
            self.folder.metrics_digest(),
        )
        save_checkpoint(checkpoint, self.folder.checkpoint)
        # The state is on the disk; holding it would keep a second optimiser in memory.
        self.checkpoint = replace(checkpoint, state=None)

    def _save_networks(self, repeat: int, step: Stepper, preprocessing: Preprocessing) -> None:
        for name, module in (step.networks | step.mixers).items():
            path = self.folder.weights(name, repeat)
            with reporting_write_errors(path):
                for part in reversed(path.relative_to(self.folder.path).parents[:-1]):
                    (self.folder.path / part).mkdir(exist_ok=True)  # not a folder that is gone
                save_network(module, preprocessing, path)

    def _result(self) -> RunResult:
        graph = self.plan.graph
        names = dict.fromkeys([*graph.targets, *(node.name for node in graph.evaluated)])
        finished, phases = self.checkpoint.finished, program_of(self.plan).phases
        return RunResult(
            folder=self.folder.path,
            target=self.plan.graph.targets[0],
            nodes={name: _node_result(name, finished) for name in names},
            digest=self.plan.digest,
            seeds=seeds(self.plan),
            epochs=max(sum(each.epochs) or self.plan.epochs for each in finished),
            seconds=round(self.checkpoint.seconds, 3),
            stopped=tuple(
                stop
                for seed, each in zip(seeds(self.plan), finished, strict=True)
                for stop in early_stops(phases, seed, each.epochs)
            ),
        )


def _node_result(name: str, finished: tuple[Accuracies, ...]) -> NodeResult:
    validation = [each.validation[name] for each in finished if each.validation is not None]
    pretrained = [each.pretrained[name] for each in finished if name in each.pretrained]
    return NodeResult(
        accuracy=Score.of([each.test[name] for each in finished]),
        validation_accuracy=Score.of(validation) if validation else None,
        pretrained=tuple(map(Pretrained.model_validate, pretrained)) or None,
    )
