"""Where data sets lie, and the complaint when one is not there."""

import os
from pathlib import Path

from ktgdsl.errors import RunError
from ktgdsl.plan.model import DataPlan
from ktgdsl.training.cache import cache_root
from ktgdsl.training.datasets.problem import unusable


def default_folder() -> Path:
    """Where data sets are downloaded to: $KTGDSL_DATA, else `data` in the cache of ktgdsl."""
    own = os.environ.get("KTGDSL_DATA")
    return Path(own).expanduser() if own else cache_root() / "data"


def root_of(data: DataPlan) -> Path:
    """The folder that the plan names, else where downloads go."""
    return default_folder() if data.root is None else Path(data.root)


def not_there(data: DataPlan, missing: list[str], how: str, because: str = "") -> RunError:
    """The complaint that files of a data set are missing below its root; `how` to get them."""
    root, word = root_of(data), data.source.name
    files = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
    message = f"the data set `{word}` is not whole in {root}: there is no {files}{because}"
    where = f"data {word} {{ root = " + '"FOLDER" }'
    help = f"{how}; the files belong there"
    if data.root is None:
        help += f", or say where it is: `{where}`"
    return unusable(message, help, root)


def damaged(data: DataPlan, file: Path, why: object, how: str) -> RunError:
    """The complaint that a file of a data set cannot be read."""
    message = f"the data set `{data.source.name}` is damaged: {file} cannot be read ({why})"
    return unusable(message, f"{how} again, and replace the file", file)
