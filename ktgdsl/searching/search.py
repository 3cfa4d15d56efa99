"""`search` and `resume`: find the best graph of a space, with all files in a folder."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler

from ktgdsl.backend.spec_or_space import require_space
from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.errors import RunError
from ktgdsl.lowering.moved_specs import moved_text
from ktgdsl.plan.model import Plan
from ktgdsl.plan.require import require_plan
from ktgdsl.searching.engines import EngineName, SearchEngine, open_engine
from ktgdsl.searching.events import (
    Listener,
    ignore,
)
from ktgdsl.searching.folder import SearchFolder, open_search_folder
from ktgdsl.searching.search_run import SearchOutcome, SearchRun
from ktgdsl.training.deterministic import deterministically
from ktgdsl.training.device import choose_device
from ktgdsl.training.environment import command, describe_environment, threads_of
from ktgdsl.training.execution import choose_execution
from ktgdsl.training.identity import Identity, identify
from ktgdsl.training.new_folder import create_run_folder
from ktgdsl.training.resume_checks import changes_to_resume, resume_entries
from ktgdsl.training.run_files import FULL, FolderPath, folder_error, named_folder


def search(
    plan: Plan,
    *,
    out: str | Path | None = None,
    workers: int | None = None,
    device: str | None = None,
    listener: Listener = ignore,
    deterministic: bool = False,
    sampler: BaseSampler | None = None,
    pruner: BasePruner | None = None,
    engine: EngineName = "local",
    gpus_per_worker: float | None = None,
) -> SearchOutcome:
    """Find the best graph of a space, and write all results to a folder.

    Args:
        plan: the space.
        out: the folder, new or empty; by default `runs/NAME`, or `runs/NAME-2` and so on.
        workers: how many trials are trained at a time; by default what the space says, else
            one for each GPU, or on a CPU one for two cores. Each uses as many threads as
            OMP_NUM_THREADS says, else an equal share of the cores.
        device: such as "cpu" or "cuda:1"; by default all GPUs.
        listener: is called with every event (`ktgdsl.searching.events`), in this thread, so it
            should be quick; `log_to` makes one that logs a run for each trial.
        deterministic: whether to use deterministic algorithms only, as `run` does.
        sampler: an Optuna sampler instead of the one that the space names. While the graph at its
            point is invalid or (under `dedupe`) was in an earlier trial, it samples again, up to 64
            times; then random points are tried. The parameters have the names of the draws, as
            `ktgc plan` shows them.
        pruner: an Optuna pruner instead of the one that the space names. Its `prune` is called
            after every epoch but the last; epochs are counted from 1. Not allowed where the
            space has several objectives (E411).
        engine: where workers run: "local", processes on this machine, or "ray", actors on the
            cluster that RAY_ADDRESS names, else on a running local one, else on one that is
            started here. The default of `workers` is then as many as fit on the cluster.
        gpus_per_worker: with Ray, how many GPUs each worker takes, such as 0.25.

    A `sampler` or `pruner` is not saved: pass it to `resume` again. State that it has beside the
    trials of the study is lost when the search is interrupted, so later trials may differ from
    those of an uninterrupted search.

    Raises:
        RunError: when nothing is open (E506), the folder cannot be used (E502), the device does
            not exist or Ray does not answer (E504), data are missing or damaged (E508), or no trial
            gave a value (E507). What was written so far stays.
        SearchInterrupted: on Ctrl-C.
    """
    require_plan(plan, "search")
    require_space(plan)
    _reject_pruner_of_several_objectives(plan, pruner)
    plan, identity = identify(plan)
    classes = _class_names(sampler, pruner)
    with open_engine(engine, gpus_per_worker) as search_engine:
        folder = create_search_folder(
            plan, identity, search_engine, out, workers, device, deterministic, classes
        )
        with folder.run.locked(), _adding_how_to_resume(folder):
            return SearchRun(plan, folder, listener, sampler, pruner, search_engine).run()


def create_search_folder(
    plan: Plan,
    identity: Identity,
    engine: SearchEngine,
    out: FolderPath | None,
    workers: int | None,
    device: str | None,
    deterministic: bool,
    extra_fields: Mapping[str, str],
) -> SearchFolder:
    """Create the folder of a new search, with `extra_fields` in its `environment.json`.

    The other arguments are those of `search`.
    """
    assert plan.space is not None
    devices = engine.devices(device)
    workers = workers or (plan.search and plan.search.workers) or engine.workers(devices)
    threads = engine.threads(workers, devices)
    environment = {
        **_describe(engine, plan, devices, threads, deterministic),
        "devices": devices,
        "workers": workers,
        **engine.environment_fields,
        **extra_fields,
        **_split_field(plan),
    }
    path = None if out is None else named_folder(out)
    folder = SearchFolder(create_run_folder(plan, path, None, environment, identity).path)
    with folder.run.locked():
        folder.write_space(moved_text(plan.space.text, Path(plan.folder or "."), folder.path))
    return folder


def resume(
    folder: FolderPath,
    *,
    workers: int | None = None,
    device: str | None = None,
    listener: Listener = ignore,
    sampler: BaseSampler | None = None,
    pruner: BasePruner | None = None,
    allow_changed_code: bool = False,
    engine: EngineName | None = None,
    gpus_per_worker: float | None = None,
) -> SearchOutcome:
    """Resume an interrupted search, to the same number of trials.

    Workers, devices and the engine are those of the search unless they are passed; another engine
    chooses devices anew. The threads of each worker and `deterministic` cannot change, as results
    depend on them. A finished search is not changed, and its outcome is returned.

    Raises as `search` does; and RunError (E502) where `sampler` and `pruner` are not of the
    classes that were passed to `search`, and where the user's code has changed, unless
    `allow_changed_code`.
    """
    search_folder = open_search_folder(named_folder(folder))
    run_folder, path = search_folder.run, search_folder.path
    with run_folder.locked():
        plan = run_folder.plan()
        require_space(plan)
        _reject_pruner_of_several_objectives(plan, pruner)
        search_folder.require_journal()
        if search_folder.result() is not None:
            return SearchRun(plan, search_folder, listener, sampler, pruner).run()
        environment = run_folder.environment_to_resume()
        _require_same_classes(path, environment, _class_names(sampler, pruner))
        _require_same_split(path, environment, plan)
        changes = changes_to_resume(run_folder, plan, environment, "search", allow_changed_code)
        if changes:
            environment["resumed"] = [*resume_entries(environment), changes]
        before = {name: environment.pop(name, None) for name in ("engine", "gpus_per_worker")}
        engine = engine or before["engine"] or "local"
        if gpus_per_worker is None and engine == before["engine"]:
            gpus_per_worker = before["gpus_per_worker"]
        with open_engine(engine, gpus_per_worker) as search_engine:
            if device is not None or engine != (before["engine"] or "local"):
                environment["devices"] = search_engine.devices(device)
            if workers is not None:
                environment["workers"] = workers
            run_folder.write_environment({**environment, **search_engine.environment_fields})
            with _adding_how_to_resume(search_folder):
                run = SearchRun(plan, search_folder, listener, sampler, pruner, search_engine)
                return run.run()


def _describe(
    engine: SearchEngine, plan: Plan, devices: Sequence[str], threads: int, deterministic: bool
) -> dict[str, Any]:
    """`describe_environment` for the workers; on one of their nodes if this machine has no GPU."""
    describe = partial(_environment_or_errors, plan, devices[0], threads, deterministic)
    if torch.device(devices[0]).type == "cpu" or torch.cuda.is_available():
        described = describe()
    else:
        described = engine.on_device(devices[0], describe)
    if not isinstance(described, dict):
        raise RunError(described)
    return {**described, "command": command()}


def _environment_or_errors(
    plan: Plan, device: str, threads: int, deterministic: bool
) -> dict[str, Any] | tuple[Diagnostic, ...]:
    """The environment, or errors as values, since this may run on another machine."""
    try:
        with threads_of({"threads": threads}), deterministically(deterministic):
            chosen = choose_device(device)
            return describe_environment(chosen, (plan.train.seed,), choose_execution(plan, chosen))
    except RunError as error:
        return error.diagnostics


def _class_names(sampler: BaseSampler | None, pruner: BasePruner | None) -> dict[str, str]:
    """The fields of environment.json for the classes of the caller's sampler and pruner."""
    passed = {"sampler": sampler, "pruner": pruner}
    return {
        what: f"{type(each).__module__}.{type(each).__qualname__}"
        for what, each in passed.items()
        if each is not None
    }


