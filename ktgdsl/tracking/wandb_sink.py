"""Logs to Weights & Biases: a run for each seed or trial, those of a folder in one group."""

import os
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

from ktgdsl.errors import RunError
from ktgdsl.tracking.known_runs import KnownRun, known_run, note_run
from ktgdsl.tracking.logged_run import LoggedRun, Row, State
from ktgdsl.tracking.sink import Sink, Writer

PROJECT = "ktgdsl"
"""Its name, unless $WANDB_PROJECT says another."""


class WandbSink(Sink):
    """Weights & Biases, configured by its own variables, such as $WANDB_MODE=offline."""

    def __init__(self) -> None:
        """Raises RunError (E504) where it would ask for a key, which nobody may be there to type"""
        import wandb

        self._wandb: Any = wandb
        online = os.environ.get("WANDB_MODE", "online") in ("online", "shared")
        if online and not wandb.login(prompt=False):
            raise RunError.single(
                "E504",
                "wandb is not logged in",
                help="`wandb login` first, or `WANDB_MODE=offline`, and `wandb sync` later",
            )

    def begin(self, run: LoggedRun) -> Writer:
        """Begin a run, or go on with the one that `tracking.jsonl` names."""
        known = known_run(run.folder, "wandb", run.key)
        if known is None:
            known = KnownRun(uuid4().hex[:8])
            note_run(run.folder, "wandb", run.key, known)
        group = run.group
        begun = self._wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            dir=os.environ.get("WANDB_DIR", run.folder),
            id=known.id,
            resume="allow",
            name=run.name,
            group=None if group is None else group.name,
            job_type=run.key.partition("-")[0],
            config={**run.parameters, **run.tags},
            reinit="create_new",
            settings=self._wandb.Settings(silent=True, console="off"),
        )
        begun.define_metric("*", step_metric="epoch")
        return _WandbWriter(self._wandb, begun, run, known)


class _WandbWriter(Writer):
    def __init__(self, wandb: Any, begun: Any, run: LoggedRun, known: KnownRun) -> None:
        self._wandb, self._begun, self._run = wandb, begun, run
        self.id, self.epoch = known.id, known.epoch if run.rebuilt else run.epoch

    def attach(self) -> None:
        Path(self._begun.dir, "spec.ktg").write_text(self._run.text, "utf-8")
        self._begun.save("spec.ktg", policy="now")
        if (png := self._run.picture(".png")) is not None:
            from PIL import Image

            with Image.open(BytesIO(png)) as image:
                self._begun.summary["graph"] = self._wandb.Image(image)

    def log(self, row: Row) -> None:
        phase = {} if row.phase is None else {"phase": row.phase}
        self._begun.log({**row.values, **phase, "epoch": row.epoch}, step=row.epoch)
        note_run(self._run.folder, "wandb", self._run.key, KnownRun(self.id, row.epoch))

    def end(self, state: State, summary: Mapping[str, float], notes: Mapping[str, str]) -> None:
        self._begun.summary.update({**summary, "state": state, **notes})
        self._begun.finish(exit_code=0 if state in ("finished", "pruned") else 1)
