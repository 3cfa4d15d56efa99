"""Keeps the trained networks of the best trials, each in a run folder of its own."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from optuna.trial import FrozenTrial, TrialState

from ktgdsl.files import sha256
from ktgdsl.plan.model import Plan
from ktgdsl.searching.folder import SearchFolder
from ktgdsl.searching.study.study import SEED, attribute
from ktgdsl.searching.study.trial_plans import trial_plan
from ktgdsl.searching.workers.protocol import networks_path
from ktgdsl.space.unparse_plan import unparse_plan
from ktgdsl.training.run_files import reporting_write_errors, write_file
from ktgdsl.training.run_folder import CLASSES, PLAN, SPACE, SPEC, RunFolder

_SEARCH_FIELDS = (
    *(SPACE, "devices", "workers", "engine", "gpus_per_worker", "sampler", "pruner", "judged_on"),
)
"""The fields of `environment.json` that only a search has."""


def keep_networks(
    plan: Plan, folder: SearchFolder, trials: Sequence[FrozenTrial], best: Sequence[FrozenTrial]
) -> None:
    """Keep the networks of the best trials that workers have written, and delete all others.

    Each trial's folder is renamed into place when it is complete, so this can be called again after
    a kill. Raises RunError (E502) where a file cannot be written.

    Args:
        plan: the space.
        folder: of the search.
        trials: all trials; the files of running ones are not touched.
        best: the trials to keep; those that are not complete have no networks.
    """
    best = [trial for trial in best if trial.state == TrialState.COMPLETE]
    for trial in best:
        written, kept = networks_path(folder.workers, trial.number), folder.kept_trial(trial.number)
        if written.is_dir() and not kept.exists():
            with reporting_write_errors(kept):
                kept.parent.mkdir(exist_ok=True)
            _complete_run_folder(plan, folder, trial, written)
            with reporting_write_errors(kept):
                written.rename(kept)
    wanted = {folder.kept_trial(trial.number) for trial in best}
    wanted |= {networks_path(folder.workers, t.number) for t in trials if not t.state.is_finished()}
    for path in [*folder.kept.glob("trial-*"), *folder.workers.glob("trial-*.networks")]:
        if path not in wanted:
            shutil.rmtree(path, ignore_errors=True)


def _complete_run_folder(
    plan: Plan, folder: SearchFolder, trial: FrozenTrial, written: Path
) -> None:
    """Add plan, spec, environment and code to a trial's networks: the folder of a finished run."""
    run_plan = trial_plan(plan, trial.params)
    assert run_plan is not None
    run_plan = run_plan.model_copy(update={"search": None})
    content = run_plan.to_json().encode()
    comments = [f"trial {trial.number} of a search, as it was trained there"]
    spec = unparse_plan(run_plan, folder.kept_trial(trial.number), comments).encode()
    environment = folder.run.environment()
    fields = {name: each for name, each in environment.items() if name not in _SEARCH_FIELDS}
    fields |= {
        "device": environment.get("devices", ["cpu"])[0],
        "seeds": [attribute(trial, SEED)],
        PLAN: sha256(content),
        SPEC: sha256(spec),
    }
    if (classes := written / "classes.json").exists():
        fields[CLASSES] = sha256(classes.read_bytes())
    write_file(written / "plan.json", content)
    write_file(written / "spec.ktg", spec)
    RunFolder(written).write_environment(fields)
    for code in folder.path.glob("code*"):
        with reporting_write_errors(written / code.name):
            shutil.copytree(code, written / code.name, dirs_exist_ok=True)
