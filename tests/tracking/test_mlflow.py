"""What MLflow gives back: the numbers in `metrics.jsonl`, once each; seeds below one run."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import os, pathlib, sys
from mlflow import MlflowClient
from ktgdsl.tracking.log import log_to
from ktgdsl.tracking.plain_names import plain_name
from ktgdsl.training.events import RunFinished, RunStarted
from tests.tracking.played import begin, play, recorded, result

folder = pathlib.Path("run")
plan = begin(folder)
killed = log_to("mlflow")
killed(RunStarted(plan, folder, "cpu"))
play(killed, plan, folder, 1, range(1, 4))
with log_to("mlflow") as logging:
    logging(RunStarted(plan, folder, "cpu", 1, 2))
    play(logging, plan, folder, 1, range(3, 5))
    play(logging, plan, folder, 2)
    logging(RunFinished(plan, result(plan, folder)))
client = MlflowClient()
(experiment,) = (e for e in client.search_experiments() if e.name == "ktgdsl")
runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
assert set(runs) == {"run", "odd, seed 0", "odd, seed 1"}, set(runs)
parent = runs.pop("run")
assert parent.data.metrics["mean_test_accuracy/a"] == 61
for repeat, (name, run) in enumerate(sorted(runs.items()), start=1):
    assert run.info.status == "FINISHED"
    assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert run.data.tags["digest"] == plan.digest
    assert run.data.params["node p.0"].startswith("resnet8"), run.data.params
    assert run.data.params["edge t to a"] == "kl(T=1, scale=1) via linear(start=0, stop=1)"
    known = recorded(plan, folder, repeat)
    for metric in {name for row in known.values() for name in row}:
        history = client.get_metric_history(run.info.run_id, plain_name(metric))
        told = sorted((each.step, each.value) for each in history)
        assert told == [(e, row[metric]) for e, row in known.items() if metric in row], metric
    assert run.data.metrics["phase"] == 2
    artifacts = [each.path for each in client.list_artifacts(run.info.run_id)]
    assert artifacts == ["graph.svg", "spec.ktg"], artifacts
# One that the tracking server does not know is logged from its beginning.
os.environ["MLFLOW_TRACKING_URI"] = "sqlite:///other.db"
with log_to("mlflow") as logging:
    logging(RunFinished(plan, result(plan, folder), already=True))
client = MlflowClient("sqlite:///other.db")
(experiment,) = (e for e in client.search_experiments() if e.name == "ktgdsl")
(first,) = (
    run for run in client.search_runs([experiment.experiment_id])
    if run.info.run_name == "odd, seed 0"
)
history = client.get_metric_history(first.info.run_id, "loss/a")
assert sorted(each.step for each in history) == [1, 2, 3, 4]
"""


@pytest.mark.slow  # importing MLflow alone takes as long as all other tests of logs
@pytest.mark.skipif(
    importlib.util.find_spec("mlflow") is None, reason="mlflow-skinny is not installed"
)
def test_a_killed_and_resumed_run_is_read_back_whole(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, cwd=tmp_path, timeout=300)
