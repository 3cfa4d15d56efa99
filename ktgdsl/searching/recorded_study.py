"""Reads the study of a search, which may be under way, and leaves its folder as it is."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from ktgdsl.errors import RunError, warn
from ktgdsl.plan.model import Plan
from ktgdsl.searching.folder import SearchFolder
from ktgdsl.searching.study.study import Study
from ktgdsl.training.run_files import folder_error, reporting_read_errors


@contextmanager
def recorded_study(folder: SearchFolder, plan: Plan) -> Iterator[Study]:
    """The study in a search's journal, for a `with` block: a copy, which can be read alone.

    Warns (W310) where the journal of an interrupted search has lost its end. Raises RunError (E502)
    where there is none, it is damaged, or it does not have the trials of the result.
    """
    journal = folder.journal
    if not journal.is_file():
        raise folder_error(journal, f"the journal {journal} is gone")
    under_way = _is_under_way(folder)  # then its last line may be half written
    # Opening a study mends its journal, which is not for us to do while the search is under way.
    with TemporaryDirectory() as empty:
        copy = Path(empty) / journal.name
        with reporting_read_errors(journal):
            shutil.copyfile(journal, copy)
        try:
            study = Study(copy, plan.graph.name)
            trials = study.trials
        except RunError as error:
            message = f"the journal {journal} is damaged"
            raise folder_error(journal, message, "put the file back from a copy") from error
        if (result := folder.result()) is not None:
            folder.require_trials(trials, result)
            if study.torn is not None or round(study.seconds, 3) != result.seconds:  # written last
                message = f"the journal {journal} was cut off: it lacks its end"
                raise folder_error(journal, message, "put the file back from a copy")
        elif not under_way and (study.torn is not None or folder.first_lost(trials) is not None):
            message = f"the journal {journal} lacks its end, and with it trials that were over"
            warn("W310", message, help="`ktgc search --resume` trains them again", path=journal)
        yield study


def _is_under_way(folder: SearchFolder) -> bool:
    try:
        with folder.run.locked():
            return False
    except RunError:
        return True
