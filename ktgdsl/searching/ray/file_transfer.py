"""Transfers the files of trials between a worker's folder and the pool's on another machine."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from ktgdsl.files import write_atomic
from ktgdsl.searching.workers.protocol import state_path

Files = Mapping[str, bytes]
"""Contents by path relative to the folder, with slashes."""

_FOLDER = ".networks"


class WorkerFolder:
    """The folder of one worker, which trains one trial at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._last_stamps: dict[str, tuple[int, int, int]] = {}

    def reset(self, files: Files) -> None:
        """Replace the files of other trials by those of the next one."""
        for path in [*self.path.glob("trial-*"), *self.path.glob(".trial-*")]:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        for name, content in files.items():
            write_atomic(self.path / name, content)
        self._last_stamps = self._stamps()

    def take_changed(self) -> Files:
        """The files that the worker has written since the last call, each of them complete."""
        before, self._last_stamps = self._last_stamps, self._stamps()
        return {
            name: (self.path / name).read_bytes()
            for name, stamp in self._last_stamps.items()
            if before.get(name) != stamp
        }

    def _stamps(self) -> dict[str, tuple[int, int, int]]:
        paths = [*self.path.glob("trial-*.pt"), *self.path.glob(f"trial-*{_FOLDER}/**/*")]
        stats = {path: path.stat() for path in paths if path.is_file()}
        return {
            path.relative_to(self.path).as_posix(): (each.st_mtime_ns, each.st_size, each.st_ino)
            for path, each in stats.items()
        }


def files_of_trial(folder: Path, trial: int) -> Files:
    """The files in the pool's folder for a new attempt at a trial: its checkpoint, if any."""
    path = state_path(folder, trial)
    return {path.name: path.read_bytes()} if path.exists() else {}


def write_files(folder: Path, files: Files) -> None:
    """Write files of a worker to the pool's folder.

    A folder of networks must be complete, and is renamed into place last. Raises OSError.
    """
    folders = {name.partition("/")[0] for name in files if "/" in name}
    for name in folders:
        for path in (folder / name, _unfinished(folder, name)):
            shutil.rmtree(path, ignore_errors=True)  # of another attempt
    for name, content in files.items():
        top, slash, rest = name.partition("/")
        path = _unfinished(folder, top) / rest if slash else folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, content)
    for name in folders:
        _unfinished(folder, name).rename(folder / name)


def _unfinished(folder: Path, name: str) -> Path:
    return folder / f"{name}.unfinished"
