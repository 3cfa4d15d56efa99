"""The metadata of a logged run: hyper-parameters, tags, the text and the picture of its plan."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ktgdsl.errors import KtgError
from ktgdsl.plan.model import Plan
from ktgdsl.report.difference import facts
from ktgdsl.report.pictures.picture import picture
from ktgdsl.training.run_folder import RunFolder

NONE = "none"
"""The value of settings that are not used."""


def parameters(plan: Plan) -> dict[str, str]:
    """The hyper-parameters by names such as `train.optimizer`, `node a` and `edge b -> a`."""
    said = {name: text for name, text in facts(plan).items() if text != NONE}
    return {"graph": plan.graph.name, **said}


def tags(plan: Plan, folder: Path) -> dict[str, str]:
    """The tags of a training: its digests, versions and device."""
    environment: Mapping[str, Any] = RunFolder(folder).environment()
    versions = environment.get("versions", {})
    return {
        "digest": plan.digest,
        "canonical_digest": plan.canonical_digest,
        "folder": str(folder),
        **{name: str(versions[name]) for name in ("ktgdsl", "torch") if name in versions},
        "device": str(environment.get("device", "")),
    }


def kept_text(folder: Path, name: str) -> str:
    """The spec or the space that lies in a folder; nothing where a run was begun without one."""
    path = folder / name
    return path.read_text("utf-8", "replace") if path.is_file() else ""


def picture_of(plan: Plan) -> Callable[[str], bytes | None]:
    """Draws the graph for a suffix; None where it is too large, or matplotlib is missing."""

    def draw(suffix: str) -> bytes | None:
        try:
            return picture(plan, suffix)
        except KtgError:
            return None

    return draw
