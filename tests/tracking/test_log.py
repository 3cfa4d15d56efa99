"""What is logged of runs: the numbers in `metrics.jsonl`, once each, whatever happens."""

import csv
import errno
from collections.abc import Mapping
from pathlib import Path

import pytest

import ktgdsl
from ktgdsl.cli import main as cli
from ktgdsl.errors import KtgWarning, RunError
from ktgdsl.tracking import log, outbox
from ktgdsl.tracking.log import TOOLS, Log, log_to
from ktgdsl.tracking.logged_run import LoggedRun, Row, State
from ktgdsl.tracking.outbox import Outbox
from ktgdsl.tracking.plain_names import PlainNames, plain_name
from ktgdsl.tracking.sink import Sink, Writer
from ktgdsl.tracking.tracker import Tracker
from ktgdsl.training.events import RunFinished, RunStarted
from tests.tracking.played import begin, play, play_all, recorded, result


def table(path: Path) -> dict[int, dict[str, float]]:
    """The numbers in a CSV file by epoch."""
    with path.open(newline="") as file:
        rows = [*csv.DictReader(file)]
    assert len({row["epoch"] for row in rows}) == len(rows)
    return {
        int(row["epoch"]): {
            name: float(cell)
            for name, cell in row.items()
            if cell and name not in ("epoch", "phase")
        }
        for row in rows
    }


def approximately(values: Mapping[int, Mapping[str, float]]) -> dict[int, object]:
    return {epoch: pytest.approx(row, rel=1e-6) for epoch, row in values.items()}


