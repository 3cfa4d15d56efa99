"""The folder of a run: its layout, and how its files are begun, added to and cut back.

    spec.ktg                     the spec as text
    plan.json                    the plan
    environment.json             versions, device, threads, seeds, command, start
    metrics.jsonl                one line per epoch and node
    checkpoint.pt                where the run stands, until it is finished
    nodes/NAME.safetensors       the networks of the first seed
    repeat-2/nodes/...           those of the second, and so on
    result.json                  the accuracies: a folder that has it is finished

Whenever the run is killed, what is there is enough to go on from.
"""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from shlex import quote
from typing import Any

from ktgdsl.plan.model import Plan
from ktgdsl.training.checkpoint import unusable, write_atomically, writing
from ktgdsl.training.events import EpochDone
from ktgdsl.training.result import RunResult

if sys.platform == "win32":
    fcntl = None
else:
    import fcntl


@dataclass(frozen=True)
class RunFolder:
    """A run's folder on disk. Every method raises RunError (E502) where a file fails it."""

    path: Path

    @property
    def checkpoint(self) -> Path:
        """The checkpoint, there while the run is not finished."""
        return self.path / "checkpoint.pt"

    @property
    def metrics(self) -> Path:
        """The metrics, one JSON object a line."""
        return self.path / "metrics.jsonl"

    def weights(self, name: str, repeat: int = 1) -> Path:
        """Where the network of a node lies, repeats counted from 1."""
        base = self.path if repeat == 1 else self.path / f"repeat-{repeat}"
        return base / "nodes" / f"{name}.safetensors"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keeps other processes out of the folder meanwhile.

        Raises RunError (E502) when one is at work in it. Where the system or the disk has no
        such locks, nobody is kept out.
        """
        if fcntl is None:
            yield
            return
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            with suppress(OSError):  # of a disk that has no locks
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise unusable(
                        self.path,
                        f"another process is at work in the folder {self.path}",
                        "let it finish, or stop it first",
                    ) from None
            yield
        finally:
            os.close(descriptor)

    def add_metrics(self, lines: list[dict[str, Any]]) -> None:
        """Appends lines to the metrics: all of them or none."""
        text = "".join(json.dumps(line, allow_nan=False) + "\n" for line in lines)
        with writing(self.metrics), self.metrics.open("ab", buffering=0) as file:
            end = file.seek(0, os.SEEK_END)
            try:
                _write_all(file.fileno(), text.encode())
                os.fsync(file.fileno())
            except OSError:
                file.truncate(end)
                raise

    def cut_metrics(self, repeat: int, epoch: int) -> None:
        """Drops every line after that epoch of that repeat, and a line that a kill tore."""
        if not self.metrics.exists():
            return
        kept = []
        for line in _read(self.metrics).splitlines(keepends=True):
            try:
                said = json.loads(line)
                done = (said["repeat"], said["epoch"]) <= (repeat, epoch)
            except (ValueError, TypeError, KeyError):
                break
            if done and line.endswith("\n"):
                kept.append(line)
        write_atomically(self.metrics, "".join(kept).encode())

    def environment(self) -> dict[str, Any]:
        """What `environment.json` says; nothing if it is missing or unreadable."""
        try:
            content = json.loads((self.path / "environment.json").read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def write_environment(self, environment: Mapping[str, Any]) -> None:
        """Replaces `environment.json`."""
        text = json.dumps(environment, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        write_atomically(self.path / "environment.json", text.encode())

    def plan(self) -> Plan:
        """The plan of the run."""
        path = self.path / "plan.json"
        if not path.is_file():
            raise _no_run(self.path)
        try:
            return Plan.from_json(_read(path))
        except ValueError as error:
            raise unusable(
                path,
                f"{path} cannot be read as a plan: it is damaged, or of another version",
                "start a new run from the spec",
            ) from error

    def result(self) -> RunResult | None:
        """The result, or None while the run is not finished."""
        path = self.path / "result.json"
        if not path.exists():
            return None
        try:
            return RunResult.from_json(_read(path), self.path)
        except ValueError as error:
            raise unusable(
                path,
                f"{path} cannot be read as the result of a run",
                "put the file back from a copy, or start a new run from the spec",
            ) from error

    def finish(self, result: RunResult) -> None:
        """Writes the result, which ends the run; only then the checkpoint is let go."""
        write_atomically(self.path / "result.json", result.to_json().encode())
        self.checkpoint.unlink(missing_ok=True)

    def discard_unused(self) -> None:
        """Removes the folder if no epoch was kept in it, so that a failed start leaves nothing."""
        began = ("plan.json", "spec.ktg", "environment.json")
        if any(entry.name not in began for entry in self.path.iterdir()):
            return
        for name in began:
            (self.path / name).unlink(missing_ok=True)
        self.path.rmdir()


def create(
    plan: Plan, out: Path | None, spec: str | None, environment: Mapping[str, Any]
) -> RunFolder:
    """A new folder with what is known before training: `out`, or `runs/NAME`, `runs/NAME-2`, ...

    Raises RunError (E502) when `out` exists and is not empty, or nothing can be written.
    """
    folder = RunFolder(_claim(out) if out is not None else _claim_default(plan.graph.name))
    try:
        write_atomically(folder.path / "plan.json", plan.to_json().encode())
        if spec is not None:
            write_atomically(folder.path / "spec.ktg", spec.encode())
        folder.write_environment(environment)
    except BaseException:
        folder.discard_unused()
        raise
    return folder


def _claim(path: Path) -> Path:
    if path.exists() and not path.is_dir():
        raise unusable(
            path, f"{path} is a file, not a folder", "choose another folder with `--out`"
        )
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)
        if next(path.iterdir(), None) is None:
            return path
    verb = "search" if is_search(path) else "run"
    going_on = f", or go on with the {verb} in it: `ktgc {verb} --resume {quote(str(path))}`"
    raise unusable(
        path,
        f"the folder {path} exists and is not empty",
        "choose another folder with `--out`" + going_on * (path / "plan.json").exists(),
    )


def _claim_default(name: str) -> Path:
    for number in count(1):
        path = Path("runs", name if number == 1 else f"{name}-{number}")
        with writing(path):
            path.parent.mkdir(exist_ok=True)
            # mkdir is what decides between two runs that start at once.
            try:
                path.mkdir()
            except FileExistsError:
                continue
        return path
    raise AssertionError("numbers do not end")


def find(path: Path) -> RunFolder:
    """The run folder at `path`. Raises RunError (E502) when there is none."""
    if not path.exists():
        raise unusable(path, f"there is no folder {path}", "check the path")
    if not (path / "plan.json").is_file():
        raise _no_run(path)
    if is_search(path):
        raise _a_search(path)
    return RunFolder(path)


def is_search(path: Path) -> bool:
    """Whether a search is kept in the folder, finished or not: only that has a space."""
    return (path / "space.ktg").is_file()


def _a_search(path: Path) -> Exception:
    best, ways = path / "best.ktg", []
    if not (path / "result.json").exists():
        ways.append(f"go on with it: `ktgc search --resume {quote(str(path))}`")
    if best.exists():
        ways.append(f"train its best graph, as it keeps no networks: `ktgc run {quote(str(best))}`")
    message = f"{path} is the folder of a search, not of a run"
    return unusable(path, message, ", or ".join(ways) or None)


def _no_run(path: Path) -> Exception:
    runs = sorted(path.glob("*/plan.json")) if path.is_dir() else []
    listed = ", ".join(str(plan.parent) for plan in runs[:3])
    help = f"the runs in it are {listed}" if runs else "name the folder that `ktgc run` wrote"
    return unusable(path, f"{path} is not the folder of a run: it has no plan.json", help)


def metric_lines(plan: Plan, repeat: int, done: EpochDone) -> list[dict[str, Any]]:
    """What `metrics.jsonl` says of an epoch: one line per node, accuracies in percent.

    The loss and learning rate of a node that does not learn are null.
    """
    metrics = done.metrics
    return [
        {
            "repeat": repeat,
            "epoch": done.epoch,
            "node": node.name,
            "loss": metrics.loss.get(node.name),
            "accuracy": metrics.accuracy[node.name],
            f"{done.split}_accuracy": done.accuracy[node.name],
            "learning_rate": done.learning_rate.get(node.name),
            "edges": {
                str(edge.source): asdict(metrics.edges[edge.key])
                for edge in plan.graph.into(node.name)
            },
        }
        for node in plan.graph.nodes
    ]


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        reason = error.strerror or str(error)
        raise unusable(path, f"cannot read {path}: {reason}") from error


def _write_all(descriptor: int, content: bytes) -> None:
    """Writes it all: a nearly full disk takes a part of it without an error."""
    while content:
        content = content[os.write(descriptor, content) :]
