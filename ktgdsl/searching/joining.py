"""How a process joins a shared search: by the variable with the database, and by the command."""

import shlex
from pathlib import Path

STORAGE = "KTGDSL_STORAGE"
"""The variable with the address of the database: no list of processes shows its password."""


def join_command(folder: Path, storage: str) -> str:
    """The command that joins the search of a folder again, without the password.

    Args:
        folder: of a process that took part, which has a copy of the space.
        storage: the database, as `environment.json` of the folder names it.
    """
    words = ["ktgc", "search", str(folder / "space.ktg"), "--storage", storage, "--join"]
    return shlex.join(words)
