"""Checks on resume: code, data and files are those that the run or search began with."""

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


def resumptions(environment: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The entries of `environment.json` for each resume of the run."""
    return list(environment.get("resumed", []))


def changed_code(environment: Mapping[str, Any], code: Mapping[str, SourceFile]) -> list[str]:
    """The user's source files, by name, that differ from those that were used last.

    A file that is only imported while a call of the user's is under way is compared where it was.
    None differs where an older version noted none.
    """
    if "code" not in environment:
        return []
    noted: dict[str, dict[str, str]] = last_noted(environment, "code")

    def is_the_same(name: str) -> bool:
        if name not in noted:
            return False
        file = code.get(name)
        after = sha256_at(Path(noted[name]["path"])) if file is None else file.sha256
        return noted[name]["sha256"] == after

    return [name for name in sorted({*noted, *code}) if not is_the_same(name)]


def changed_code_notes(folder: RunFolder, environment: Mapping[str, Any]) -> list[str]:
    """A sentence for each time that a run or search was resumed with other code than before."""
    notes, before = [], environment.get("code", {})
    for number, resumed in enumerate(resumptions(environment), start=2):
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
    """Where the code is kept that a run was begun with, 1, or resumed with."""
    return folder.path / ("code" if number == 1 else f"code-{number}")


def mixes_code(environment: Mapping[str, Any]) -> bool:
    """Whether a run or search was resumed with other code than it was begun with."""
    return any("code" in resumed for resumed in resumptions(environment))


def changes_to_resume(
    folder: RunFolder,
    plan: Plan,
    environment: Mapping[str, Any],
    verb: str,
    allow_changed: bool,
) -> dict[str, Any]:
    """The entry for a resume with changed code, for `environment.json`; {} if the code is the same.

    Changed code is copied into the folder, to `code-2` and so on. Raises RunError when it has
    changed and may not (E502), or the data have (E508).
    """
    changed = changed_code(environment, user_sources(plan))
    if changed and not allow_changed:
        noted = [1, *(n for n, each in enumerate(resumptions(environment), 2) if "code" in each)]
        when = "begun" if noted[-1] == 1 else "last resumed"
        command = f"ktgc {verb} --resume {shlex.quote(str(folder.path))} --allow-changed-code"
        raise folder_error(
            folder.path,
            f"the code that {folder.path} was {when} with has changed: {', '.join(changed)}",
            f"put it back, it is kept in {_code_folder(folder, noted[-1])}, or start anew; to go "
            f"on with the code as it is now: `{command}`",
        )
    from ktgdsl.training.identity import identify  # reads data, with torch

    _, now = identify(plan)
    of_code = changed and plan.data.source.name == "python"
    if now.data != last_noted(environment, "data") and not of_code:
        raise data_error(
            f"the data are not those that {folder.path} was begun with: an image or a label is "
            "another one",
            "put them back, or start anew",
            folder.path,
        )
    if not changed:
        return {}
    folder.write_code(now.code, _code_folder(folder, len(resumptions(environment)) + 2).name)
    return now.as_json()


def note_imported_code(folder: RunFolder, code: Mapping[str, SourceFile]) -> None:
    """Add source files that were found only when the networks were made."""
    environment = folder.environment()
    new = {name: code[name] for name in code.keys() - last_noted(environment, "code").keys()}
    if new:
        folder.write_code(new)
        last_noted(environment, "code").update(sources_as_json(new)["code"])
        folder.write_environment(environment)


def last_noted(environment: Mapping[str, Any], name: str) -> Any:
    """The code, or the digest of the data, that was used last."""
    noted = environment[name]
    for each in resumptions(environment):
        noted = each.get(name, noted)
    return noted


def sha256_at(path: Path) -> str | None:
    """The SHA-256 of a file, None where it cannot be read."""
    try:
        return sha256(path.read_bytes())
    except OSError:
        return None
