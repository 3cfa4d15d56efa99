"""What wandb keeps offline: the numbers in `metrics.jsonl`, once each; one group."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ktgdsl.cli import main as cli

PROGRAM = """
import json, pathlib
from wandb.proto import wandb_internal_pb2
from ktgdsl.tracking.log import log_to
from ktgdsl.training.events import RunFinished, RunStarted
from tests.tracking.played import begin, play, recorded, result

folder = pathlib.Path("run")
plan = begin(folder)
killed = log_to("wandb")
killed(RunStarted(plan, folder, "cpu"))
play(killed, plan, folder, 1, range(1, 4))
killed.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
with log_to("wandb") as logging:
    logging(RunStarted(plan, folder, "cpu", 1, 2))
    play(logging, plan, folder, 1, range(3, 5))
    play(logging, plan, folder, 2)
    logging(RunFinished(plan, result(plan, folder)))


def records(content):
    # LevelDB's format of logs, after a header of seven bytes
    at, record = 7, b""
    while at + 7 <= len(content):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
        size, kind = int.from_bytes(content[at + 4 : at + 6], "little"), content[at + 6]
        record += content[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):  # whole, or the last part
            yield record
            record = b""


names, groups = {}, set()
for path in sorted(folder.glob("wandb/offline-run-*/*.wandb")):
    name = None
    for data in records(path.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        if record.HasField("run"):
            name = record.run.display_name
            groups.add(record.run.run_group)
        if record.HasField("history"):
            cells = ((each.key or each.nested_key[0], each.value_json)
                     for each in record.history.item)
            row = {key: json.loads(text) for key, text in cells if not key.startswith("_")}
            names.setdefault(name, []).append(row)
assert set(names) == {"odd, seed 0", "odd, seed 1"}, names.keys()
assert groups == {"run"}, groups
for repeat, rows in enumerate(names.values(), start=1):
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4], rows
    assert [row["phase"] for row in rows] == ["warm", "warm", "late", "late"]
    for row in rows:
        own = {name: value for name, value in row.items() if name not in ("epoch", "phase")}
        assert own == recorded(plan, folder, repeat)[row["epoch"]], own
"""


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason="wandb is not installed")
def test_a_stopped_and_resumed_run_is_kept_whole(tmp_path: Path) -> None:
    environment = {**os.environ, "WANDB_MODE": "offline"}
    subprocess.run(
        [sys.executable, "-c", PROGRAM], check=True, cwd=tmp_path, timeout=300, env=environment
    )


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason="wandb is not installed")
@pytest.mark.filterwarnings("default")
def test_nobody_is_asked_for_a_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "g.ktg").write_text("graph g { node a = resnet8 target a edge label -> a }")
    assert cli.main(["run", "g.ktg", "--log", "wandb"]) == 1
    assert "`wandb login` first" in capsys.readouterr().err
    assert not Path("runs").exists()
