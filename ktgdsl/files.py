"""Files written whole or not at all, and the folder for caches."""

import os
import secrets
from contextlib import suppress
from pathlib import Path


def expanded(path: str | os.PathLike[str]) -> Path:
    """A path as users write it, with `~` for their home if they have one."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def write_whole(path: Path, content: bytes) -> None:
    """Put `content` at `path` on the disk; at every moment the old file or the new is there.

    The new file has the permissions of the old. Raises OSError and leaves the old file.
    """
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with partial.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):
            partial.chmod(path.stat().st_mode)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make a rename last through a power cut, where the system lets a folder be opened."""
    with suppress(PermissionError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def cache_root() -> Path:
    """$KTGDSL_CACHE, else ktgdsl in $XDG_CACHE_HOME or in ~/.cache. RuntimeError without a home."""
    if own := os.environ.get("KTGDSL_CACHE"):
        return Path(own).expanduser()
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared) / "ktgdsl"
    return Path.home() / ".cache" / "ktgdsl"


def private_folder(path: Path) -> Path | None:
    """The folder, created if it is missing; None unless it is ours and only we can write to it."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = path.stat()
    except OSError:
        return None
    if os.name == "posix" and (status.st_uid != os.geteuid() or status.st_mode & 0o022):
        return None
    return path
