"""The folder of a run: reading and writing its files.

    spec.ktg                     the spec as text
    code/                        the user's own modules that the plan names, and what they import
    environment.json             versions, device, threads, seeds, command, start; digests of the
                                 plan, the code and the data
    plan.json                    the plan, which is written last of these
    metrics.jsonl                one line per epoch and node
    checkpoint.pt                where to resume; removed when the run is finished
    nodes/NAME.safetensors       the networks of the first seed
    classes.json                 the names of the classes in the order of the logits, if known
    repeat-2/nodes/...           those of the second, and so on
    result.json                  the accuracies: a folder that has it is finished

A run can be resumed from its folder whenever it was killed.
"""

import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from ktgdsl.backend.user_sources import SourceFile
from ktgdsl.errors import RunError
from ktgdsl.files import parsed_json, sealed_json, sha256, unsealed_json
from ktgdsl.plan.heads import ClassNames
from ktgdsl.plan.model import Plan
from ktgdsl.plan.validity import why_invalid
from ktgdsl.training.environment_fields import invalid_setting
from ktgdsl.training.result import RunResult
from ktgdsl.training.run_files import (
    folder_error,
    read_file,
    reporting_read_errors,
    reporting_write_errors,
    write_file,
)

if sys.platform == "win32":
    fcntl = None
else:
    import fcntl

PLAN, CLASSES, SPEC, SPACE = "plan", "classes", "spec", "space"
"""The fields of `environment.json` with digests: of `plan.json`, `classes.json`, `spec.ktg`."""


_FROM_A_COPY = "put the file back from a copy, or start anew from the spec"


@dataclass(frozen=True)
class RunFolder:
    """The folder of a run. Every method raises RunError (E502) when a file cannot be used."""

    path: Path

    @property
    def checkpoint(self) -> Path:
        """The checkpoint, which exists while the run is not finished."""
        return self.path / "checkpoint.pt"

    @property
    def metrics(self) -> Path:
        """The metrics, one JSON object a line."""
        return self.path / "metrics.jsonl"

    def weights(self, name: str, repeat: int = 1) -> Path:
        """The file of a node's weights, repeats counted from 1."""
        base = self.path if repeat == 1 else self.path / f"repeat-{repeat}"
        return base / "nodes" / f"{name}.safetensors"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock of the folder, so that no other process trains in it.

        Raises RunError (E502) when another process has it. Where the system or the disk has no
        such locks, other processes are not kept out.
        """
        if fcntl is None:
            yield
            return
        with reporting_read_errors(self.path):
            descriptor = os.open(self.path, os.O_RDONLY)
        try:
            with suppress(OSError):  # of a disk that has no locks
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise folder_error(
                        self.path,
                        f"another process is at work in the folder {self.path}",
                        "let it finish, or stop it first",
                    ) from None
            yield
        finally:
            os.close(descriptor)

    def environment(self) -> dict[str, Any]:
        """The content of `environment.json`."""
        path = self.path / "environment.json"
        try:
            content, is_sealed = unsealed_json(read_file(path))
        except ValueError as error:
            raise _changed(path) from error
        if not is_sealed and PLAN in content:
            raise _changed(path)
        if wrong := invalid_setting(content):
            raise folder_error(path, f"{path} says what cannot be: {wrong}", _FROM_A_COPY)
        return content

    def environment_to_resume(self) -> dict[str, Any]:
        """The content of `environment.json`, of an unfinished run that this version can resume."""
        content = self.environment()
        if PLAN not in content:
            version = content.get("versions", {}).get("ktgdsl", "an older version")
            raise folder_error(
                self.path,
                f"what is in {self.path} was begun by ktgdsl {version}, which did not keep what a "
                "resume is checked against: digests of the plan, of code and of data",
                "start anew from the spec, or resume it with the version that wrote it",
            )
        return content

    def write_environment(self, environment: Mapping[str, Any]) -> None:
        """Write `environment.json`, or replace it."""
        write_file(self.path / "environment.json", sealed_json(environment).encode())

    def write_code(self, code: Mapping[str, SourceFile], folder: str = "code") -> None:
        """Write copies of the user's own modules, in folders as Python finds packages in them."""
        for name, file in code.items():
            path = self.path / folder / name
            with reporting_write_errors(path):
                path.parent.mkdir(parents=True, exist_ok=True)
            write_file(path, file.content)

    def classes(self) -> ClassNames | None:
        """The names of the classes in the order of the logits; None where they are not known.

        By label where samples have several.

        Raises RunError (E502) when the file is not what was written there.
        """
        path = self.path / "classes.json"
        try:
            content = path.read_bytes()
            if self.environment().get(CLASSES) not in (None, sha256(content)):
                raise _changed(path)
            names = parsed_json(content)
        except (OSError, ValueError):
            return None
        if isinstance(names, dict):
            found = {label: _names(each) for label, each in names.items()}
            return {label: each for label, each in found.items() if each is not None}
        return _names(names)

    def write_classes(self, names: ClassNames) -> None:
        """Write `classes.json`, or replace it, and note its digest."""
        content = classes_content(names)
        write_file(self.path / "classes.json", content)
        self.write_environment({**self.environment(), CLASSES: sha256(content)})

    def plan(self) -> Plan:
        """The plan of the run."""
        path = self.path / "plan.json"
        if not path.is_file():
            raise _not_a_run(self.path)
        try:
            text = read_file(path)
            plan = Plan.from_json(text)
        except ValueError as error:
            raise folder_error(
                path,
                f"{path} cannot be read as a plan: it is damaged, or of another version",
                "start a new run from the spec",
            ) from error
        if self.environment().get(PLAN) not in (None, sha256(text.encode())):
            raise _changed(path)
        if wrong := why_invalid(plan):
            raise folder_error(path, f"{path} says what no spec can: {wrong}", _FROM_A_COPY)
        return plan

    def result(self) -> RunResult | None:
        """The result, or None while the run is not finished."""
        path = self.path / "result.json"
        if not path.exists():
            return None
        try:
            return RunResult.from_json(read_file(path), self.path)
        except ValueError as error:
            raise folder_error(
                path,
                f"{path} cannot be read as the result of a run",
                "put the file back from a copy, or start a new run from the spec",
            ) from error

    def finish(self, result: RunResult) -> None:
        """Write the result, which ends the run, and then remove the checkpoint."""
        write_file(self.path / "result.json", result.to_json().encode())
        self.checkpoint.unlink(missing_ok=True)

    def discard_unused(self) -> bool:
        """Remove the folder if it has no epoch yet, so that a failed start leaves nothing.

        Whether it was removed.
        """
        initial = {"plan.json", "spec.ktg", "environment.json", "code"}
        with suppress(OSError):  # somebody else has removed it, or put something in its place
            if {entry.name for entry in self.path.iterdir()} <= initial:
                shutil.rmtree(self.path)
                return True
        return False


