"""Atomic writes of files, digests of their content, and the folder for caches."""

import hashlib
import json
import os
import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

_SEAL = "sha256"
_SEALED_JSON = re.compile(rf',\n  "{_SEAL}": "([0-9a-f]{{64}})"\n}}\n', re.ASCII)
_SEALED_BYTES = re.compile(rb"\nsha256 ([0-9a-f]{64})\n")
_SEAL_LENGTH = 73


def sha256(content: bytes | memoryview) -> str:
    """The SHA-256 of the content of a file, in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def sealed_json(content: Mapping[str, Any]) -> str:
    """An object as JSON text, whose last field is the digest of all the text before it."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False).removesuffix("\n}")
    return f'{text},\n  "{_SEAL}": "{sha256(text.encode())}"\n}}\n'


def parsed_json(text: str | bytes) -> Any:
    """The value of a JSON text. Raises ValueError where it is none, or is nested too deeply."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("the text is nested too deeply") from error


def unsealed_json(text: str) -> tuple[dict[str, Any], bool]:
    """The object of a JSON text without its digest, and whether it has one.

    Raises ValueError where the text is no object in JSON, or not what was written.
    """
    content = parsed_json(text)
    if not isinstance(content, dict):
        raise ValueError("the file holds no JSON object")
    if content.pop(_SEAL, None) is None:
        return content, False
    seal = _SEALED_JSON.fullmatch(text, max(0, text.rfind(",")))
    if seal is None or sha256(text[: seal.start()].encode()) != seal[1]:
        raise ValueError("the file is not what was written")
    return content, True


def seal(content: bytes | memoryview) -> bytes:
    """The bytes that end a binary file: the digest of its content."""
    return f"\nsha256 {sha256(content)}\n".encode()


def unsealed(content: bytes) -> memoryview:
    """The content of a binary file before its `seal`. Raises ValueError where it is damaged."""
    body = memoryview(content)[:-_SEAL_LENGTH]
    found = _SEALED_BYTES.fullmatch(content, max(0, len(content) - _SEAL_LENGTH))
    if found is None or sha256(body) != found[1].decode():
        raise ValueError("the file is not what was written")
    return body


def expand_home(path: str | os.PathLike[str]) -> Path:
    """A path as users write it, with `~` for their home if they have one."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def write_atomic(path: Path, content: bytes) -> None:
    """Replace the file at `path` atomically: at every moment the old one or the new is there.

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
    """$KTGDSL_CACHE, else ktgdsl in $XDG_CACHE_HOME or in ~/.cache.

    Raises RuntimeError without a home, or where the path is not UTF-8, which libraries need.
    """
    if own := os.environ.get("KTGDSL_CACHE"):
        path = Path(own).expanduser()
    elif shared := os.environ.get("XDG_CACHE_HOME"):
        path = Path(shared) / "ktgdsl"
    else:
        path = Path.home() / ".cache" / "ktgdsl"
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise RuntimeError(f"the path {path} is not UTF-8") from None
    return path


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
