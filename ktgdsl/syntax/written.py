"""Specs that a run or a search has written: whether they are as they were then."""

from pathlib import Path
from typing import Any

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.files import sha256, unsealed_json

GRAPHS = "graphs.json"
"""The file beside the graphs of a search with their digests, by path."""

_NOTED = {"spec.ktg": "spec", "space.ktg": "space"}
"""The fields of `environment.json` with the digests of files beside it."""


def changed_since_written(path: str, text: str) -> Diagnostic | None:
    """A warning (W310) where a spec that a run or a search has written is another one now.

    None for other specs, and where no digest can be read.
    """
    file = Path(path)
    if file.name in _NOTED:
        noted = _fields(file.with_name("environment.json")).get(_NOTED[file.name])
        known = [noted] if noted else []
    else:
        folder = file.parent.parent if file.parent.name in ("top", "front") else file.parent
        known = _fields(folder / GRAPHS).get(file.relative_to(folder).as_posix(), [])
    if not known or sha256(text.encode("utf-8", "surrogatepass")) in known:
        return None
    message = f"{path} is not what was written there: it is damaged, or was changed by hand"
    help = "put it back from a copy; a spec of your own is better kept in another place"
    return Diagnostic("W310", message, help=help, path=path, severity="warning")


def _fields(path: Path) -> dict[str, Any]:
    try:
        return unsealed_json(path.read_text("utf-8"))[0]
    except (OSError, ValueError):  # there is none, or it is damaged itself
        return {}
