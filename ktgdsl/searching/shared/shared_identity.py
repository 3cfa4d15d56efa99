"""Creates a shared study, or joins one of the same space, data and code."""

from collections.abc import Callable, Mapping
from typing import Any

import optuna
from optuna.storages import BaseStorage
from sqlalchemy import Connection, extract, func, select

from ktgdsl.searching.shared.database import Database, database_error

IDENTITY, STARTED = "identity", "started"
"""Names of user attributes of the study."""

_ANOTHER_NAME = "give the graph another name, or name another database"


def create_or_join(
    database: Database,
    name: str,
    identity: Mapping[str, Any],
    create: Callable[[BaseStorage], object],
    *,
    join: bool,
) -> None:
    """Create the study of that name unless there is one of the same identity.

    Args:
        database: where it is.
        name: of the study.
        identity: what has to be equal among the processes, by its name in messages.
        create: creates it in a storage.
        join: whether it may be there already.

    Raises RunError (E511) where the study differs from this process's, or may not be there.
    """
    with database.transaction() as connection:
        studies = {study.study_name: study for study in database.get_all_studies()}
        if name not in studies:
            create(database)
            study = optuna.load_study(study_name=name, storage=database)
            study.set_user_attr(IDENTITY, dict(identity))
            study.set_user_attr(STARTED, database_time(connection))
            return
    noted = studies[name].user_attrs.get(IDENTITY)
    if noted is None:
        raise database_error(f"the database has a study {name!r} of another program", _ANOTHER_NAME)
    if differing := [each for each in identity if identity[each] != noted.get(each)]:
        raise database_error(
            f"the database has another search {name!r}: it differs in " + " and ".join(differing),
            f"join with the same files and version; or {_ANOTHER_NAME}",
        )
    if not join:
        raise database_error(
            f"the database has the search {name!r} already",
            f"--join takes part in it, or writes its result; or {_ANOTHER_NAME}",
        )


def database_time(connection: Connection) -> float:
    """The database's clock, in seconds."""
    return float(connection.execute(select(extract("epoch", func.clock_timestamp()))).scalar_one())
