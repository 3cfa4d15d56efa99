"""The journal of a study: Optuna's journal file, written in groups that are kept whole or not."""

import json
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from ktgdsl.files import parsed_json
from ktgdsl.training.run_files import folder_error, reporting_read_errors, write_file

FOLLOWING = "following"
"""How many entries of its group follow an entry: a key that Optuna does not know, and skips."""

Entry = dict[str, Any]


class Journal(JournalFileBackend):
    """Optuna's journal on the disk, with groups of entries; for one process that writes.

    Optuna writes several entries for what happens at once, such as a trial and each of its
    parameters. In a group they reach the disk together, and `quarantine` cuts a group off that a
    kill left unfinished. Any program of Optuna's reads the file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), lock_obj=JournalFileOpenLock(str(path)))
        self._path = path
        self._entries = 0  # those of the file that have been read
        self._group: list[Entry] | None = None

    @contextmanager
    def group(self) -> Iterator[None]:
        """Write the entries of a `with` block at its end, or none of them if it raises.

        Whoever reads meanwhile sees them; after an exception what was read is out of date.
        Raises OSError when they cannot be written, and then none of them is.
        """
        group: list[Entry] = []
        self._group = group
        try:
            yield
        finally:
            self._group = None
        if group:
            self.append_logs(group)
            for _ in self.read_logs(self._entries):  # so that the next read begins after them
                pass

    def append_logs(self, logs: list[Entry]) -> None:
        """Write entries at once, or keep them for the end of the group."""
        if self._group is not None:
            self._group += json.loads(json.dumps(logs))  # as they will be read
            return
        size = self._path.stat().st_size
        try:
            super().append_logs(
                [{**log, FOLLOWING: len(logs) - i} for i, log in enumerate(logs[:-1], start=1)]
                + logs[-1:]
            )
        except OSError:
            with suppress(OSError):
                os.truncate(self._path, size)
            raise

    def read_logs(self, log_number_from: int) -> Generator[Entry, None, None]:
        """The entries from that number on, those of an unfinished group included."""
        if self._group is not None:
            yield from self._group[log_number_from - self._entries :]
            return
        with reporting_read_errors(self._path):
            for number, entry in enumerate(super().read_logs(log_number_from), log_number_from + 1):
                self._entries = number
                yield entry


def quarantine(path: Path) -> Path | None:
    """Cut an unfinished group of entries off a journal, into a file beside it, which is returned.

    A kill or a power cut may tear what is being written; nothing before it is touched. Raises
    RunError (E502) when an entry before the last cannot be read.
    """
    if not path.exists():
        return None
    with reporting_read_errors(path):
        content = path.read_bytes()
    whole = size = 0
    torn = False
    for line in content.splitlines(keepends=True):
        entry = _entry(line)
        if torn and entry is not None:
            raise folder_error(
                path,
                f"the journal {path} is damaged before its end",
                "put the file back from a copy, or start a new search",
            )
        torn = entry is None
        size += len(line)
        if entry is not None and not entry.get(FOLLOWING):
            whole = size
    if whole == len(content):
        return None
    names = (path.with_name(f"{path.name}.torn-{n}") for n in count(1))
    aside = next(each for each in names if not each.exists())
    write_file(aside, content[whole:])
    write_file(path, content[:whole])
    return aside


def _entry(line: bytes) -> Entry | None:
    """The entry on a line, None where the line is torn."""
    try:
        entry = parsed_json(line) if line.endswith(b"\n") else None
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None
