"""Checks on resume that the user's code and the data have not changed."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ktgdsl.backend.user_sources import SourceFile, sources_as_json, user_sources
from ktgdsl.files import sha256
from ktgdsl.plan.model import Plan
from ktgdsl.training.datasets.errors import data_error
from ktgdsl.training.run_files import folder_error
from ktgdsl.training.run_folder import RunFolder


def resume_entries(environment: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The entries of `environment.json` for each resume of the run."""
    return list(environment.get("resumed", []))


def changed_code(environment: Mapping[str, Any], code: Mapping[str, SourceFile]) -> list[str]:
    """The names of the user's source files that differ from the last recorded ones.

    `code` may lack a file that is imported only inside a user's function: its recorded path is
    read. Empty if an older version, which recorded no code, started the run.
    """
    if "code" not in environment:
        return []
    recorded: dict[str, dict[str, str]] = last_recorded(environment, "code")

    def is_unchanged(name: str) -> bool:
        if name not in recorded:
            return False
        file = code.get(name)
        now = sha256_at(Path(recorded[name]["path"])) if file is None else file.sha256
        return recorded[name]["sha256"] == now

    return [name for name in sorted({*recorded, *code}) if not is_unchanged(name)]


def changed_code_notes(folder: RunFolder, environment: Mapping[str, Any]) -> list[str]:
    """One sentence for each resume of a run or search with changed code."""
    notes, before = [], environment.get("code", {})
    for number, resumed in enumerate(resume_entries(environment), start=2):
        if "code" not in resumed:
            continue
        digests = [{name: each["sha256"] for name, each in resumed["code"].items()}]
        digests.insert(0, {name: each["sha256"] for name, each in before.items()})
        before = resumed["code"]
        names = sorted({name for name, _ in digests[0].items() ^ digests[1].items()})
        copy = _code_folder(folder, number)
        notes.append(f"resumed with other code than before: {', '.join(names)}, kept in {copy}")
    return notes


def _code_folder(folder: RunFolder, number: int) -> Path:
    """The folder with the code of the run's start (number 1), or of a resume (2, 3, ...)."""
    return folder.path / ("code" if number == 1 else f"code-{number}")


def mixes_code(environment: Mapping[str, Any]) -> bool:
    """Whether a run or search was resumed with changed code."""
    return any("code" in resumed for resumed in resume_entries(environment))


def changes_to_resume(
    folder: RunFolder,
    plan: Plan,
    environment: Mapping[str, Any],
    verb: str,
    allow_changed: bool,
) -> dict[str, Any]:
    """The entry in `environment.json` of a resume with changed code; {} if the code is unchanged.

    Changed code is copied to the folder, as `code-2` and so on. Raises RunError when the code has
    changed without `allow_changed` (E502), or the data have changed (E508).
    """
    changed = changed_code(environment, user_sources(plan))
    if changed and not allow_changed:
        entries = enumerate(resume_entries(environment), start=2)
        last = max((number for number, each in entries if "code" in each), default=1)
        when = "begun" if last == 1 else "last resumed"
        command = f"ktgc {verb} --resume {shlex.quote(str(folder.path))} --allow-changed-code"
        raise folder_error(
            folder.path,
            f"the code that {folder.path} was {when} with has changed: {', '.join(changed)}",
            f"put it back, it is kept in {_code_folder(folder, last)}, or start anew; to go "
            f"on with the code as it is now: `{command}`",
        )
    from ktgdsl.training.identity import identify  # reads data, with torch

    _, now = identify(plan)
    of_code = changed and plan.data.source.name == "python"
    if now.data != last_recorded(environment, "data") and not of_code:
        raise data_error(
            f"the data are not those that {folder.path} was begun with: an image or a label is "
            "another one",
            "put them back, or start anew",
            folder.path,
        )
    if not changed:
        return {}
    folder.write_code(now.code, _code_folder(folder, len(resume_entries(environment)) + 2).name)
    return now.as_json()


def record_imported_code(folder: RunFolder, code: Mapping[str, SourceFile]) -> None:
    """Record source files that were first imported when the networks were constructed."""
    environment = folder.environment()
    new = {name: code[name] for name in code.keys() - last_recorded(environment, "code").keys()}
    if new:
        folder.write_code(new)
        last_recorded(environment, "code").update(sources_as_json(new)["code"])
        folder.write_environment(environment)


def last_recorded(environment: Mapping[str, Any], name: str) -> Any:
    """The value of a field, "code" or "data", after the last resume that recorded it."""
    value = environment[name]
    for entry in resume_entries(environment):
        value = entry.get(name, value)
    return value


def sha256_at(path: Path) -> str | None:
    """The SHA-256 of a file, None if it cannot be read."""
    try:
        return sha256(path.read_bytes())
    except OSError:
        return None
