"""The journal of a study: Optuna's journal file with atomic groups of entries, and digests."""

import json
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from ktgdsl.errors import RunError
from ktgdsl.files import parsed_json, sha256
from ktgdsl.training.run_files import folder_error, reporting_read_errors, write_file

FOLLOWING = "following"
"""How many entries of its group follow an entry: a key that Optuna does not know, and skips."""

DIGEST = "digest"
"""The digest of the rest of an entry and of the digest before it: another such key."""

_FIRST = "first"
"""Stands for the digest before that of the first entry."""

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
        self._has_unread = True
        self._size = path.stat().st_size  # after the last write
        self._last: str | None = None  # the digest of the last of the file, once it is known
        self._group: list[Entry] | None = None

    @contextmanager
    def group(self) -> Iterator[None]:
        """Write the entries of a `with` block at its end, or none of them if it raises.

        Whoever reads meanwhile sees them; after an exception what was read is out of date.
        Raises OSError when they cannot be written, and then none of them is.
        """
        with self.together():
            assert self._group is not None
            start = len(self._group)
            try:
                yield
            except BaseException:
                del self._group[start:]
                raise

    @contextmanager
    def together(self) -> Iterator[None]:
        """Write the groups of a `with` block as one at its end, those before an exception too.

        A write waits for the disk, so that many at once cost no more time than one. Raises as
        `group` does.
        """
        if self._group is not None:
            yield
            return
        self._group = []
        try:
            yield
        finally:
            group, self._group = self._group, None
            if group:
                self._write(group)
                self._entries += len(group)  # whoever reads has seen them in the group

    @property
    def is_grouping(self) -> bool:
        """Whether a `with` block is open at whose end entries are written."""
        return self._group is not None

    def append_logs(self, logs: list[Entry]) -> None:
        """Write entries at once, or keep them for the end of the group."""
        logs = json.loads(json.dumps(logs))  # as they will be read
        if self._group is not None:
            self._group += logs
        else:
            self._write(logs)
            self._has_unread = True

    def _write(self, logs: list[Entry]) -> None:
        size = self._path.stat().st_size
        if size != self._size:
            raise _damaged(self._path, f"another program has written to the journal {self._path}")
        try:
            group = [{**log, FOLLOWING: len(logs) - i} for i, log in enumerate(logs[:-1], start=1)]
            group += logs[-1:]
            last = self._last or _last_digest(self._path)
            for log in group:
                log[DIGEST] = last = _digest(log, last)
            super().append_logs(group)
            self._last, self._size = last, self._path.stat().st_size
        except OSError:
            with suppress(OSError):
                os.truncate(self._path, size)
            raise

    def read_logs(self, log_number_from: int) -> Generator[Entry, None, None]:
        """The entries from that number on, those of an unfinished group included."""
        if self._group is not None:
            yield from self._group[log_number_from - self._entries :]
            return
        if log_number_from >= self._entries and not self._has_unread:
            return
        with reporting_read_errors(self._path):
            for number, entry in enumerate(super().read_logs(log_number_from), log_number_from + 1):
                self._entries = number
                yield entry
        self._has_unread = False


def quarantine(path: Path) -> Path | None:
    """Move an unfinished group at the end of a journal into a file beside it, which is returned.

    A kill or a power cut may tear what is being written; nothing before it is touched. Raises
    RunError (E502) when an entry before the last cannot be read, or any is not as it was written.
    """
    if not path.exists():
        return None
    with reporting_read_errors(path):
        content = path.read_bytes()
    whole = size = 0
    torn = False
    chain = _Chain()
    for number, line in enumerate(content.splitlines(keepends=True), start=1):
        entry = _entry(line)
        if torn and entry is not None:
            raise _damaged(path, f"the journal {path} is damaged before its end")
        if entry is not None and not chain.goes_on_with(entry):
            raise _damaged(
                path,
                f"line {number} of the journal {path} is not what was written there: it is "
                "damaged, another program's, or lines before it are missing",
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


def _damaged(path: Path, message: str) -> RunError:
    return folder_error(path, message, "put the file back from a copy, or start a new search")


class _Chain:
    """Verifies entries one after the other by their chain of digests.

    Those of older versions have none, or one of the entry alone; this version goes on after them.
    """

    def __init__(self) -> None:
        self._last = _FIRST
        self._are_sealed = self._are_chained = False

    def goes_on_with(self, entry: Entry) -> bool:
        digest = entry.get(DIGEST)
        if digest is None:
            return not self._are_sealed and isinstance(entry.get("op_code"), int)
        self._are_sealed = True
        if digest == _digest(entry, self._last):
            self._are_chained = True
        elif self._are_chained or digest != _digest(entry):
            return False
        self._last = digest
        return True


def _digest(entry: Entry, before: str = "") -> str:
    """The digest of an entry but for the one that it has already, and of that before it."""
    content = {name: value for name, value in entry.items() if name != DIGEST}
    return sha256((before + json.dumps(content, sort_keys=True)).encode())[:16]


def _last_digest(path: Path) -> str:
    lines = path.read_bytes().splitlines()
    return (_entry(lines[-1] + b"\n") or {}).get(DIGEST, _FIRST) if lines else _FIRST


def _entry(line: bytes) -> Entry | None:
    """The entry on a line, None where the line is torn; an empty one where it is something else."""
    if not line.endswith(b"\n"):
        return None
    try:
        entry = parsed_json(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else {}
