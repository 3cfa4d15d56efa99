"""`search` and `resume`: from a space to its best graph, in a folder."""

import errno
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
from ktgdsl.training.resume_checks import changes_to_resume, resumptions
from ktgdsl.training.run_files import FolderPath, folder_error, named_folder

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""The errors of writing to a full disk."""


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
    """Find the best graph of a space, and keep everything in a folder.

    Args:
        plan: the space.
        out: the folder, new or empty; by default `runs/NAME`, or `runs/NAME-2` and so on.
        workers: how many trials are trained at a time; by default what the space says, else
            one for each GPU, or on a CPU one for two cores. Each computes with as many threads
            as OMP_NUM_THREADS says, else with its share of the cores.
        device: such as "cpu" or "cuda:1"; by default all GPUs that there are.
        listener: is called with every event (`ktgdsl.searching.events`), in this thread, so it
            should be quick; `log_to` makes one that logs a run for each trial.
        deterministic: whether to use deterministic algorithms alone, as `run` does.
        sampler: one of Optuna's or of your own, instead of the one that the space names. It is
            asked again, up to 64 times, while the graph at its point is invalid or (under
            `dedupe`) known; then random points are tried. The parameters have the names of the
            draws, as `ktgc plan` shows them.
        pruner: one of Optuna's or of your own, instead of the one that the space names. It is
            asked after every epoch but the last, by its `prune`; epochs are counted from 1. There
            is none where the space has several objectives (E411).
        engine: where workers live: "local", processes of this machine, or "ray", actors on the
            cluster that RAY_ADDRESS names, else on one that runs here, else on one that is
            started here. `workers` is then by default as many as it has room for.
        gpus_per_worker: with Ray, how many GPUs each worker takes, such as 0.25.

    No file keeps a sampler or a pruner that is passed: `resume` has to have it again. What
    such a one remembers beside the trials of the study is lost when a search is cut off, so its
    later trials may be others.

    Raises:
        RunError: when nothing is open (E506), the folder cannot be used (E502), the device does
            not exist or Ray does not answer (E504), data are missing or damaged (E508), or no trial
            gave a value (E507). What was kept stays.
        SearchInterrupted: on Ctrl-C.
    """
    require_plan(plan, "search")
    require_space(plan)
    _require_no_pruner(plan, pruner)
    plan, identity = identify(plan)
    noted = _names_of(sampler, pruner)
    with open_engine(engine, gpus_per_worker) as place:
        folder = create_search_folder(
            plan, identity, place, out, workers, device, deterministic, noted
        )
        with folder.run.locked(), _explaining_how_to_go_on(folder):
            return SearchRun(plan, folder, listener, sampler, pruner, place).run()


def create_search_folder(
    plan: Plan,
    identity: Identity,
    place: SearchEngine,
    out: FolderPath | None,
    workers: int | None,
    device: str | None,
    deterministic: bool,
    noted: Mapping[str, str],
) -> SearchFolder:
    """Create the folder of a new search; `environment.json` has what is `noted` as well.

    The rest is as of `search`.
    """
    assert plan.space is not None
    devices = place.devices(device)
    workers = workers or (plan.search and plan.search.workers) or place.workers(devices)
    threads = place.threads(workers, devices)
    environment = {
        **_describe(place, plan, devices, threads, deterministic),
        "devices": devices,
        "workers": workers,
        **place.environment_fields,
        **noted,
        **_split_of(plan),
    }
    named = None if out is None else named_folder(out)
    folder = SearchFolder(create_run_folder(plan, named, None, environment, identity).path)
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
    """Resume a search that was cut off, to the same number of trials.

    Workers, devices and the engine are those of the search unless they are passed; with another
    engine devices are chosen anew. The threads of each worker and `deterministic` always are, as
    the numbers depend on them. A finished search is left as it is, and its outcome returned.

    Raises as `search` does; and RunError (E502) where `sampler` and `pruner` are not of the
    classes that were passed to `search`, and where the user's own code is not what it was, unless
    that is allowed.
    """
    opened = open_search_folder(named_folder(folder))
    with opened.run.locked():
        plan = opened.run.plan()
        require_space(plan)
        _require_no_pruner(plan, pruner)
        opened.require_journal()
        if opened.result() is not None:
            return SearchRun(plan, opened, listener, sampler, pruner).run()
        environment = opened.run.environment_to_resume()
        _require_the_same(opened.path, environment, _names_of(sampler, pruner))
        _require_same_split(opened.path, environment, plan)
        changes = changes_to_resume(opened.run, plan, environment, "search", allow_changed_code)
        if changes:
            environment["resumed"] = [*resumptions(environment), changes]
        before = {name: environment.pop(name, None) for name in ("engine", "gpus_per_worker")}
        engine = engine or before["engine"] or "local"
        if gpus_per_worker is None and engine == before["engine"]:
            gpus_per_worker = before["gpus_per_worker"]
        with open_engine(engine, gpus_per_worker) as place:
            if device is not None or engine != (before["engine"] or "local"):
                environment["devices"] = place.devices(device)
            if workers is not None:
                environment["workers"] = workers
            opened.run.write_environment({**environment, **place.environment_fields})
            with _explaining_how_to_go_on(opened):
                return SearchRun(plan, opened, listener, sampler, pruner, place).run()


def _describe(
    place: SearchEngine, plan: Plan, devices: Sequence[str], threads: int, deterministic: bool
) -> dict[str, Any]:
    """`describe_environment` for workers: on a node of theirs where this machine has no GPU."""
    describe = partial(_described, plan, devices[0], threads, deterministic)
    if torch.device(devices[0]).type == "cpu" or torch.cuda.is_available():
        described = describe()
    else:
        described = place.on_device(devices[0], describe)
    if not isinstance(described, dict):
        raise RunError(described)
    return {**described, "command": command()}


def _described(
    plan: Plan, device: str, threads: int, deterministic: bool
) -> dict[str, Any] | tuple[Diagnostic, ...]:
    """The environment, or why there is none: an exception would have to travel."""
    try:
        with threads_of({"threads": threads}), deterministically(deterministic):
            chosen = choose_device(device)
            return describe_environment(chosen, (plan.train.seed,), choose_execution(plan, chosen))
    except RunError as error:
        return error.diagnostics


def _names_of(sampler: BaseSampler | None, pruner: BasePruner | None) -> dict[str, str]:
    """The classes of the caller's sampler and pruner, as environment.json notes them."""
    passed = {"sampler": sampler, "pruner": pruner}
    return {
        what: f"{type(each).__module__}.{type(each).__qualname__}"
        for what, each in passed.items()
        if each is not None
    }


