"""Weight files that a spec names: found inside its folder tree and hashed."""

import hashlib
import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from ktgdsl.diagnostics.source import Span
from ktgdsl.files import expand_home
from ktgdsl.lowering.resolve import Resolver
from ktgdsl.plan.model import WeightsFile

_SETTLED = 2.0
"""Seconds after which a further change of a file has another time, whatever the file system."""


def weights_file(
    resolver: Resolver, written: str, span: Span, folder: Path, inside: Sequence[Path]
) -> WeightsFile | None:
    """The file of weights at a path relative to `folder`; None after a complaint.

    It has to lie inside of one of the folders `inside`.
    """
    try:
        place = (folder / expand_home(written)).resolve()
        if not any(place.is_relative_to(each.resolve()) for each in inside):
            problem = f'the weights "{written}" lie outside of the folder tree of the spec'
        elif not place.is_file():
            problem = f'there is no file "{written}" with weights'
        else:
            return WeightsFile.model_construct(path=written, file=str(place), sha256=_sha256(place))
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL character
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        problem = f'the weights "{written}" cannot be read: {reason}'
    resolver.complain("E406", problem, span, "paths are relative to the folder of the spec")
    return None


def _sha256(place: Path) -> str:
    """The digest of a file, cached while it is unchanged: an editor checks at each keystroke."""
    now = place.stat()
    changed = max(now.st_mtime, now.st_ctime)
    digest = _digest if time.time() - changed > _SETTLED else _digest.__wrapped__
    return digest(place, (now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns))


@lru_cache(maxsize=64)
def _digest(place: Path, _state: tuple[int, ...]) -> str:
    with place.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
