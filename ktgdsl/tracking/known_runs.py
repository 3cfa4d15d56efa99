"""`tracking.jsonl` in a folder: the id of a run with each tool, and the last epoch it has."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

FILE = "tracking.jsonl"


@dataclass(frozen=True)
class KnownRun:
    """A run as a tool knows it: its number there, and the last epoch that was logged."""

    id: str
    epoch: int = 0


def known_run(folder: Path, tool: str, key: str) -> KnownRun | None:
    """The last entry for a run; None if the tool does not have it."""
    path = folder / FILE
    if not path.exists():
        return None
    found = None
    for line in path.read_text("utf-8", "replace").splitlines():
        try:
            noted = json.loads(line)
            if (noted["tool"], noted["run"]) == (tool, key):
                found = KnownRun(str(noted["id"]), int(noted["epoch"]))
        except (ValueError, TypeError, KeyError):  # a line that was only partly written
            continue
    return found


def note_run(folder: Path, tool: str, key: str, run: KnownRun) -> None:
    """Add a line, which goes before all earlier ones of the same run."""
    line = json.dumps({"tool": tool, "run": key, "id": run.id, "epoch": run.epoch})
    with (folder / FILE).open("ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            torn = file.read(1) != b"\n"
            line = "\n" * torn + line
        file.write(f"{line}\n".encode())
