"""The environment of a run as flat names and values: data, code, versions and device."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ktgdsl.training.resume_checks import last_recorded
from ktgdsl.training.run_folder import RunFolder

CONTENT = ("content of data", "code ")
"""The prefixes of the names whose values change a result on any machine."""


def environment_facts(folder: str | Path) -> dict[str, str]:
    """Flat names and values of `environment.json`; nothing where there is none.

    Raises RunError (E502) when it is damaged.
    """
    run = RunFolder(Path(folder))
    if not (run.path / "environment.json").exists():
        return {}
    environment = run.environment()
    noted = {"data": "content of data", "deterministic": "deterministic"}
    found = {
        name: _short(last_recorded(environment, field))
        for field, name in noted.items()
        if environment.get(field) is not None
    }
    code: Mapping[str, Any] = last_recorded(environment, "code") if "code" in environment else {}
    found |= {f"code {name}": _short(file["sha256"]) for name, file in code.items()}
    for name in ("device", "device_name", "threads"):
        if name in environment:
            found[name] = str(environment[name])
    versions: Mapping[str, Any] = environment.get("versions", {})
    return found | {f"version of {name}": str(version) for name, version in versions.items()}


def _short(value: object) -> str:
    """A digest by its first digits; anything else as it is."""
    return value[:12] if isinstance(value, str) else str(value).lower()
