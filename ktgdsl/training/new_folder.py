"""Creates the folder of a run or a search, with the files that are written before training."""

from collections.abc import Mapping
from itertools import count
from pathlib import Path
from shlex import quote
from typing import Any

from ktgdsl.files import sha256
from ktgdsl.lowering.moved_specs import moved_text
from ktgdsl.plan.model import Plan
from ktgdsl.training.identity import Identity
from ktgdsl.training.run_files import folder_error, reporting_write_errors, write_file
from ktgdsl.training.run_folder import PLAN, SPEC, RunFolder, is_search_folder


def create_run_folder(
    plan: Plan,
    out: Path | None,
    spec: str | None,
    environment: Mapping[str, Any],
    identity: Identity,
) -> RunFolder:
    """Create the folder of a run, with the files that are written before training.

    Args:
        plan: of the run.
        out: the folder, new or empty; by default `runs/NAME`, or `runs/NAME-2` and so on.
        spec: the text of the spec.
        environment: the content of `environment.json`, without digests.
        identity: of the training.

    Raises RunError (E502) when `out` exists and is not empty, or nothing can be written.
    """
    folder = RunFolder(_create_at(out) if out is not None else _create_default(plan.graph.name))
    content = plan.to_json().encode()
    digests = {PLAN: sha256(content)}
    try:
        if spec is not None:
            text = moved_text(spec, Path(plan.folder or "."), folder.path)
            write_file(folder.path / "spec.ktg", text.encode())
            digests[SPEC] = sha256(text.encode())
        folder.write_code(identity.code)
        folder.write_environment({**environment, **digests, **identity.as_json()})
        write_file(folder.path / "plan.json", content)
    except BaseException:
        folder.discard_unused()
        raise
    return folder


def _create_at(path: Path) -> Path:
    if path.exists() and not path.is_dir():
        raise folder_error(
            path, f"{path} is a file, not a folder", "choose another folder with `--out`"
        )
    with reporting_write_errors(path):
        path.mkdir(parents=True, exist_ok=True)
        if next(path.iterdir(), None) is None:
            return path
    verb = "search" if is_search_folder(path) else "run"
    resuming = f", or go on with the {verb} in it: `ktgc {verb} --resume {quote(str(path))}`"
    raise folder_error(
        path,
        f"the folder {path} exists and is not empty",
        "choose another folder with `--out`" + resuming * (path / "plan.json").exists(),
    )


def _create_default(name: str) -> Path:
    for number in count(1):
        path = Path("runs", name if number == 1 else f"{name}-{number}")
        with reporting_write_errors(path):
            path.parent.mkdir(exist_ok=True)
            # mkdir decides between two runs that start at the same time.
            try:
                path.mkdir()
            except FileExistsError:
                continue
        return path
    raise AssertionError("numbers do not end")
