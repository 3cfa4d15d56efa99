"""What people see of a run: its rate by the clock, plain lines, and the table in a terminal."""

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from rich.console import Console

from ktgdsl.plan.model import Call, Plan
from ktgdsl.report.formatting import duration, step_rate
from ktgdsl.report.run_display import terminal_run_listener
from ktgdsl.report.run_progress import RunProgress, StepRate
from ktgdsl.report.run_text import plain_run_listener, run_result_text
from ktgdsl.training.events import (
    EpochDone,
    EpochMetrics,
    Event,
    PretrainDone,
    PretrainStarted,
    RepeatStarted,
    RunFinished,
    RunStarted,
    StepsDone,
)
from ktgdsl.training.result import NodeResult, RunResult, Score
from tests.plans import tiny_plan

FOLDER = Path("runs/tiny")


class Clock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def plan(
    nodes: Sequence[str] = "ab", epochs: int = 4, repeats: int = 1, holdout: bool = False
) -> Plan:
    """Ten steps an epoch; a node t is frozen."""
    learning = [name for name in nodes if name != "t"]
    return tiny_plan(
        nodes,
        [("label", name) for name in learning],
        settings={"t": {"frozen": "no edge enters it"}},
        data={"batch": 128, "holdout": holdout, "validation": 17},
        epochs=epochs,
        repeats=repeats,
    )


def alone(epochs: int) -> Plan:
    """The plan that pre-trains a node."""
    return tiny_plan(["pretrained"], data={"batch": 128}, epochs=epochs)


def epoch_done(
    epoch: int, accuracy: Mapping[str, float], loss: Mapping[str, float] | None = None
) -> EpochDone:
    given = dict.fromkeys(accuracy, 0.5) if loss is None else loss
    metrics = EpochMetrics(10, given, dict.fromkeys(accuracy, 99.0), {})
    return EpochDone(epoch, metrics, "test", accuracy, dict.fromkeys(given, 0.1))


def result(accuracies: Mapping[str, list[float]], seconds: float = 83.4) -> RunResult:
    return RunResult(
        folder=FOLDER,
        target="a",
        nodes={name: NodeResult(accuracy=Score.of(each)) for name, each in accuracies.items()},
        digest="0",
        seeds=(0,),
        epochs=4,
        seconds=seconds,
    )


def test_a_result_is_one_line() -> None:
    told = repr(result({"b": [98.0], "a": [99.2, 99.4]}))
    assert told == f"<RunResult a 99.30 ± 0.14 % (n = 2), b 98.00 %; {FOLDER}>"


# Pace and time left


def test_pace_is_what_the_clock_says() -> None:
    clock = Clock()
    rate = StepRate(clock)
    assert (rate.current, rate.seconds_for(100)) == (None, None)
    clock.now += 2
    rate.mark(10)
    assert rate.current == 5
    assert rate.seconds_for(100) == 20


def test_pace_forgets_and_the_time_left_does_not() -> None:
    clock = Clock()
    rate = StepRate(clock)
    for steps in (10, 20):  # 1 step a second
        clock.now += 10
        rate.mark(steps)
    for steps in (60, 100, 140):  # 8 steps a second
        clock.now += 5
        rate.mark(steps)
    assert rate.current == 8
    assert rate.seconds_for(70) == 70 * 35 / 140


def test_a_resumed_run_counts_its_own_steps_only() -> None:
    clock = Clock()
    progress = RunProgress(RunStarted(plan(), FOLDER, "cpu", repeat=1, epoch=2), clock)
    progress(RepeatStarted(1, seed=0, epoch=2))
    assert (progress.epoch, progress.steps_done, progress.steps) == (2, 20, 40)
    clock.now += 1
    progress(StepsDone(3, 5))
    assert progress.steps_done == 25
    assert progress.rate == 5
    assert progress.seconds_left == 3


def test_the_time_left_is_that_of_all_repeats() -> None:
    clock = Clock()
    progress = RunProgress(RunStarted(plan(repeats=3), FOLDER, "cpu"), clock)
    progress(RepeatStarted(1, seed=0))
    clock.now += 4
    progress(epoch_done(1, {"a": 90.0, "b": 91.0}))
    assert progress.seconds_left == (30 + 2 * 40) * 0.4


