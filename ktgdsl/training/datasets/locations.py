"""Where the files of data sets are, and the errors when they are missing or damaged."""

import os
from pathlib import Path

from ktgdsl.errors import RunError
from ktgdsl.files import cache_root
from ktgdsl.plan.model import DataPlan
from ktgdsl.training.datasets.errors import data_error


def download_folder() -> Path:
    """Where data sets are downloaded to: $KTGDSL_DATA, else `data` in our cache folder.

    Raises RunError (E508) where there can be no cache folder.
    """
    if folder := os.environ.get("KTGDSL_DATA"):
        return Path(folder).expanduser()
    try:
        return cache_root() / "data"
    except RuntimeError as error:  # there may be no home
        message = f"there is no folder to download data sets into: {error}"
        raise data_error(message, "set KTGDSL_DATA to one") from error


def data_root(data: DataPlan) -> Path:
    """The folder that the plan names, else the download folder."""
    return download_folder() if data.root is None else Path(data.root)


def missing_files(data: DataPlan, missing: list[str], how: str, because: str = "") -> RunError:
    """The error that files of a data set are missing below its root (E508).

    Args:
        data: of the plan.
        missing: the files, relative to the root.
        how: an imperative that says how to get them.
        because: the end of the sentence, such as why the download failed.
    """
    root, word = data_root(data), data.source.name
    files = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
    message = f"the data set `{word}` is not whole in {root}: there is no {files}{because}"
    setting = f"data {word} {{ root = " + '"FOLDER" }'
    help = f"{how}; the files belong there"
    if data.root is None:
        help += f", or say where it is: `{setting}`"
    return data_error(message, help, root)


def damaged_file(data: DataPlan, file: Path, why: object, how: str) -> RunError:
    """The error that a file of a data set cannot be read (E508); `how` says how to get it."""
    message = f"the data set `{data.source.name}` is damaged: {file} cannot be read ({why})"
    return data_error(message, f"{how} again, and replace the file", file)