def _require_no_pruner(plan: Plan, pruner: BasePruner | None) -> None:
    """Raise RunError (E411) where a pruner is passed to a search with several objectives."""
    if pruner is not None and plan.search is not None and plan.search.goals:
        objectives = len(plan.search.goals)
        message = f"a pruner ends trials by one value, and this search has {objectives} objectives"
        raise RunError.single("E411", message, help="leave `pruner` out")


def _require_the_same(path: Path, noted: Mapping[str, Any], passed: Mapping[str, str]) -> None:
    """Raise RunError (E502) unless the sampler and the pruner are those that were noted."""
    for what in ("sampler", "pruner"):
        before, now = noted.get(what), passed.get(what)
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


def _split_of(plan: Plan) -> dict[str, str]:
    """What environment.json notes of a search whose trials are judged on the test split."""
    by_test = plan.search is not None and plan.search.judged_on == "test"
    return {"judged_on": "test"} if by_test else {}


def _require_same_split(path: Path, noted: Mapping[str, Any], plan: Plan) -> None:
    """Raise RunError (E502) where earlier versions judged trials on another split than asked."""
    if noted.get("judged_on") != _split_of(plan).get("judged_on"):
        raise folder_error(
            path,
            f"the trials of the search in {path} were judged on the validation split, though its "
            "objective says `on=test`, which earlier versions did not heed",
            "start a new search from the space: it judges on the test split",
        )


@contextmanager
def _explaining_how_to_go_on(folder: SearchFolder) -> Iterator[None]:
    """Let an error about a full disk or a lost cluster say how to resume once that is mended."""
    try:
        yield
    except RunError as error:
        if (first := _what_to_mend(error.__cause__)) is None:
            raise
        help = f"{first}, then go on with: ktgc search --resume {shlex.quote(str(folder.path))}"
        raise RunError([replace(each, help=help) for each in error.diagnostics]) from error


def _what_to_mend(cause: BaseException | None) -> str | None:
    if isinstance(cause, OSError) and cause.errno in FULL:
        return "make room"
    return "start Ray again" if isinstance(cause, ConnectionError) else None