def test_pre_training_has_its_own_time_and_counts_for_the_repeats_to_come() -> None:
    clock = Clock()
    progress = RunProgress(RunStarted(plan("at", repeats=2), FOLDER, "cpu"), clock)
    progress(RepeatStarted(1, seed=0))
    progress(PretrainStarted("t", alone(epochs=2)))
    clock.now += 1
    progress(StepsDone(1, 5))
    assert (progress.pretraining, progress.steps, progress.seconds_left) == ("t", 20, 3)
    clock.now += 1
    progress(epoch_done(1, {"pretrained": 80.0}))
    assert progress.accuracy == {"t": 80.0}
    clock.now += 2
    progress(epoch_done(2, {"pretrained": 90.0}))
    progress(PretrainDone("t", 95.0, "test"))
    assert (progress.pretraining, progress.epoch, progress.rate) == (None, 0, None)
    assert progress.accuracy == {}
    clock.now += 5
    progress(epoch_done(1, {"a": 70.0, "t": 90.0}, {"a": 1.0}))
    # 30 steps of this repeat and 40 of the next at half a second, and 4 s of pre-training.
    assert progress.seconds_left == 70 * 0.5 + 4


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (8, "8 s"),
        (59.6, "1 min 00 s"),
        (200, "3 min 20 s"),
        (3599.6, "1 h 00 min"),
        (3900, "1 h 05 min"),
        (200_000, "55 h 33 min"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_step_rates() -> None:
    assert [step_rate(61.4), step_rate(4.25), step_rate(0.314)] == [
        "61 steps/s",
        "4.2 steps/s",
        "0.31 steps/s",
    ]


# Plain lines


def test_plain_lines() -> None:
    lines: list[str] = []
    clock = Clock()
    listen = plain_run_listener(lines.append, clock)
    listen(RunStarted(plan("abt", epochs=10), FOLDER, "cpu"))
    listen(RepeatStarted(1, seed=0))
    listen(PretrainStarted("t", alone(epochs=1)))
    clock.now += 2
    listen(epoch_done(1, {"pretrained": 97.25}, {"pretrained": 0.25}))
    listen(PretrainDone("t", 95.0, "test"))
    clock.now += 0.5
    listen(StepsDone(1, 5))
    clock.now += 0.5
    listen(epoch_done(1, {"a": 93.2, "b": 92.75, "t": 97.2}, {"a": 0.4124, "b": 1.5}))
    assert lines == [
        "tiny: 10 epochs of 10 steps on digits, cpu, into runs/tiny",
        "t is frozen: it is trained on the labels first",
        "pre-training t:  epoch 1/1  t 97.2 %  loss 0.250  5.0 steps/s",
        "t is pre-trained: 95.00 % on the test split",
        "epoch  1/10  a 93.2 %  b 92.8 %  t 97.2 %  loss 0.412  10 steps/s  9 s left",
    ]


def test_own_data_are_named_by_their_function() -> None:
    lines: list[str] = []
    of_digits = plan()
    source = Call(name="python", arguments={"function": "mine:load", "n": 3})
    data = of_digits.data.model_copy(update={"source": source})
    started = RunStarted(of_digits.model_copy(update={"data": data}), FOLDER, "cpu")
    plain_run_listener(lines.append)(started)
    assert 'on python("mine:load", n=3), cpu, into runs/tiny' in lines[0]


def test_where_pre_trained_weights_come_from_is_written() -> None:
    lines: list[str] = []
    listen = plain_run_listener(lines.append, Clock())
    listen(RunStarted(plan("abt", epochs=10), FOLDER, "cpu"))
    listen(PretrainDone("t", 95.125, "validation", cached=True))
    listen(PretrainStarted("b", alone(epochs=1), "the weights in the cache are of other data"))
    assert lines[1:] == [
        "t has the weights of its pre-training from the cache: 95.12 % on the validation split",
        "b is frozen: it is trained on the labels first (the weights in the cache are of other "
        "data)",
    ]


CHOSEN = ("compile = auto: off, it pays from 10,000 steps on, and these are [400]",)


def test_what_was_left_to_the_machine_is_told() -> None:
    started = RunStarted(plan("a"), FOLDER, "cpu", chosen=CHOSEN)
    lines: list[str] = []
    plain_run_listener(lines.append, Clock())(started)
    assert lines[1:] == [*CHOSEN]
    terminal = Terminal()
    with terminal_run_listener(terminal.console, Clock()) as listen:
        listen(started)
        assert shown(terminal.take())[:1] == [*CHOSEN]


def test_plain_lines_tell_repeats_and_where_a_run_goes_on() -> None:
    lines: list[str] = []
    listen = plain_run_listener(lines.append, Clock())
    listen(RunStarted(plan(repeats=3), FOLDER, "cuda:0", repeat=2, epoch=3))
    listen(RepeatStarted(2, seed=8, epoch=3))
    listen(epoch_done(4, {"a": 93.2, "b": 92.8}))
    assert lines == [
        "tiny: 4 epochs of 10 steps on digits, cuda:0, into runs/tiny, "
        "going on after epoch 3 of repeat 2",
        "repeat 2/3, seed 8",
        "epoch 4/4  a 93.2 %  b 92.8 %  loss 0.500",
    ]


def test_the_result_as_text() -> None:
    reached = result({"b": [97.0, 98.0], "a": [98.6, 98.0], "t": [99.0, 99.0]})
    graph = plan("bat").graph.model_copy(update={"targets": ("a",)})
    assert run_result_text(plan("bat").model_copy(update={"graph": graph}), reached) == (
        "node  role       network  test accuracy\n"
        "a     target     resnet8  98.30 ± 0.42 % (n = 2)\n"
        "b     auxiliary  resnet8  97.50 ± 0.71 % (n = 2)\n"
        "t     frozen     resnet8  99.00 ± 0.00 % (n = 2)\n"
        "finished in 1 min 23 s, everything is in runs/tiny"
    )


def test_the_result_with_a_validation_split_and_one_run() -> None:
    node = NodeResult(accuracy=Score.of([98.6]), validation_accuracy=Score.of([97.123]))
    reached = result({"a": [98.6]}).model_copy(update={"nodes": {"a": node}})
    assert run_result_text(plan("a"), reached, already=True) == (
        "node  role    network  test accuracy  validation accuracy\n"
        "a     target  resnet8  98.60 %        97.12 %\n"
        "already finished: it took 1 min 23 s, everything is in runs/tiny"
    )


def test_a_finished_run_prints_its_result() -> None:
    lines: list[str] = []
    reached = result({"a": [98.6]})
    plain_run_listener(lines.append)(RunFinished(plan("a"), reached, already=True))
    assert "\n".join(lines) == run_result_text(plan("a"), reached, already=True)


# The terminal

SEVEN = "abcdefg"


class Terminal:
    """A terminal of a given size that remembers what was written to it."""

    def __init__(self, width: int = 80, height: int = 24) -> None:
        self.file = io.StringIO()
        self.console = Console(
            file=self.file, force_terminal=True, width=width, height=height, _environ={}
        )

    def resize(self, width: int, height: int) -> None:
        self.console.size = (width, height)

    def take(self) -> str:
        written = self.file.getvalue()
        self.file.seek(0)
        self.file.truncate()
        return written


def shown(written: str) -> list[str]:
    """The lines that stay of what was written: Rich goes up and erases, then draws anew."""
    lines, row = [""], 0
    for part in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\n|[^\x1b\n]+", written):
        if part == "\n":
            row += 1
            lines += [""] * (row == len(lines))
        elif part == "\x1b[1A":
            row = max(0, row - 1)
        elif part == "\x1b[2K":
            lines[row] = ""
        elif not part.startswith("\x1b"):
            lines[row] += part.replace("\r", "")
    return lines


def begin(nodes: str = SEVEN) -> Iterator[Event]:
    yield RunStarted(plan(nodes), FOLDER, "cpu")
    yield RepeatStarted(1, seed=0)


def test_seven_nodes_fit_a_terminal_of_80_columns() -> None:
    terminal, clock = Terminal(), Clock()
    with terminal_run_listener(terminal.console, clock) as listen:
        for event in begin():
            listen(event)
        terminal.take()
        clock.now += 2
        listen(epoch_done(1, {name: 90.0 + i for i, name in enumerate(SEVEN)}))
        lines = shown(terminal.take())
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 24
    text = "\n".join(lines)
    assert "epoch 2/4" in text
    assert "5.0 steps/s" in text
    assert "6 s left" in text
    for i, name in enumerate(SEVEN):
        (row,) = [line.split() for line in lines if line.startswith(f"{name} ")]
        assert row == [
            *(name, "target" if name == "a" else "auxiliary", "resnet8"),
            *("0.5000", "99.00", "%", f"{90 + i}.00", "%"),
        ]


def test_finished_epochs_stay_above_the_table() -> None:
    terminal, clock = Terminal(60), Clock()
    with terminal_run_listener(terminal.console, clock) as listen:
        for event in begin("ab"):
            listen(event)
        for epoch in (1, 2):
            clock.now += 2
            listen(epoch_done(epoch, {"a": 90.0 + epoch, "b": 80.0}))
        lines = shown(terminal.take())
    assert lines[:2] == [
        "epoch 1/4  a 91.0 %  b 80.0 %  loss 0.500",
        "epoch 2/4  a 92.0 %  b 80.0 %  loss 0.500",
    ]
    assert lines[2].startswith("tiny")
    assert sum(line.startswith("tiny") for line in lines) == 1


@pytest.mark.parametrize("width", [40, 60, 80])
def test_a_narrow_terminal_goes_without_columns_and_cuts_no_word(width: int) -> None:
    terminal, clock = Terminal(width), Clock()
    names = ["a", "teacher_of_everybody"]
    known = plan(names, repeats=3, holdout=True)
    with terminal_run_listener(terminal.console, clock) as listen:
        listen(RunStarted(known, FOLDER, "cpu"))
        listen(RepeatStarted(1, seed=0))
        clock.now += 2000
        listen(epoch_done(1, dict.fromkeys(names, 98.5)))
        running = shown(terminal.take().rpartition("\x1b[1A")[2])
        of_all = NodeResult(
            accuracy=Score.of([98.0, 99.0]), validation_accuracy=Score.of([97.5, 98.0])
        )
        nodes = dict.fromkeys(names, of_all)
        listen(RunFinished(known, result({"a": [0.0]}).model_copy(update={"nodes": nodes})))
    done = shown(terminal.take().rpartition("\x1b[1A")[2])
    text = "\n".join([*running, *done])
    assert "…" not in text
    assert max(map(len, [*running, *done])) <= width
    for line in ("epoch 2/4", "98.50 %", "98.50 ± 0.71 % (n = 2)", "97.75 ± 0.35 % (n = 2)"):
        assert line in text
    assert ("steps/s" in text) == (width > 40)
    assert ("auxiliary" in text) == (width > 60)


def test_what_is_drawn_replaces_what_was_drawn() -> None:
    terminal = Terminal()
    with terminal_run_listener(terminal.console, Clock()) as listen:
        for event in begin():
            listen(event)
        drawn = len(shown(terminal.take().rpartition("\x1b[1A")[2]))
        listen(StepsDone(1, 5))
        again = terminal.take()
    # Up over every line but the one that the cursor is in, each cleared on the way.
    assert again.count("\x1b[1A") == drawn - 1
    assert len(shown(again)) == drawn
    assert "\x1b[2J" not in again


def test_a_terminal_of_another_size_is_drawn_anew() -> None:
    terminal = Terminal()
    with terminal_run_listener(terminal.console, Clock()) as listen:
        for event in begin():
            listen(event)
        terminal.resize(45, 20)
        terminal.take()
        listen(StepsDone(1, 5))
        _, cleared, anew = terminal.take().partition("\x1b[2J")
        listen(StepsDone(1, 6))
        assert "\x1b[2J" not in terminal.take()
    assert cleared
    lines = shown(anew)
    assert max(map(len, lines)) <= 45
    # What does not fit is left out, not the nodes and their numbers.
    assert all(any(line.startswith(f"{name} ") for line in lines) for name in SEVEN)
    assert "test" in "".join(lines)


def test_more_nodes_than_lines_keep_the_target_in_sight() -> None:
    terminal = Terminal(height=12)
    with terminal_run_listener(terminal.console, Clock()) as listen:
        for event in begin("abcdefghijklmnopqrsu"):
            listen(event)
        lines = shown(terminal.take())
        assert len(lines) <= 2 * 12
        assert any(line.startswith("a ") for line in lines)


def test_the_result_takes_the_place_of_the_progress() -> None:
    terminal = Terminal()
    reached = result({name: [98.6, 98.0] for name in SEVEN})
    with terminal_run_listener(terminal.console, Clock()) as listen:
        for event in begin():
            listen(event)
        terminal.take()
        listen(RunFinished(plan(SEVEN), reached))
        written = terminal.take()
    assert "\x1b[1A" in written
    lines = shown(written)
    assert "98.30 ± 0.42 % (n = 2)" in next(line for line in lines if line.startswith("a "))
    assert "finished in 1 min 23 s, everything is in runs/tiny" in "\n".join(lines)
    assert not any("epoch" in line for line in lines)
    assert lines[0] == ""  # between the epochs and the result
    assert written.endswith("\x1b[?25h")


def test_the_terminal_is_given_back_when_the_run_is_cut_off() -> None:
    terminal = Terminal()

    def interrupted() -> None:
        with terminal_run_listener(terminal.console, Clock()) as listen:
            for event in begin():
                listen(event)
            assert "\x1b[?25l" in terminal.take()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert terminal.take().endswith("\x1b[?25h")
