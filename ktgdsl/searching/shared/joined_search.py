"""`join`: takes part in a search that several processes share, until it is over."""

import hashlib
from collections.abc import Callable
from typing import Any

from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler

from ktgdsl.backend.spec_or_space import require_space
from ktgdsl.plan.model import Plan
from ktgdsl.plan.require import require_plan
from ktgdsl.searching.engines import ThisMachine
from ktgdsl.searching.events import Listener, SearchWarning, ignore
from ktgdsl.searching.folder import SearchFolder
from ktgdsl.searching.search import create_search_folder
from ktgdsl.searching.search_run import SearchInterrupted, SearchOutcome, SearchRun
from ktgdsl.searching.shared.database import redacted
from ktgdsl.searching.shared.joined_coordinator import JoinedCoordinator
from ktgdsl.searching.shared.shared_study import SharedStudy
from ktgdsl.searching.study.study import Study
from ktgdsl.training.identity import Identity, identify
from ktgdsl.training.run_files import FolderPath
from ktgdsl.training.versions import installed_version


def join(
    plan: Plan,
    storage: str,
    *,
    is_new: bool = False,
    out: FolderPath | None = None,
    workers: int | None = None,
    device: str | None = None,
    listener: Listener = ignore,
    deterministic: bool = False,
) -> SearchOutcome:
    """Take part in a search whose study is in a PostgreSQL database, and keep it in a folder.

    Processes may join and leave at any time. When one has sent no heartbeat for a minute, another
    trains its trial again. All wait until every trial, and every training that judges the result,
    is over; each then has the same result in its own folder, which is like that of `search`. Where
    the search is over already, its result is written.

    Args:
        plan: the space, equal for all processes.
        storage: the database, as in "postgresql://USER@HOST/DATABASE"; libpq finds a password in
            PGPASSWORD or in the file that PGPASSFILE names.
        is_new: whether the search has to be new, and one in the database is an error (E511).
        out: the folder of this process, new or empty; by default `runs/NAME`, `runs/NAME-2` ...
        workers: how many trials this process trains at a time; by default as of `search`.
        device: as of `search`, for this process.
        listener: is called with every event of this process, and with the ends of other
            processes' trials.
        deterministic: as of `search`, for this process.

    Raises:
        RunError: as `search` does; and where the database cannot be used, does not answer for five
            minutes, or has another search of the graph's name (E511).
        SearchInterrupted: on Ctrl-C. Other processes go on with what this one has begun.
    """
    require_plan(plan, "search")
    require_space(plan)
    plan, identity = identify(plan)
    study = SharedStudy(plan, _shared_identity(plan, identity), storage, join=not is_new)
    noted = {"storage": redacted(storage)}
    here = ThisMachine()
    folder = create_search_folder(plan, identity, here, out, workers, device, deterministic, noted)
    with folder.run.locked(), study.participating():
        return JoinedRun(plan, folder, listener, study).run()


def _shared_identity(plan: Plan, identity: Identity) -> dict[str, Any]:
    """What has to be equal among the processes of a search, by its name in messages."""
    assert plan.search is not None
    space = f"{plan.digest} {plan.search.model_dump_json()} {plan.data.validation}"
    return {
        "the space": hashlib.sha256(space.encode()).hexdigest(),
        "the data": identity.data,
        "the code": {name: file.sha256 for name, file in identity.code.items()},
        "the version of ktgdsl": installed_version("ktgdsl"),
    }


class JoinedRun(SearchRun):
    """The run of one process in a shared search, with the result in its folder."""

    def __init__(
        self, plan: Plan, folder: SearchFolder, listener: Listener, shared: SharedStudy
    ) -> None:
        self._shared = shared
        shared.retries.notify = lambda text: listener(SearchWarning(text))
        super().__init__(plan, folder, listener)

    def _open_study(self, sampler: BaseSampler | None, pruner: BasePruner | None) -> Study:
        return self._shared

    def _coordinator(self, time_is_up: Callable[[], bool]) -> JoinedCoordinator:
        return JoinedCoordinator(
            self.plan, self._shared, self._on_event, self._write_best, time_is_up
        )

    def _finished_study(self) -> Study:
        return self._shared.finish(self.folder.journal)

    def _interrupted(self, done: int) -> SearchInterrupted:
        where, how = "in the database", "take part again with --join"
        return SearchInterrupted(self.folder.path, done, self.settings.trials, where, how)
