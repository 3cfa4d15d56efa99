"""`run` and `resume`: train a plan once per seed, with all files in a folder."""

from contextlib import nullcontext
from pathlib import Path

import torch

from ktgdsl.backend.process_group import process_group
from ktgdsl.backend.spec_or_space import require_spec
from ktgdsl.errors import KtgError
from ktgdsl.plan.model import Plan
from ktgdsl.plan.require import require_plan
from ktgdsl.training.autotune import autotuned_execution, execution_to_resume
from ktgdsl.training.checkpoint import (
    Checkpoint,
    load_checkpoint,
    require_progress,
)
from ktgdsl.training.deterministic import deterministically
from ktgdsl.training.device import choose_device
from ktgdsl.training.environment import describe_environment, threads_of
from ktgdsl.training.events import (
    Listener,
    RunDiscarded,
    RunFinished,
    ignore,
)
from ktgdsl.training.group import (
    computed_on_main,
    initialized_group,
    require_equal_parts,
    require_same_process_count,
    torchrun_rank,
)
from ktgdsl.training.identity import identify
from ktgdsl.training.metrics_file import truncate_metrics
from ktgdsl.training.networks import warn_of_lost_networks
from ktgdsl.training.new_folder import create_run_folder
from ktgdsl.training.repeats import Run, seeds
from ktgdsl.training.result import RunResult
from ktgdsl.training.resume_checks import (
    changes_to_resume,
    resume_entries,
)
from ktgdsl.training.resume_notes import notes_on_resume
from ktgdsl.training.run_files import FolderPath, named_folder
from ktgdsl.training.run_folder import RunFolder, open_run_folder, require_result_of


def run(
    plan: Plan,
    *,
    out: str | Path | None = None,
    device: str | torch.device | None = None,
    listener: Listener = ignore,
    spec: str | None = None,
    deterministic: bool = False,
) -> RunResult:
    """Train a plan, once for each of its seeds, and write all results to a folder.

    Args:
        plan: what to train.
        out: the folder, new or empty; by default `runs/NAME`, or `runs/NAME-2` and so on.
        device: such as "cpu" or "cuda:1"; by default the GPU if there is one.
        listener: is called with the events of `ktgdsl.training.events`, between two steps;
            `log_to` makes one that logs them.
        spec: the text of the plan's spec, which is saved in the folder.
        deterministic: whether to use only deterministic algorithms: bitwise reproducible also
            on a GPU, but slower (`ktgdsl.training.deterministic`).

    Returns:
        The accuracies of all nodes, in percent: mean and deviation over the seeds, and each.

    Raises:
        TypeError: when `plan` is not a plan.
        RunError: when the folder cannot be used (E502), a loss is not finite (E503), the
            device does not exist or has too little memory (E504), a network cannot be made or
            does not fit the data (E505), weights do not fit (E406), the data are missing or
            damaged (E508), the plan is a space (E506).
            Finished epochs stay in the folder.
        RunInterrupted: on Ctrl-C.
    """
    require_plan(plan, "run")
    require_spec(plan)
    plan, identity = identify(plan)
    place = None if out is None else named_folder(out)
    with initialized_group(choose_device(device)) as chosen, deterministically(deterministic):
        require_equal_parts(plan, chosen)
        execution = autotuned_execution(plan, chosen)
        environment = describe_environment(chosen, seeds(plan), execution)
        folder = computed_on_main(
            lambda: create_run_folder(plan, place, spec, environment, identity)
        )
        if not process_group().is_main:
            return Run(plan, folder, chosen, execution, ignore, _start(plan)).train()
        with folder.locked():
            try:
                return Run(plan, folder, chosen, execution, listener, _start(plan)).train()
            except KtgError:
                if folder.discard_unused():
                    listener(RunDiscarded(folder.path))
                raise


def resume(
    folder: FolderPath,
    *,
    device: str | torch.device | None = None,
    listener: Listener = ignore,
    allow_changed_code: bool = False,
) -> RunResult:
    """Resume an interrupted run; on a CPU the result is bitwise that of an uninterrupted run.

    Uses the number of threads of the run, and deterministic algorithms if the run was started
    with them. A finished run is not changed, and its result is returned.

    Args:
        folder: of the run.
        device: such as "cpu" or "cuda:1"; by default that of the run.
        listener: as in `run`.
        allow_changed_code: whether to resume although the user's own code has changed.

    Returns:
        As `run` does.

    Raises:
        RunError: as `run` does, and (E502) when the folder is not that of a run, or a file
            in it is damaged or foreign, or the user's own code has changed.
        RunInterrupted: on Ctrl-C.
    """
    run_folder = open_run_folder(named_folder(folder))
    leads = torchrun_rank() == 0
    listener = listener if leads else ignore
    with run_folder.locked() if leads else nullcontext():
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
        warn_of_lost_networks(folder, plan)
        listener(RunFinished(plan, result, already=True))
        return result
    environment = folder.environment_to_resume()
    changes = changes_to_resume(folder, plan, environment, "run", allow_changed_code)
    checkpoint = _start(plan)
    if folder.checkpoint.exists():
        checkpoint = load_checkpoint(folder.checkpoint, plan.digest)
        require_progress(checkpoint, plan, folder.checkpoint)
    named = choose_device(device if device is not None else environment.get("device"))
    with (
        initialized_group(named) as chosen,
        threads_of(environment),
        deterministically(environment.get("deterministic") is True),
    ):
        require_equal_parts(plan, chosen)
        require_same_process_count(plan, environment.get("processes", 1))
        execution = execution_to_resume(plan, chosen, environment)
        if not process_group().is_main:
            return Run(plan, folder, chosen, execution, ignore, checkpoint).train()
        now = describe_environment(chosen, seeds(plan), execution) | changes
        environment = {**environment, "resumed": [*resume_entries(environment), now]}
        folder.write_environment(environment)
        notes = notes_on_resume(folder, plan, environment, checkpoint)
        truncate_metrics(folder.metrics, checkpoint.repeat, checkpoint.epoch, checkpoint.metrics)
        return Run(plan, folder, chosen, execution, listener, checkpoint, notes).train()


def _start(plan: Plan) -> Checkpoint:
    """The checkpoint of a run before its first epoch."""
    return Checkpoint(plan.digest, repeat=1, epoch=0, seconds=0.0, finished=(), state=None)
