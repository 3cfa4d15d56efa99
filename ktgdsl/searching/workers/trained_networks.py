"""Writes the trained networks of a complete trial in its worker; the coordinator may keep them."""

import shutil
from pathlib import Path

from ktgdsl.plan.model import Plan
from ktgdsl.searching.workers.protocol import Task, networks_path
from ktgdsl.searching.workers.trial_value import TrialData
from ktgdsl.training.checkpoint import Accuracies
from ktgdsl.training.loop import evaluate_and_measure
from ktgdsl.training.networks import save_networks
from ktgdsl.training.run_files import reporting_write_errors, write_file
from ktgdsl.training.run_folder import RunFolder, classes_content
from ktgdsl.training.run_result import run_result
from ktgdsl.training.step import Stepper


def write_networks(
    folder: Path, task: Task, plan: Plan, step: Stepper, data: TrialData, seconds: float
) -> None:
    """Write the networks and accuracies of a complete trial, atomically.

    The layout is that of a run folder, which `ktgdsl.searching.kept_trials` completes.

    Args:
        folder: of the pool.
        task: the trial.
        plan: of the trial, without open values.
        step: its stepper, with the trial's final weights.
        data: of the trial, with all splits.
        seconds: the training time of the trial.

    Raises RunError (E502) where a file cannot be written.
    """
    splits = data.splits
    assert splits is not None
    assert splits.validation is not None
    path = networks_path(folder, task.trial)
    unfinished = path.with_name(f"{path.name}.unfinished")
    with reporting_write_errors(path):
        for each in (path, unfinished):
            shutil.rmtree(each, ignore_errors=True)  # from an earlier attempt
        unfinished.mkdir()
    run = RunFolder(unfinished)
    nodes = {node.name for node in plan.graph.evaluated}
    test, measured = evaluate_and_measure(step, splits.test, nodes)
    validation, validation_measured = evaluate_and_measure(step, splits.validation, nodes)
    accuracies = Accuracies(
        test,
        validation,
        epochs=step.epochs,
        measured=measured,
        validation_measured=validation_measured,
    )
    save_networks(step.networks | step.mixers, splits.train.preprocessing, run, repeat=1)
    if splits.classes is not None:
        write_file(unfinished / "classes.json", classes_content(splits.classes))
    run.finish(run_result(plan, unfinished, (task.seed,), (accuracies,), seconds))
    with reporting_write_errors(path):
        unfinished.rename(path)