def classes_content(names: ClassNames) -> bytes:
    """The content of `classes.json`."""
    text = json.dumps(names, indent=2, ensure_ascii=False) + "\n"
    return text.encode("utf-8", "replace")


def _names(names: Any) -> tuple[str, ...] | None:
    known = isinstance(names, list) and all(isinstance(name, str) for name in names)
    return tuple(names) if known else None


def require_result_of(plan: Plan, result: RunResult) -> None:
    """Raise RunError (E502) for a result that lacks nodes of the plan beside it."""
    missing = [node.name for node in plan.graph.evaluated if node.name not in result.nodes]
    if missing:
        path = result.folder / "result.json"
        message = f"{path} is of another run: it has no node `{missing[0]}`"
        raise folder_error(path, message, _FROM_A_COPY)


def open_run_folder(path: Path) -> RunFolder:
    """The run folder at `path`. Raises RunError (E502) when there is none."""
    if not path.exists():
        raise folder_error(path, f"there is no folder {path}", "check the path")
    if not (path / "plan.json").is_file():
        raise _not_a_run(path)
    if is_search_folder(path):
        raise _is_a_search(path)
    return RunFolder(path)


def is_search_folder(path: Path) -> bool:
    """Whether it is the folder of a search, finished or not: only that has a space."""
    return (path / "space.ktg").is_file()


def _is_a_search(path: Path) -> Exception:
    best, options = path / "best.ktg", []
    if not (path / "result.json").exists():
        options.append(f"go on with it: `ktgc search --resume {quote(str(path))}`")
    kept = sorted(path.glob("kept/trial-*"))
    if kept:
        options.append(f"name a trial whose networks it keeps, such as {quote(str(kept[0]))}")
    elif best.exists():
        options.append(
            f"train its best graph, as it keeps no networks: `ktgc run {quote(str(best))}`"
        )
    message = f"{path} is the folder of a search, not of a run"
    return folder_error(path, message, ", or ".join(options) or None)


def _not_a_run(path: Path) -> Exception:
    runs = sorted(path.glob("*/plan.json")) if path.is_dir() else []
    listed = ", ".join(str(plan.parent) for plan in runs[:3])
    help = f"the runs in it are {listed}" if runs else "name the folder that `ktgc run` wrote"
    return folder_error(path, f"{path} is not the folder of a run: it has no plan.json", help)


def _changed(path: Path) -> RunError:
    return folder_error(
        path,
        f"{path} is not what was written there: it is damaged, or was changed by hand",
        _FROM_A_COPY,
    )
