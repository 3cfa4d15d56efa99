"""The journal of a study: Optuna's journal file with atomic groups of entries and digests."""

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
"""Key of an entry: how many entries of its group follow. Optuna ignores unknown keys."""

DIGEST = "digest"
"""Key of an entry: the digest of its content and of the previous digest, a hash chain."""

_FIRST = "first"
"""The previous digest of the first entry."""

Entry = dict[str, Any]


class Journal(JournalFileBackend):
    """Optuna's journal file with atomic groups of entries, for a single writing process.

    Optuna writes several entries for one change, such as a trial and each of its parameters. The
    entries of a group are written together, and `quarantine` removes a group that a kill left
    incomplete. Plain Optuna can read the file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), lock_obj=JournalFileOpenLock(str(path)))
        self._path = path
        self._entries = 0  # number of entries read from the file
        self._has_unread = True
        self._size = path.stat().st_size  # after the last write
        self._last: str | None = None  # digest of the last entry, None until read or written
        self._group: list[Entry] | None = None

    @contextmanager
    def group(self) -> Iterator[None]:
        """Write the entries of a `with` block at its end, or none of them if it raises.

        `read_logs` returns them inside the block already; after an exception its reader is out of
        date. Raises OSError, and writes none, when they cannot be written.
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
        """Write the groups of a `with` block as one at its end, also those before an exception.

        A write waits for the disk, so one write of many groups takes no longer than one group's.
        Raises as `group` does.
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
                self._entries += len(group)  # read_logs has returned them from the group

    @property
    def is_grouping(self) -> bool:
        """Whether a `with` block of `group` or `together` is open."""
        return self._group is not None

    def append_logs(self, logs: list[Entry]) -> None:
        """Write entries now, or add them to the open group."""
        logs = json.loads(json.dumps(logs))  # the types that reading the file gives
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
        """The entries from that number on, including those of an open group."""
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
    """Move an incomplete group at the end of a journal to a file beside it, and return its path.

    A kill or power cut leaves one if it interrupts a write. Returns None if there is none. Raises
    RunError (E502) when an earlier entry cannot be read, or any differs from what was written.
    """
    if not path.exists():
        return None
    with reporting_read_errors(path):
        content = path.read_bytes()
    complete = size = 0  # bytes up to the last complete group, and up to this line
    torn = False
    chain = _Chain()
    for number, line in enumerate(content.splitlines(keepends=True), start=1):
        entry = _entry(line)
        if torn and entry is not None:
            raise _damaged(path, f"the journal {path} is damaged before its end")
        if entry is not None and not chain.accepts(entry):
            raise _damaged(
                path,
                f"line {number} of the journal {path} is not what was written there: it is "
                "damaged, another program's, or lines before it are missing",
            )
        torn = entry is None
        size += len(line)
        if entry is not None and not entry.get(FOLLOWING):
            complete = size
    if complete == len(content):
        return None
    paths = (path.with_name(f"{path.name}.torn-{n}") for n in count(1))
    torn_path = next(each for each in paths if not each.exists())
    write_file(torn_path, content[complete:])
    write_file(path, content[:complete])
    return torn_path


def _damaged(path: Path, message: str) -> RunError:
    return folder_error(path, message, "put the file back from a copy, or start a new search")


class _Chain:
    """Verifies successive entries by their chain of digests.

    Entries of older versions have no digest, or one of the entry only; chained entries may follow.
    """

    def __init__(self) -> None:
        self._last = _FIRST
        self._are_sealed = self._are_chained = False

    def accepts(self, entry: Entry) -> bool:
        """Whether the entry may follow those before it."""
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
    """The digest of an entry, without its own digest, and of the previous digest."""
    content = {name: value for name, value in entry.items() if name != DIGEST}
    return sha256((before + json.dumps(content, sort_keys=True)).encode())[:16]


def _last_digest(path: Path) -> str:
    lines = path.read_bytes().splitlines()
    return (_entry(lines[-1] + b"\n") or {}).get(DIGEST, _FIRST) if lines else _FIRST


def _entry(line: bytes) -> Entry | None:
    """The entry on a line; None if the line is torn, {} if it is not a JSON object."""
    if not line.endswith(b"\n"):
        return None
    try:
        entry = parsed_json(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else {}