def test_csv_has_every_number_by_epoch(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    plan = begin(folder)
    with log_to("csv") as logging:
        play_all(logging, plan, folder)
    for repeat, seed in ((1, 0), (2, 1)):
        path = folder / f"csv/seed-{seed}.csv"
        assert table(path) == approximately(recorded(plan, folder, repeat))
        with path.open(newline="") as file:
            phases = [row["phase"] for row in csv.DictReader(file)]
        assert phases == ["warm", "warm", "late", "late"]
    first = table(folder / "csv/seed-0.csv")[1]
    assert first["loss/p[1]"] == pytest.approx(1.02)
    assert first['edge_loss/p[0]."stage1.0.conv1"->a.stage1'] > 0
    assert first["test_f1/t"] == 41
    assert not any(name.startswith("loss/p") for name in table(folder / "csv/seed-0.csv")[3])


def test_a_run_that_was_killed_goes_on_without_an_epoch_twice(tmp_path: Path) -> None:
    """Three epochs are logged, two are in the checkpoint, and of a row only a part is written."""
    folder = tmp_path / "run"
    plan = begin(folder)
    killed = log_to("csv")
    killed(RunStarted(plan, folder, "cpu"))
    play(killed, plan, folder, 1, range(1, 4))
    with (folder / "csv/seed-0.csv").open("a") as file:
        file.write("4,la")
    with log_to("csv") as logging:
        logging(RunStarted(plan, folder, "cpu", 1, 2))
        play(logging, plan, folder, 1, range(3, 5))
    assert [*table(folder / "csv/seed-0.csv")] == [1, 2, 3, 4]
    assert table(folder / "csv/seed-0.csv") == approximately(recorded(plan, folder))


def test_what_a_run_did_not_log_is_added_when_it_is_over(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    plan = begin(folder)
    play_all(lambda _: None, plan, folder)
    with log_to("csv") as logging:
        logging(RunFinished(plan, result(plan, folder), already=True))
    for repeat, seed in ((1, 0), (2, 1)):
        assert table(folder / f"csv/seed-{seed}.csv") == approximately(
            recorded(plan, folder, repeat)
        )


def test_a_run_that_fails_before_its_first_epoch_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    plan = begin(folder)
    before = {*folder.iterdir()}
    logging = log_to("csv")
    logging(RunStarted(plan, folder, "cpu"))
    logging.__exit__(OSError, OSError("no data"), None)
    assert {*folder.iterdir()} == before


class Told(Sink, Writer):
    """A tool that only remembers, and is away at times."""

    def __init__(self) -> None:
        self.away = False
        self.calls: list[tuple[object, ...]] = []

    def _call(self, *call: object) -> None:
        if self.away:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.calls.append(call)

    def begin(self, run: LoggedRun) -> Writer:
        self._call("begin", run)
        return self

    def log(self, row: Row) -> None:
        self._call("log", row.epoch)

    def end(self, state: State, summary: Mapping[str, float], notes: Mapping[str, str]) -> None:
        self._call("end", state, summary, notes)

    def end_group(self, state: State, summary: Mapping[str, float]) -> None:
        self._call("group", state, summary)


def test_a_tool_that_fails_is_warned_of_once_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    plan = begin(folder, "graph g { node a = resnet8 target a edge label -> a }")
    now, tool = 0.0, Told()
    monkeypatch.setattr(outbox.Outbox.__init__, "__defaults__", (lambda: now,))
    logging, tool.away = Log(Tracker({"told": tool})), True
    logging(RunStarted(plan, folder, "cpu"))
    with pytest.warns(KtgWarning, match="told cannot be logged to: OSError.*No space") as caught:
        play(logging, plan, folder, 1, range(1, 3))
    assert [each.message.diagnostic.code for each in caught] == ["W401"]  # type: ignore[union-attr]
    tool.away = False
    play(logging, plan, folder, 1, range(3, 4))
    assert tool.calls == []  # the pause is not over
    now = outbox.PAUSE
    play(logging, plan, folder, 1, range(4, 5))
    assert [call[0] for call in tool.calls] == ["begin", "log", "log", "log", "log"]
    assert [call[1] for call in tool.calls[1:]] == [1, 2, 3, 4]
    tool.away = True
    with logging:  # nothing leaves it, and it is not warned of again
        play(logging, plan, folder, 1, range(5, 6))


def test_what_may_fail_is_given_up_and_does_not_hold_up_the_rest() -> None:
    sent: list[int] = []
    box = Outbox("told")
    with pytest.warns(KtgWarning, match="ZeroDivisionError"):
        box.attempt(lambda: sent.append(1 // 0))
    box.put(lambda: sent.append(1))
    assert sent == [1]


@pytest.mark.parametrize(
    ("error", "state"), [(RuntimeError("broke"), "failed"), (KeyboardInterrupt(), "killed")]
)
def test_what_has_not_finished_says_so(tmp_path: Path, error: BaseException, state: State) -> None:
    folder = tmp_path / "run"
    plan = begin(folder)
    tool = Told()
    logging = Log(Tracker({"told": tool}))
    logging(RunStarted(plan, folder, "cpu"))
    play(logging, plan, folder, 1, range(1, 2))
    logging.__exit__(type(error), error, None)
    end, group = tool.calls[-2:]
    assert end[:2] == ("end", state)
    assert type(error).__name__ in str(end[3])
    assert group[:2] == ("group", state)


def test_the_result_of_each_seed_and_of_all_is_at_the_end(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    plan = begin(folder)
    tool = Told()
    with Log(Tracker({"told": tool})) as logging:
        play_all(logging, plan, folder)
    runs = [call[1] for call in tool.calls if call[0] == "begin"]
    assert all(isinstance(run, LoggedRun) for run in runs)
    first, second = (run for run in runs if isinstance(run, LoggedRun))
    assert (first.key, second.key) == ("seed-0", "seed-1")
    assert first.group is not None
    assert second.parameters["train.seed"] == "1"
    assert first.parameters["edge t -> a"] == "kl(T=1, scale=1) via linear(start=0, stop=1)"
    assert first.parameters["data.source"] == "digits"
    assert first.tags["digest"] == plan.digest
    assert first.text == (folder / "spec.ktg").read_text()
    ends = [call for call in tool.calls if call[0] == "end"]
    assert [call[1] for call in ends] == ["finished", "finished"]
    summary = ends[1][2]
    assert isinstance(summary, dict)
    assert summary["final_test_accuracy/a"] == 62.0
    assert summary["pretrained_accuracy/t"] == 99.0
    *_, (_, state, over_seeds), _ = tool.calls
    assert (state, over_seeds["mean_test_f1/a"]) == ("finished", 2.0)  # type: ignore[index]
    assert over_seeds["std_test_accuracy/t"] == pytest.approx(2**0.5)  # type: ignore[index]


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("edge_loss/b->a", "edge_loss/b to a"),
        ("edge b -> a", "edge b to a"),
        ("open/p[0]->a", "open/p.0 to a"),
        ('open/p."layer1.0"->a', "open/p.layer1.0 to a"),
        ("loss/größe", "loss/größe"),
        ("loss//x", "loss/_/x"),
        ("../x", "_../x"),
        ("shared by a, b", "shared by a_ b"),
        ("x" * 300, "x" * 250),
    ],
)
def test_plain_names(name: str, plain: str) -> None:
    assert plain_name(name) == plain


def test_different_names_stay_different() -> None:
    names = PlainNames()
    assert [names["p[0]"], names["p.0"], names["p[0]"]] == ["p.0", "p.0 2", "p.0"]


def test_a_tool_that_is_missing_is_told_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(_: object) -> None:
        raise ModuleNotFoundError("No module named 'it'")

    monkeypatch.setattr("ktgdsl.tracking.mlflow_sink.MlflowSink.__init__", missing)
    with pytest.raises(RunError, match="logging to mlflow needs mlflow-skinny, which is not "):
        log_to("mlflow")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "g.ktg").write_text("graph g { node a = resnet8 target a edge label -> a }")
    assert cli.main(["run", "g.ktg", "--log", "mlflow"]) == 1
    assert "pip install mlflow-skinny, or ktgdsl with [mlflow]" in capsys.readouterr().err
    assert not Path("runs").exists()


def test_other_tools_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot log to 'neptune': there are tensorboard, "):
        log_to("neptune")
    assert ktgdsl.log_to is log.log_to
    with pytest.raises(SystemExit):
        cli.main(["run", "g.ktg", "--log", "neptune"])


def test_the_command_line_knows_all_tools() -> None:
    import argparse

    from ktgdsl.cli.options import add_log

    parser = argparse.ArgumentParser()
    add_log(parser)
    assert parser.parse_args([part for tool in TOOLS for part in ("--log", tool)]).log == [*TOOLS]
