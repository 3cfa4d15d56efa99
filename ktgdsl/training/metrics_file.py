"""The metrics file of a run, `metrics.jsonl`: formats, appends, reads and truncates its lines."""

import json
import os
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from ktgdsl.files import sha256
from ktgdsl.plan.heads import by_head
from ktgdsl.plan.model import LOGITS, Edge, Plan
from ktgdsl.training.events import EpochDone
from ktgdsl.training.run_files import (
    folder_error,
    reporting_read_errors,
    reporting_write_errors,
    write_file,
)

_WITHOUT_LINES = "put the file back from a copy, or delete it to go on without its lines"


class _Line(BaseModel):
    """The fields of a line of `metrics.jsonl` that are read here."""

    model_config = ConfigDict(strict=True, defer_build=True)

    repeat: int
    epoch: int


def metric_lines(plan: Plan, repeat: int, done: EpochDone) -> list[dict[str, Any]]:
    """The lines of `metrics.jsonl` for an epoch: one per node, accuracies in percent.

    The loss and learning rate of a node that does not learn are null. With phases a line names
    its phase, which has the nodes that it computes and the edges that are open in it; an accuracy
    is null where no logits are computed. An edge into the logits is named by its source,
    `b` or `b.stage2`, and any other in full, `b.stage2 -> a.stage1`. Where the
    phase ends early, `stopped` says why. Metrics of the plan follow the accuracy. Those of a node
    with several heads are means, and `heads` has those of each.
    """
    metrics = done.metrics
    phase = {} if done.phase is None else {"phase": done.phase}
    stopped = {"stopped": done.stopped} if done.stopped else {}
    return [
        {
            "repeat": repeat,
            **phase,
            "epoch": done.epoch,
            "node": node.name,
            "loss": metrics.loss.get(node.name),
            "accuracy": metrics.accuracy.get(node.name),
            f"{done.split}_accuracy": done.accuracy[node.name],
            **_measured(done, node.name),
            **_by_head(done, node.name),
            "learning_rate": done.learning_rate.get(node.name),
            "edges": {
                name_among(edge): asdict(metrics.edges[edge.key])
                for edge in plan.graph.into(node.name)
                if edge.key in metrics.edges
            },
            **stopped,
        }
        for node in plan.graph.evaluated
        if node.name in done.accuracy
    ]


def _measured(done: EpochDone, answer: str) -> dict[str, float]:
    """The metrics of a node or of one of its heads."""
    return {f"{done.split}_{k}": v for k, v in done.measured.get(answer, {}).items()}


def _by_head(done: EpochDone, node: str) -> dict[str, Any]:
    """The accuracies of each head of a node that has several."""
    seen = by_head(done.metrics.accuracy, node)
    heads = {
        head: {
            "accuracy": seen.get(head),
            f"{done.split}_accuracy": accuracy,
            **_measured(done, f"{node}.{head}"),
        }
        for head, accuracy in by_head(done.accuracy, node).items()
    }
    return {"heads": heads} if heads else {}


def name_among(edge: Edge) -> str:
    """The name of an edge among those into its node: its source where that says which it is."""
    from_itself = edge.source == edge.destination  # from view to view; a unary term is the node's
    into_logits = edge.destination.tap == LOGITS and not edge.unary
    return str(edge.source) if into_logits and not from_itself else str(edge)


def append_metrics(path: Path, lines: list[dict[str, Any]]) -> None:
    """Append lines to the metrics: all of them or none."""
    text = "".join(json.dumps(line, allow_nan=False) + "\n" for line in lines)
    with reporting_write_errors(path), path.open("ab", buffering=0) as file:
        end = file.seek(0, os.SEEK_END)
        try:
            _write_all(file.fileno(), text.encode())
            os.fsync(file.fileno())
        except OSError:
            file.truncate(end)
            raise


def metrics_digest(path: Path) -> str | None:
    """The SHA-256 of the metrics, None where there are none."""
    with reporting_read_errors(path):
        return sha256(path.read_bytes()) if path.exists() else None


def last_epoch(path: Path) -> tuple[int, int] | None:
    """The repeat and the epoch of the last line that is whole, None where there is none."""
    if not path.exists():
        return None
    with reporting_read_errors(path):
        lines = path.read_bytes().splitlines()
    for line in reversed(lines):
        with suppress(ValueError):
            entry = _Line.model_validate_json(line)
            return entry.repeat, entry.epoch
    return None


def truncate_metrics(path: Path, repeat: int, epoch: int, digest: str | None = None) -> None:
    """Drop the lines after that epoch of that repeat, and one that was only partly written.

    What is left has to have the `digest`, if one is known.
    """
    if not path.exists():
        return
    with reporting_read_errors(path):
        lines = path.read_bytes().splitlines(keepends=True)
    kept = []
    for number, line in enumerate(lines, start=1):
        try:
            entry = _Line.model_validate_json(line)
        except ValueError as error:
            if number == len(lines):
                break
            message = f"line {number} of {path} is damaged"
            raise folder_error(path, message, _WITHOUT_LINES) from error
        if (entry.repeat, entry.epoch) <= (repeat, epoch) and line.endswith(b"\n"):
            kept.append(line)
    content = b"".join(kept)
    if digest not in (None, sha256(content)):
        message = f"{path} is not what was written there: it is damaged, or was changed"
        raise folder_error(path, message, _WITHOUT_LINES)
    write_file(path, content)


def _write_all(descriptor: int, content: bytes) -> None:
    """Write all of it: a nearly full disk takes a part of it without an error."""
    while content:
        content = content[os.write(descriptor, content) :]