def _reject_pruner_of_several_objectives(plan: Plan, pruner: BasePruner | None) -> None:
    """Raise RunError (E411) where a pruner is passed to a search with several objectives."""
    if pruner is not None and plan.search is not None and plan.search.goals:
        objectives = len(plan.search.goals)
        message = f"a pruner ends trials by one value, and this search has {objectives} objectives"
        raise RunError.single("E411", message, help="leave `pruner` out")


def _require_same_classes(
    path: Path, environment: Mapping[str, Any], passed: Mapping[str, str]
) -> None:
    """Raise RunError (E502) unless sampler and pruner have the classes in `environment.json`."""
    for what in ("sampler", "pruner"):
        before, now = environment.get(what), passed.get(what)
        if before == now:
            continue
        if before is None:
            raise folder_error(
                path,
                f"the search in {path} was begun with the {what} that its space names, and cannot "
                f"go on with {now}",
                f"go on without a {what}: it is in the folder",
            )
        raise folder_error(
            path,
            f"the search in {path} was begun with a {what} that no file keeps, {before}, and "
            f"cannot go on with {now or 'another'}",
            f"pass it again, from Python: ktgdsl.searching.search.resume({str(path)!r}, "
            f"{what}=...)",
        )


def _split_field(plan: Plan) -> dict[str, str]:
    """The field of environment.json of a search whose trials are judged on the test split."""
    by_test = plan.search is not None and plan.search.judged_on == "test"
    return {"judged_on": "test"} if by_test else {}


def _require_same_split(path: Path, environment: Mapping[str, Any], plan: Plan) -> None:
    """Raise RunError (E502) where an earlier version judged trials on another split."""
    if environment.get("judged_on") != _split_field(plan).get("judged_on"):
        raise folder_error(
            path,
            f"the trials of the search in {path} were judged on the validation split, though its "
            "objective says `on=test`, which earlier versions did not heed",
            "start a new search from the space: it judges on the test split",
        )


@contextmanager
def _adding_how_to_resume(folder: SearchFolder) -> Iterator[None]:
    """Add to errors about a full disk or a lost cluster how to resume afterwards."""
    try:
        yield
    except RunError as error:
        if (remedy := _remedy(error.__cause__)) is None:
            raise
        help = f"{remedy}, then go on with: ktgc search --resume {shlex.quote(str(folder.path))}"
        raise RunError([replace(each, help=help) for each in error.diagnostics]) from error


def _remedy(cause: BaseException | None) -> str | None:
    """What to do before resuming; None for other errors."""
    if isinstance(cause, OSError) and cause.errno in FULL:
        return "make room"
    return "start Ray again" if isinstance(cause, ConnectionError) else None
