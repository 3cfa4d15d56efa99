"""Logs to MLflow: a run for each seed or trial, below one for all of them if there are several."""

import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from ktgdsl.tracking.known_runs import KnownRun, known_run, note_run
from ktgdsl.tracking.logged_run import Group, LoggedRun, Row, State
from ktgdsl.tracking.plain_names import PlainNames
from ktgdsl.tracking.sink import Sink, Writer

EXPERIMENT = "ktgdsl"
"""Its name, unless $MLFLOW_EXPERIMENT_NAME or $MLFLOW_EXPERIMENT_ID says another."""

_LONGEST_VALUE = 5_000
_AT_ONCE = 100  # what a server takes of each kind
_STATUS: dict[State, str] = {
    "finished": "FINISHED",
    "pruned": "KILLED",
    "killed": "KILLED",
    "failed": "FAILED",
}
_GROUP = "all"

_Item = TypeVar("_Item")


class MlflowSink(Sink):
    """MLflow, configured by its own variables, such as $MLFLOW_TRACKING_URI."""

    def __init__(self) -> None:
        # By default a server that is away is asked for minutes, in which nothing is trained.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
        import mlflow  # noqa: F401 (fails before the training, not after it)

        logging.getLogger("mlflow").setLevel(
            logging.WARNING
        )  # its notes would fall into the display

        self._opened: Any = None
        self._parent: _MlflowWriter | None = None

    @property
    def _client(self) -> Any:
        """Made when it is needed: the server may be away at first."""
        from mlflow import MlflowClient

        self._opened = self._opened or MlflowClient()
        return self._opened

    def begin(self, run: LoggedRun) -> Writer:
        """Begin a run, or go on with the one that `tracking.jsonl` names."""
        tags: dict[str, str] = {}
        if run.group is not None:
            self._parent = self._parent or self._begin_group(run.group)
            tags["mlflow.parentRunId"] = self._parent.id
        writer = self._open(run, run.parameters, {**run.tags, **tags})
        writer.parent = self._parent
        if not run.rebuilt:
            writer.epoch = run.epoch
        return writer

    def end_group(self, state: State, summary: Mapping[str, float]) -> None:
        """End the parent."""
        if self._parent is not None:
            self._parent.end(state, summary, {})
            self._parent = None

    def _begin_group(self, group: Group) -> "_MlflowWriter":
        run = LoggedRun(
            _GROUP, group.name, group.folder, 0, group.text, group.parameters, group.tags, ""
        )
        return self._open(run, group.parameters, group.tags)

    def _open(
        self, run: LoggedRun, parameters: Mapping[str, str], tags: Mapping[str, str]
    ) -> "_MlflowWriter":
        from mlflow.entities import Param, RunTag
        from mlflow.exceptions import MlflowException

        client, known = self._client, known_run(run.folder, "mlflow", run.key)
        if known is not None:
            try:
                client.update_run(known.id, status="RUNNING")
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
                known = None  # it was deleted there, or this is another server
        if known is None:
            created = client.create_run(self._experiment(), run_name=run.name)
            known = KnownRun(created.info.run_id)
            note_run(run.folder, "mlflow", run.key, known)
            names = PlainNames()
            noted = [Param(names[k], v[:_LONGEST_VALUE]) for k, v in parameters.items()]
            for params in _chunks(noted):
                client.log_batch(known.id, params=params)
        for labels in _chunks([RunTag(name, text) for name, text in tags.items()]):
            client.log_batch(known.id, tags=labels)
        return _MlflowWriter(client, run, known)

    def _experiment(self) -> str:
        if number := os.environ.get("MLFLOW_EXPERIMENT_ID"):
            return number
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
        found = self._client.get_experiment_by_name(name)
        return str(self._client.create_experiment(name) if found is None else found.experiment_id)


class _MlflowWriter(Writer):
    def __init__(self, client: Any, run: LoggedRun, known: KnownRun) -> None:
        self._client, self._run, self.id, self.epoch = client, run, known.id, known.epoch
        self._names = PlainNames()
        self.parent: _MlflowWriter | None = None
        self._attached = False

    def attach(self) -> None:
        if self._attached:
            return
        self._attached = True
        if self.parent is not None:
            self.parent.attach()
        self._client.log_text(self.id, self._run.text, "spec.ktg")
        if (svg := self._run.picture(".svg")) is not None:
            self._client.log_text(self.id, svg.decode(), "graph.svg")

    def log(self, row: Row) -> None:
        phase = self._run.phase_number(row)
        self._log({**row.values, **({} if phase is None else {"phase": phase})}, row.epoch)
        note_run(self._run.folder, "mlflow", self._run.key, KnownRun(self.id, row.epoch))

    def _log(self, values: Mapping[str, float], epoch: int) -> None:
        from mlflow.entities import Metric

        now = round(time.time() * 1000)
        metrics = [Metric(self._names[k], v, now, epoch) for k, v in values.items()]
        for some in _chunks(metrics):
            self._client.log_batch(self.id, metrics=some)

    def end(self, state: State, summary: Mapping[str, float], notes: Mapping[str, str]) -> None:
        self._log(summary, self.epoch)
        for name, text in {"state": state, **notes}.items():
            self._client.set_tag(self.id, name, text[:_LONGEST_VALUE])
        self._client.set_terminated(self.id, _STATUS[state])


def _chunks(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    return (items[start : start + _AT_ONCE] for start in range(0, len(items), _AT_ONCE))
