"""Whether what a run or search was begun with is what there is now, as far as its folder says."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ktgdsl.files import sha256
from ktgdsl.training.identity import Identity
from ktgdsl.training.run_files import folder_error
from ktgdsl.training.run_folder import RunFolder


def resumptions(environment: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What `environment.json` says of each time that the run was resumed."""
    return list(environment.get("resumed", []))


def changed_code(environment: Mapping[str, Any], now: Identity) -> list[str]:
    """The user's source files, by name, that differ from those that were used last.

    A file that is only imported while a call of the user's is under way is compared where it was.
    None differs where an older version noted none.
    """
    if "code" not in environment:
        return []
    noted = _noted_code(environment)

    def is_the_same(name: str) -> bool:
        if name not in noted:
            return False
        file = now.code.get(name)
        after = _sha256_at(Path(noted[name]["path"])) if file is None else file.sha256
        return noted[name]["sha256"] == after

    return [name for name in sorted({*noted, *now.code}) if not is_the_same(name)]


def code_to_resume(
    folder: RunFolder,
    environment: Mapping[str, Any],
    now: Identity,
    verb: str,
    allow_changed: bool,
) -> dict[str, Any]:
    """What to note of the code that a run or search is resumed with: nothing if it is the same.

    Changed code is copied into the folder, to `code-2` and so on. Raises RunError (E502) when it
    has changed and may not.
    """
    changed = changed_code(environment, now)
    if not changed:
        return {}
    if not allow_changed:
        command = f"ktgc {verb} --resume {shlex.quote(str(folder.path))} --allow-changed-code"
        raise folder_error(
            folder.path,
            f"the code that {folder.path} was begun with has changed: {', '.join(changed)}",
            f"put it back, it is kept in {folder.path / 'code'}, or start anew; to go on with the "
            f"code as it is now: `{command}`",
        )
    folder.write_code(now.code, f"code-{len(resumptions(environment)) + 2}")
    return now.as_json()


def note_imported_code(folder: RunFolder, now: Identity) -> None:
    """Add source files that were found only when the networks were made."""
    environment = folder.environment()
    new = {name: now.code[name] for name in now.code.keys() - _noted_code(environment).keys()}
    if new:
        folder.write_code(new)
        _noted_code(environment).update(Identity(new).as_json()["code"])
        folder.write_environment(environment)


def _noted_code(environment: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """The code that was used last."""
    noted: dict[str, dict[str, str]] = environment["code"]
    for each in resumptions(environment):
        noted = each.get("code", noted)
    return noted


def _sha256_at(path: Path) -> str | None:
    try:
        return sha256(path.read_bytes())
    except OSError:
        return None
