"""The checkpoint of a running trial, from which the next attempt resumes."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter

from ktgdsl.errors import RunError
from ktgdsl.plan.model import Plan
from ktgdsl.searching.workers.protocol import Report, Task, state_path
from ktgdsl.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ktgdsl.training.loop import ResumePoint

_REPORTS = TypeAdapter(list[Report])


class TrialCheckpoint:
    """The checkpoint of a trial: the stepper's state and the reports so far.

    The reports are stored because the pool may not have received the last ones.
    """

    def __init__(self, folder: Path, task: Task, plan: Plan) -> None:
        self.path = state_path(folder, task.trial)
        parts = [plan.digest, task.seed, task.study_seed, task.objective, torch.__version__]
        if task.judged_on == "test":
            parts.append("on test")
        if task.metric is not None:
            parts.append(task.metric)
        self._digest = " ".join(map(str, parts))

    def load(self) -> tuple[ResumePoint | None, list[Report]]:
        """The resume point and the reports before it; (None, []) without a usable checkpoint."""
        if not self.path.exists():
            return None, []
        try:
            stored = load_checkpoint(self.path, self._digest)
            state = stored.state or {}
            reports = _REPORTS.validate_python(state["reports"])
            if [each.epoch for each in reports] != [*range(1, stored.epoch + 1)]:
                return None, []
            return ResumePoint(stored.epoch, state["stepper"]), reports
        except (RunError, KeyError, ValueError):  # damaged, or of another plan
            return None, []

    def save(self, stepper: Mapping[str, Any], reports: list[Report]) -> None:
        """Write the checkpoint, with the state after the last report or inside the next epoch.

        Write errors are ignored: without a checkpoint the next attempt only takes longer.
        """
        state = {"stepper": stepper, "reports": [asdict(each) for each in reports]}
        seconds = sum(each.seconds for each in reports)
        epoch = reports[-1].epoch if reports else 0
        with suppress(RunError):
            save_checkpoint(Checkpoint(self._digest, 1, epoch, seconds, (), state), self.path)

    def discard(self) -> None:
        """Remove the checkpoint."""
        self.path.unlink(missing_ok=True)

    @property
    def unusable(self) -> str:
        """The message for a file that `load` cannot use."""
        return (
            f"{self.path} is damaged, or of another training or version: the trial is trained "
            "again from its first epoch"
        )
