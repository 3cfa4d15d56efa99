"""Keeps the trained networks of the best trials, each in a folder like that of a run."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from optuna.trial import FrozenTrial, TrialState

from ktgdsl.files import sha256
from ktgdsl.plan.model import Plan
from ktgdsl.searching.folder import SearchFolder
from ktgdsl.searching.protocol import networks_path
from ktgdsl.searching.study import SEED, attribute
from ktgdsl.searching.trial_plans import trial_plan
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
    """Keep the networks of the best trials, as far as workers wrote them, and delete all others.

    Atomic for each trial: its folder is renamed into place when complete, so that this may be
    called again after a kill. Raises RunError (E502) where the disk fails it.

    Args:
        plan: the space.
        folder: of the search.
        trials: all of them; files of running trials are left alone.
        best: the trials to keep; of those that are not complete there are no networks.
    """
    best = [trial for trial in best if trial.state == TrialState.COMPLETE]
    for trial in best:
        written, kept = networks_path(folder.workers, trial.number), folder.kept_trial(trial.number)
        if written.is_dir() and not kept.exists():
            with reporting_write_errors(kept):
                kept.parent.mkdir(exist_ok=True)
            _make_run(plan, folder, trial, written)
            with reporting_write_errors(kept):
                written.rename(kept)
    wanted = {folder.kept_trial(trial.number) for trial in best}
    wanted |= {networks_path(folder.workers, t.number) for t in trials if not t.state.is_finished()}
    for path in [*folder.kept.glob("trial-*"), *folder.workers.glob("trial-*.networks")]:
        if path not in wanted:
            shutil.rmtree(path, ignore_errors=True)


def _make_run(plan: Plan, folder: SearchFolder, trial: FrozenTrial, written: Path) -> None:
    """Make the networks of a trial the folder of a finished run: add plan, spec and environment."""
    own = trial_plan(plan, trial.params)
    assert own is not None
    own = own.model_copy(update={"search": None})
    content = own.to_json().encode()
    comments = [f"trial {trial.number} of a search, as it was trained there"]
    spec = unparse_plan(own, folder.kept_trial(trial.number), comments).encode()
    environment = folder.run.environment()
    noted = {name: each for name, each in environment.items() if name not in _SEARCH_FIELDS}
    noted |= {
        "device": environment.get("devices", ["cpu"])[0],
        "seeds": [attribute(trial, SEED)],
        PLAN: sha256(content),
        SPEC: sha256(spec),
    }
    if (classes := written / "classes.json").exists():
        noted[CLASSES] = sha256(classes.read_bytes())
    write_file(written / "plan.json", content)
    write_file(written / "spec.ktg", spec)
    RunFolder(written).write_environment(noted)
    for code in folder.path.glob("code*"):
        with reporting_write_errors(written / code.name):
            shutil.copytree(code, written / code.name, dirs_exist_ok=True)
