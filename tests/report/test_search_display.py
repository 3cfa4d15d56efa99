"""What people see of a search: counts, the ladder, the best graph, the time left, the report."""

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest
from rich.console import Console

from ktgdsl.plan.model import Edge, Plan
from ktgdsl.report.search_display import search_view, terminal_search_listener
from ktgdsl.report.search_progress import SearchProgress
from ktgdsl.report.search_text import plain_search_listener, search_result_text
from ktgdsl.searching.checks import TARGET_ALONE
from ktgdsl.searching.events import (
    BestFound,
    CheckDone,
    CheckReported,
    CheckStarted,
    EarlierTrial,
    Event,
    Exhausted,
    FrontReached,
    SearchFinished,
    SearchStarted,
    State,
    TrialEnded,
    TrialReported,
    TrialStarted,
    WorkerLost,
)
from ktgdsl.searching.result import Finalist, SearchResult, Unjudged
from ktgdsl.searching.search_run import SearchOutcome
from ktgdsl.searching.study.standing import Standing
from ktgdsl.training.result import Score
from tests.plans import CORRECT, LINEAR, edge, tiny_plan
from tests.specs import sound

FOLDER = Path("runs/tiny")
EDGES = [edge("label", "a"), edge("b", "a", CORRECT), edge("a", "b", LINEAR)]

SPACE = """
graph tiny {{
    node a, b = resnet8
    target a
    edge label -> *
    edge *     -> * via through | cutoff | correct
}}
train {{ epochs = 8 }}
search {{ trials = {trials} confirm = {confirm} }}
"""


class Clock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def space(trials: int = 10, confirm: int = 0) -> Plan:
    return sound(SPACE.format(trials=trials, confirm=confirm))


def started(
    trials: int = 10,
    workers: int = 2,
    confirm: int = 0,
    epochs: int = 8,
    earlier: Sequence[EarlierTrial] = (),
) -> SearchStarted:
    plan = space(trials, confirm)
    return SearchStarted(plan, FOLDER, workers, (1, 2, 4), epochs, trials, earlier)


def graph(nodes: str = "ab", edges: list[Edge] | None = None) -> Plan:
    return tiny_plan(nodes, EDGES if edges is None else edges)


def complete_graph(nodes: str) -> Plan:
    """All nodes teach all others, each by a gate that stands nowhere twice in a row."""
    gates = (CORRECT, LINEAR)
    edges = [edge(a, b, gates[i % 2]) for a in nodes for i, b in enumerate(nodes) if a != b]
    return graph(nodes, edges)


FIFTH = Standing(epoch=1, value=40.0, place=5, values=6, kept=3)


def trial(number: int, values: list[float], state: State = "pruned") -> Iterator[Event]:
    """A trial of its own: it goes on until its last value."""
    yield TrialStarted(number, {}, graph())
    for epoch, value in enumerate(values, start=1):
        pruned = epoch == len(values) and state != "complete"
        yield TrialReported(number, epoch, value, pruned)
    yield TrialEnded(number, state, len(values), values[-1] if values else None)


def fed(progress: SearchProgress, *events: Event) -> SearchProgress:
    for event in events:
        progress(event)
    return progress


def shown(progress: SearchProgress, width: int = 80, height: int = 24) -> list[str]:
    """The lines of the view; none is wider or lower than the terminal."""
    console = Console(file=io.StringIO(), width=width, height=height, _environ={})
    with console.capture() as captured:
        console.print(search_view(progress, width, height))
    lines = captured.get().rstrip("\n").split("\n")
    assert max(map(len, lines)) <= width
    assert len(lines) < height
    return [line.rstrip() for line in lines]


# How it stands


def test_counts_rungs_and_running_trials() -> None:
    progress = fed(
        SearchProgress(started(), Clock()),
        *trial(0, [50.0, 60.0, 70.0, 75.0, 80.0, 80.0, 80.0, 81.0], "complete"),
        *trial(1, [40.0]),
        *trial(2, [55.0, 58.0]),
        *trial(3, [], "failed"),
        TrialStarted(4, {}, graph()),
        TrialReported(4, 1, 52.5, pruned=False),
        TrialStarted(5, {}, graph()),
    )
    assert progress.done == 4
    assert progress.counts == ["2 running", "2 pruned", "1 complete", "1 failed"]
    assert [(e, r.reached, r.survived, r.best) for e, r in progress.rungs.items()] == [
        (1, 4, 3, 55.0),
        (2, 2, 1, 60.0),
        (4, 1, 1, 75.0),
    ]
    assert {n: (r.epoch, r.value) for n, r in progress.running.items()} == {
        4: (1, 52.5),
        5: (0, None),
    }


def test_trials_of_before_count() -> None:
    """Totals are as if one owner had done it all; two of its trials were under way."""
    earlier = [
        EarlierTrial("complete", dict.fromkeys(range(1, 9), 60.0)),
        EarlierTrial("pruned", {1: 40.0}),
        EarlierTrial("pruned", {1: 55.0, 2: 58.0}),
        EarlierTrial("failed", {1: 56.0}),
        EarlierTrial("failed", {}),
        EarlierTrial("running", {1: 70.0, 2: 65.0}),
        EarlierTrial("running", {1: 45.0}),
    ]
    clock = Clock()
    progress = SearchProgress(started(earlier=earlier), clock)
    assert progress.counts == ["0 running", "2 pruned", "1 complete", "2 failed"]
    assert progress.started.done == progress.done == 5
    fed(
        progress,
        TrialStarted(5, {}, graph(), epoch=2),
        TrialEnded(6, "pruned", 1, 45.0),  # what had been written was not acted upon
    )
    clock.now += 2.0
    fed(progress, TrialReported(5, 3, 66.0, pruned=False))
    assert progress.counts == ["1 running", "3 pruned", "1 complete", "2 failed"]
    assert [(e, r.reached, r.survived, r.best) for e, r in progress.rungs.items()] == [
        (1, 6, 4, 70.0),
        (2, 3, 2, 65.0),
        (4, 1, 1, 60.0),
    ]
    # 16 epochs for six trials that are over; four are left to two workers, which then train
    # what judges the result, eight epochs each.
    assert progress.seconds_left == pytest.approx(4 / 2 * 16 / 6 * 2.0 + 8 * 2.0)


def test_a_trial_that_only_had_to_be_ended() -> None:
    progress = fed(SearchProgress(started(), Clock()), TrialEnded(3, "pruned", 2, 50.0))
    assert (progress.done, progress.running) == (1, {})


# Time left


def run_trials(progress: SearchProgress, clock: Clock, lengths: list[int], each: float) -> None:
    """Trials one after another, each epoch taking `each` seconds."""
    for number, length in enumerate(lengths):
        for event in trial(number, [50.0] * length):
            clock.now += each if isinstance(event, TrialReported) else 0.0
            progress(event)


def test_the_time_left_is_unknown_before_three_trials_are_over() -> None:
    clock = Clock()
    progress = SearchProgress(started(), clock)
    run_trials(progress, clock, [1, 1], 2.0)
    assert progress.seconds_left is None


def test_the_time_left_is_that_of_trials_and_baselines() -> None:
    clock = Clock()
    progress = SearchProgress(started(trials=20, workers=2), clock)
    run_trials(progress, clock, [1, 1, 8, 2], 2.0)
    # 12 epochs for 4 trials, so 3 each of 2 s; 16 trials by two workers; then 2 baselines of
    # 8 epochs, one a worker.
    assert progress.seconds_left == 16 / 2 * 3 * 2 + 8 * 2


def test_a_slow_epoch_does_not_change_the_time_left() -> None:
    clock = Clock()
    progress = SearchProgress(started(trials=4, workers=1), clock)
    clock.now += 1
    fed(progress, TrialStarted(0, {}, graph()))
    clock.now += 500  # a node is pre-trained
    fed(progress, TrialReported(0, 1, 50.0, pruned=True), TrialEnded(0, "pruned", 1, 50.0))
    run_trials(progress, clock, [1, 1], 2.0)
    assert progress.seconds_left == 1 * 2 + 2 * 8 * 2


def test_what_trials_under_way_have_trained_counts() -> None:
    clock = Clock()
    progress = SearchProgress(started(trials=10, workers=7), clock)
    run_trials(progress, clock, [1, 1, 1], 1.0)
    fed(progress, TrialStarted(3, {}, graph()))
    for epoch in range(1, 7):
        clock.now += 1
        fed(progress, TrialReported(3, epoch, 50.0, pruned=False))
    # 9 epochs for 3 trials that are over; 7 trials by 7 workers; both baselines at a time.
    assert progress.seconds_left == 3 + 8


def test_confirmation_is_foreseen_and_runs_down() -> None:
    clock = Clock()
    progress = SearchProgress(started(trials=3, workers=2, confirm=5), clock)
    run_trials(progress, clock, [1, 1, 1], 1.0)
    # 5 seeds of 3 finalists and 2 baselines: 25 trainings, 13 after each other, of 8 epochs.
    assert progress.seconds_left == 13 * 8
    fed(progress, *(CheckStarted("trial 0", seed, seed, 25) for seed in range(25)))
    assert progress.seconds_left == 25 * 8 / 2
    for epoch in range(1, 9):
        clock.now += 1
        fed(progress, *(CheckReported("trial 0", seed, epoch, 50.0) for seed in (0, 1)))
    fed(progress, CheckDone("trial 0", 0, 1, 25, 50.0))
    fed(progress, CheckDone("trial 0", 1, 2, 25, None, "diverged at epoch 8: nan"))
    assert (progress.checks_done, progress.checks_total) == (2, 25)
    assert progress.seconds_left == 23 * 8 / 2
    fed(progress, *(CheckDone("trial 0", seed, seed + 1, 25, 50.0) for seed in range(2, 24)))
    assert progress.seconds_left == 8  # one worker has nothing to do
    fed(progress, CheckDone("trial 0", 24, 25, 25, 50.0))
    assert progress.seconds_left == 0


def test_the_time_left_follows_the_epochs_of_what_judges() -> None:
    clock = Clock()
    progress = SearchProgress(started(trials=3, workers=1), clock)
    run_trials(progress, clock, [1, 1, 1], 1.0)
    fed(progress, *(CheckStarted(name, 7, i, 2) for i, name in enumerate(("one", "other"))))
    for epoch in range(1, 8):
        clock.now += 3
        fed(progress, CheckReported("one", 7, epoch, 50.0))
    # Three epochs of a second, and six of three: that of the first is not known.
    assert progress.seconds_left == (1 + 8) * 3


def test_judging_that_goes_on_counts_what_was_judged_before() -> None:
    progress = fed(SearchProgress(started(), Clock()), CheckStarted("trial 0", 9, 15, 17))
    assert (progress.checks_done, progress.checks_total) == (15, 17)


def test_an_exhausted_space_has_fewer_trials_left() -> None:
    clock = Clock()
    progress = SearchProgress(started(trials=100, workers=1), clock)
    run_trials(progress, clock, [1, 1, 1], 1.0)
    fed(progress, Exhausted(4, 100))
    assert progress.total == 4
    assert progress.seconds_left == 1 + 2 * 8


# The view


def busy(clock: Clock | None = None, **fields: Any) -> SearchProgress:
    progress = SearchProgress(started(**fields), clock or Clock())
    return fed(
        progress,
        *trial(0, [50.0, 60.0, 70.0, 75.0, 80.0, 80.0, 80.0, 81.25], "complete"),
        BestFound(0, 81.25, graph()),
        *trial(1, [40.0]),
        TrialStarted(2, {}, graph()),
        TrialReported(2, 1, 52.5, pruned=False),
        TrialStarted(3, {}, graph()),
    )


def test_the_view() -> None:
    clock = Clock()
    progress = busy(clock)
    clock.now += 83
    lines = shown(progress)
    assert lines[0] == "tiny  for a on digits, 2 workers, into runs/tiny"
    assert re.fullmatch(r"2/10 trials  ━━━━━━ +elapsed 1 min 23 s   left -", lines[1])
    assert lines[2:] == [
        "2 running   1 pruned   1 complete   0 failed",
        "",
        "after epoch  reached  went on     best    running  epoch    value",
        "1                  3        2  52.50 %    trial 2    1/8  52.50 %",
        "2                  1        1  60.00 %    trial 3    0/8        -",
        "4                  1        1  75.00 %",
        "",
        "best graph so far: 81.25 %, trial 0",
        "  a resnet8   b resnet8",
        "  label -> a           b -> a via correct   a -> b via linear",
    ]


def test_the_view_and_the_lines_say_why_a_trial_was_pruned() -> None:
    ended = TrialEnded(4, "pruned", 1, 40.0, standing=FIFTH)
    progress = fed(busy(Clock()), ended)
    assert shown(progress)[3] == "last pruned: trial 4, place 5 of 6 at epoch 1"
    fed(progress, CheckStarted("target alone, on labels", 7, 0, 2))
    assert not any("last pruned" in line for line in shown(progress))
    lines: list[str] = []
    listen = plain_search_listener(lines.append, Clock())
    for event in (started(), TrialStarted(4, {}, graph()), ended):
        listen(event)
    assert lines[-1].endswith("trial 4 pruned after epoch 1 at 40.00 %: place 5 of 6 at epoch 1")


def test_the_view_says_how_many_trials_are_on_the_front() -> None:
    progress = fed(busy(Clock()), FrontReached(0, (81.25, -8.0), 2))
    assert "best graph so far: 81.25 %, trial 0; 2 trials on the front" in shown(progress)


def test_a_view_before_anything_is_known() -> None:
    progress = SearchProgress(started(), Clock())
    lines = shown(progress)
    assert lines[1].endswith("left -")
    assert lines[-1] == "best graph so far: none, no trial is complete"
    assert all(line.split()[1:] == ["0", "0", "-"] for line in lines[5:8])


def test_no_rungs_and_nothing_running() -> None:
    plan = space()
    progress = SearchProgress(SearchStarted(plan, FOLDER, 1, (), 8, 10), Clock())
    lines = shown(progress)
    assert not any("after epoch" in line or "running  " in line for line in lines[3:])
    assert lines[-1].startswith("best graph so far")


def test_the_time_left_in_the_view() -> None:
    clock = Clock()
    progress = SearchProgress(started(trials=1500, workers=1), clock)
    run_trials(progress, clock, [1, 1, 1], 3.0)
    assert "about 1 h 15 min" in shown(progress)[1]  # 1497 epochs of 3 s, and 16 of baselines


def test_judging_takes_the_place_of_the_running_trials() -> None:
    names = ("trial 12", "trial 3", "target alone, on labels", "all gates through")
    checks = [CheckStarted(name, seed, 0, 20) for name in names for seed in range(5)]
    progress = fed(busy(), *checks)
    lines = shown(progress)
    assert lines[4] == ("after epoch  reached  went on     best    judging the result       seeds")
    assert lines[7] == ("4                  1        1  75.00 %    target alone, on labels    0/5")
    assert lines[1].startswith("judging 0/20  ")
    fed(
        progress,
        CheckDone("trial 12", 0, 1, 20, 81.5),
        CheckDone("trial 12", 1, 2, 20, None, "diverged at epoch 3: a loss became nan"),
    )
    lines = shown(progress, 100)
    assert lines[1].startswith("judging 2/20  ━")
    assert lines[3] == "warning: trial 12, seed 1: diverged at epoch 3: a loss became nan"
    assert lines[6].endswith("trial 12                   2/5  1 without a value")


def test_warnings_stay_in_sight() -> None:
    progress = fed(busy(), WorkerLost(2, 1, "exit code -9\nKilled"))
    lines = shown(progress)
    assert lines[2].endswith("1 attempt lost")
    assert lines[3] == ("warning: attempt 1 was lost with its worker, trial 2: exit code -9 Killed")
    fed(progress, TrialEnded(2, "failed", 1, None, "diverged: the loss of a is nan " + "x" * 200))
    assert shown(progress)[3].startswith("warning: trial 2 failed: diverged: the loss of a is nan")
    fed(progress, Exhausted(4, 10))
    lines = shown(progress)
    assert lines[1].startswith("3/4 trials")
    assert lines[3] == "warning: the space has no further graph: 4 of 10 trials could be made"


def test_what_is_lost_while_the_result_is_judged_is_no_trial() -> None:
    lost = WorkerLost(1_000_000_003, 2, "trial 12: exit code -9")
    progress = fed(busy(), CheckStarted("trial 12", 5, 0, 2), lost)
    assert progress.warning == "attempt 2 was lost with its worker, trial 12: exit code -9"


@pytest.mark.parametrize("width", [80, 120])
def test_a_large_search_fits(width: int) -> None:
    clock = Clock()
    plan = complete_graph("abcdefg")
    rungs = tuple(2**k for k in range(8))
    begun = SearchStarted(space(10_000), Path("runs") / ("long" * 40), 64, rungs, 200, 10_000)
    progress = SearchProgress(begun, clock)
    for number in range(64):
        fed(progress, TrialStarted(number, {}, plan))
        for rung in rungs:
            clock.now += 100
            fed(progress, TrialReported(number, rung, 100.0, pruned=False))
    fed(progress, *trial(70, [99.0]), *trial(71, [99.0]), *trial(72, [99.0]))
    fed(progress, BestFound(70, 99.0, plan), WorkerLost(3, 1, "why " * 50))
    lines = shown(progress, width)
    assert len(lines) == 23
    assert lines[5].startswith("after epoch")
    assert [line.split()[0] for line in lines[6:14]] == [str(rung) for rung in rungs]
    assert lines[13].endswith("... and 57 more")  # of 64 running, 7 are above
    assert lines[15] == "best graph so far: 99.00 %, trial 70"
    assert lines[16].startswith("  a resnet8   b resnet8   c resnet8")
    told = "  ".join(lines[17:])
    left_out = re.search(r"\.\.\. and (\d+) more$", told)
    assert left_out is not None
    assert int(left_out[1]) + told.count("->") == len(progress.edges)


@pytest.mark.parametrize(("width", "height"), [(45, 20), (80, 12), (80, 6), (20, 5), (200, 60)])
def test_any_size(width: int, height: int) -> None:
    progress = fed(busy(), WorkerLost(2, 1, "exit code -9"))
    lines = shown(progress, width, height)
    assert lines[0].startswith("tiny  for a")
    assert "2/10 trials" in lines[1]


@pytest.mark.parametrize("width", [40, 60, 80])
def test_a_narrow_terminal_cuts_no_word_of_a_table(width: int) -> None:
    progress = busy()
    fed(progress, WorkerLost(2, 1, "killed by SIGKILL"))
    lines = shown(progress, width)
    at = next(i for i, line in enumerate(lines) if line.startswith("after epoch"))
    assert lines[at].startswith("after epoch  reached  went on     best")
    assert "…" not in "".join(lines)
    counts = [*progress.counts, "1 attempt lost"]
    warned = next(i for i, line in enumerate(lines) if line.startswith("warning: "))
    assert re.split("   |\n", "\n".join(lines[2:warned])) == counts
    fed(
        progress,
        CheckStarted(TARGET_ALONE, 7, 0, 2),
        CheckDone(TARGET_ALONE, 7, 1, 2, None, "diverged"),
    )
    lines = shown(progress, width)
    at = next(i for i, line in enumerate(lines) if line.startswith("judging the result"))
    assert lines[at + 1].startswith("target alone, on labels    1/1")
    assert lines[at + 1].endswith("1 without a value") == (width > 40)


def test_a_narrow_terminal_has_the_ladder_then_what_judges() -> None:
    progress = busy()
    text = "\n".join(shown(progress, 45))
    assert "after epoch" in text
    assert "trial 2 " not in text
    fed(progress, CheckStarted("all gates through", 1, 0, 2))
    text = "\n".join(shown(progress, 45))
    assert "all gates through" in text
    assert "after epoch" not in text


def test_frozen_nodes_say_so() -> None:
    settings = {"b": {"frozen": "no edge enters it"}}
    plan = tiny_plan("ab", [edge("label", "a"), edge("b", "a")], settings=settings)
    lines = shown(fed(busy(), BestFound(2, 90.0, plan)))
    assert "  a resnet8            b resnet8 (frozen)" in lines


# The terminal


def terminal(width: int = 80, height: int = 24) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=width, height=height, _environ={})


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    console.file.seek(0)
    console.file.truncate()
    return text


def plainly(text: str) -> str:
    """What was written, without colours and cursor movements."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", text)


def test_the_report_takes_the_place_of_the_view() -> None:
    console = terminal()
    with terminal_search_listener(console, Clock()) as listen:
        listen(started())
        for event in trial(0, [50.0]):
            listen(event)
        assert "after epoch" in plainly(written(console))
        listen(SearchFinished(space(), result()))
        ended = written(console)
    assert "\x1b[?25h" in ended
    after = plainly(ended.rpartition("\x1b[2K")[2])
    assert after.strip() == search_result_text(space(), result())


def test_an_interrupted_search_leaves_the_view_and_gives_the_terminal_back() -> None:
    console = terminal()

    def interrupted() -> None:
        with terminal_search_listener(console, Clock()) as listen:
            listen(started())
            for event in trial(0, [50.0]):
                listen(event)
            written(console)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    ended = written(console)
    assert "1/10 trials" in plainly(ended)
    assert ended.rstrip("\n").endswith("\x1b[?25h")


def test_a_terminal_of_another_size_is_drawn_anew() -> None:
    console = terminal()
    with terminal_search_listener(console, Clock()) as listen:
        listen(started())
        console.size = (50, 20)
        listen(TrialStarted(0, {}, graph()))
        _, cleared, anew = written(console).partition("\x1b[2J")
    assert cleared
    assert max(map(len, plainly(anew).splitlines())) <= 50


def test_a_finished_search_in_a_terminal_prints_its_report() -> None:
    console = terminal(width=200)
    with terminal_search_listener(console) as listen:
        listen(SearchFinished(space(), result(), already=True))
    assert plainly(written(console)).rstrip() == search_result_text(space(), result(), already=True)


# Plain lines


def test_plain_lines() -> None:
    lines: list[str] = []
    clock = Clock()
    listen = plain_search_listener(lines.append, clock)
    listen(started(trials=4))
    for number, values in enumerate([[50.0, 60.0], [40.0], [45.0]]):
        for event in trial(number, values):
            listen(event)
        clock.now += 0.4
    listen(WorkerLost(3, 1, "exit code -9"))
    for event in trial(3, [50.0] * 7 + [81.25], "complete"):
        listen(event)
    listen(BestFound(3, 81.25, graph()))
    listen(CheckStarted("target alone, on labels", 7, 0, 2))
    listen(CheckStarted("all gates through", 7, 1, 2))
    assert lines == [
        "tiny: 4 trials of up to 8 epochs for a on digits, 2 workers, into runs/tiny",
        "1/4 trials  1 pruned  0 complete  0 failed  trial 0 pruned after epoch 2 at 60.00 %",
        "2/4 trials  2 pruned  0 complete  0 failed  trial 1 pruned after epoch 1 at 40.00 %",
        "3/4 trials  3 pruned  0 complete  0 failed  trial 2 pruned after epoch 1 at 45.00 %",
        "warning: attempt 1 was lost with its worker, trial 3: exit code -9",
        "4/4 trials  3 pruned  1 complete  0 failed  trial 3 complete after epoch 8 at 81.25 %",
        "new best: 81.25 %, trial 3: label -> a; b -> a via correct; a -> b via linear",
        "the trials are over, 2 trainings to judge the result",
    ]


def test_plain_lines_of_what_judges_the_result() -> None:
    lines: list[str] = []
    clock = Clock()
    listen = plain_search_listener(lines.append, clock)
    listen(started(trials=4, workers=1))
    listen(CheckStarted("target alone, on labels", 7, 0, 2))
    listen(CheckStarted("all gates through", 7, 1, 2))
    for epoch in range(1, 4):
        clock.now += 3.0
        listen(CheckReported("target alone, on labels", 7, epoch, 80.0))
    listen(CheckDone("target alone, on labels", 7, 1, 2, None, "diverged at epoch 4:\n  nan"))
    listen(CheckDone("all gates through", 7, 2, 2, 80.0))
    assert lines[1:] == [
        "the trials are over, 2 trainings to judge the result",
        "judging 1/2  target alone, on labels, seed 7: diverged at epoch 4: nan  about 24 s left",
        "judging 2/2  all gates through, seed 7: 80.00 %",
    ]


def test_plain_lines_of_a_search_that_goes_on_and_of_a_failure() -> None:
    lines: list[str] = []
    listen = plain_search_listener(lines.append, Clock())
    listen(started(trials=5, workers=1, earlier=[EarlierTrial("pruned", {1: 50.0})]))
    listen(TrialStarted(1, {}, graph()))
    listen(TrialEnded(1, "failed", 0, None, "diverged:\n  the loss is nan"))
    assert lines == [
        "tiny: 5 trials of up to 8 epochs for a on digits, 1 worker, into runs/tiny, "
        "going on after 1 trial",
        "2/5 trials  1 pruned  0 complete  1 failed  "
        "trial 1 failed after epoch 0: diverged: the loss is nan",
    ]


def test_counts_are_told_before_the_result_is_judged() -> None:
    """The trials of an exhausted space may end within a second of the last line."""
    lines: list[str] = []
    listen = plain_search_listener(lines.append, Clock())
    listen(started(trials=500, workers=1))
    for number in range(3):
        for event in trial(number, [50.0]):
            listen(event)
    listen(Exhausted(3, 500))
    listen(CheckStarted("target alone, on labels", 7, 0, 2))
    assert len(lines) == 5
    assert lines[-3:] == [
        "warning: the space has no further graph: 3 of 500 trials could be made",
        "3/3 trials  3 pruned  0 complete  0 failed  trial 2 pruned after epoch 1 at 50.00 %",
        "the trials are over, 2 trainings to judge the result",
    ]


def test_long_graphs_are_cut_in_plain_lines() -> None:
    lines: list[str] = []
    listen = plain_search_listener(lines.append, Clock())
    listen(started())
    six = [edge(a, b, CORRECT if a == "a" else LINEAR) for a, b in ("ab", "ba", "ac", "ca")]
    six += [edge("label", name) for name in "a"] + [edge("b", "c")]
    listen(BestFound(3, 81.25, graph("abc", six)))
    assert lines[1].count("->") == 6
    assert "more" not in lines[1]
    listen(BestFound(4, 82.5, graph("abc", [*six, edge("c", "b")])))
    assert lines[2].count("->") == 5
    assert lines[2].endswith("; ... and 2 more")


def test_many_trials_are_few_lines_and_one_look_at_each_event() -> None:
    """Two seconds of 1,500 trials: the counts are whole though most trials have no line."""
    lines: list[str] = []
    clock = Clock()
    looks = 0

    def counted() -> float:
        nonlocal looks
        looks += 1
        return clock()

    listen = plain_search_listener(lines.append, counted)
    listen(started(trials=1500))
    for number in range(1500):
        clock.now += 1 / 750
        for event in trial(number, [50.0]):
            listen(event)
    assert len(lines) == 4  # the first line, after 0 and 1 s, and the last trial
    assert lines[-1].startswith("1500/1500 trials  1500 pruned")
    assert looks < 4 * 1500


# The report


def result(**fields: Any) -> SearchResult:
    base: Mapping[str, Any] = {
        "folder": FOLDER,
        "target": "a",
        "finalists": (finalist(17, 97.297, 1), finalist(3, 96.525, 2)),
        "complete": True,
        "trials": 60,
        "states": {"complete": 4, "pruned": 56},
        "baselines": {
            "target alone, on labels": Score.of([93.05]),
            "all gates through": Score.of([95.75]),
        },
        "validation_samples": 259,
        "epochs": 20,
        "epochs_trained": 312,
        "seconds": 185.2,
        "exhausted": False,
    }
    return SearchResult(**{**base, **fields})


def test_a_result_is_one_line() -> None:
    assert repr(result()) == f"<SearchResult a 97.30 % in trial 17 of 60; {FOLDER}>"
    best = finalist(17, 97.297, 1, confirmed=Score.of([97.0, 97.2]))
    told = repr(result(finalists=(best,)))
    assert told == f"<SearchResult a 97.10 ± 0.14 % (n = 2) in trial 17 of 60; {FOLDER}>"


def test_an_outcome_is_one_line_without_the_study() -> None:
    best = sound("graph g { node a, b = resnet8 target a edge label, b -> a }")
    outcome = SearchOutcome(optuna.create_study(), best, result())
    assert repr(outcome) == (
        f"<SearchOutcome <SearchResult a 97.30 % in trial 17 of 60; {FOLDER}>, "
        "best <Plan g: 2 nodes, 2 edges, target a; digits, 20 epochs>>"
    )


def finalist(number: int, value: float, place: int, **fields: Any) -> Finalist:
    base: Mapping[str, Any] = {"epochs": 20, "seed": 7, "digest": "d", "canonical_digest": "c"}
    return Finalist(
        **{**base, "trial": number, "value": value, "spec": f"top/{place:02}.ktg", **fields}
    )


def test_the_report_of_single_trainings() -> None:
    assert search_result_text(space(60), result()) == (
        "best graph: trial 17, 97.30 % after 20 epochs\n"
        "\n"
        "                         accuracy  graph\n"
        "trial 17                 97.30 %   top/01.ktg\n"
        "trial 3                  96.53 %   top/02.ktg\n"
        "target alone, on labels  93.05 %\n"
        "all gates through        95.75 %\n"
        "\n"
        "accuracy of a after 20 epochs on 259 validation images\n"
        "a difference of 0.386 % is one image\n"
        "a single training has no spread, so nobody knows how much of it is chance\n"
        "the best was chosen on these images, so expect less of it on others\n"
        "`confirm = 5` in the search block trains the best three with further seeds\n"
        "\n"
        "60 trials: 56 pruned, 4 complete, 0 failed; 312 of 1,200 epochs trained\n"
        "finished in 3 min 05 s, everything is in runs/tiny\n"
        "train the best graph on all training samples: ktgc run runs/tiny/best.ktg"
    )


def test_the_report_with_further_seeds() -> None:
    confirmed = result(
        finalists=(
            finalist(17, 97.25, 1, confirmed=Score.of([95.0, 97.0, 96.0])),
            finalist(3, 98.0, 2),
        ),
        baselines={"target alone, on labels": Score.of([92.0, 94.0, 93.0])},
        validation_samples=10_000,
    )
    text = search_result_text(space(60, confirm=3), confirmed, already=True)
    assert text.startswith(
        "best graph: trial 17, 96.00 ± 1.00 % (n = 3) with further seeds\n"
        "\n"
        "                         in the search  further seeds           graph\n"
        "trial 17                 97.25 %        96.00 ± 1.00 % (n = 3)  top/01.ktg\n"
        "trial 3                  98.00 %        -                       top/02.ktg\n"
        "target alone, on labels  -              93.00 ± 1.00 % (n = 3)\n"
        "\n"
        "accuracy of a after 20 epochs on 10,000 validation images\n"
        "a difference of 0.01 % is one image\n"
        "\n"
    )
    assert "already finished: it took 3 min 05 s" in text
    narrow = search_result_text(space(60, confirm=3), confirmed, width=60)
    assert (
        "trial 17\n"
        "  in the search  97.25 %\n"
        "  further seeds  96.00 ± 1.00 % (n = 3)\n"
        "  graph          top/01.ktg\n"
    ) in narrow


@pytest.mark.parametrize(("alone", "told"), [(97.29, False), (97.297, True), (98.0, True)])
def test_a_baseline_that_is_as_good_is_named(alone: float, told: bool) -> None:
    baselines = {"target alone, on labels": Score.of([alone])}
    text = search_result_text(space(60), result(baselines=baselines))
    line = "the best graph is no better than this one: target alone, on labels"
    assert (line in text.splitlines()) is told


def test_one_further_seed_has_no_spread() -> None:
    one = finalist(17, 97.25, 1, confirmed=Score.of([95.0]))
    text = search_result_text(space(60, confirm=1), result(finalists=(one,)))
    assert text.startswith("best graph: trial 17, 95.00 % with further seeds\n")
    assert "±" not in text
    assert "a single training has no spread" in text
    assert "confirm = 5" not in text


def test_the_report_of_a_search_without_a_complete_trial() -> None:
    leader = finalist(17, 91.5, 1, epochs=4)
    text = search_result_text(
        space(60), result(finalists=(leader,), complete=False, states={"pruned": 60})
    )
    assert text.startswith(
        "best graph: trial 17, 91.50 % after 4 epochs\n"
        "no trial was trained to the end: it is the leader of the highest rung\n"
    )
    assert "trial 17                 91.50 % (epoch 4)  top/01.ktg" in text
    assert "60 trials: 60 pruned, 0 complete, 0 failed;" in text


def test_what_gave_no_value_is_named() -> None:
    nan = "diverged at epoch 3: the loss of edge label -> a became nan"
    missing = Unjudged(name="target alone, on labels", seed=7, reason=nan)
    again = Unjudged(name="trial 17", seed=8, reason="failed: hung; then hung")
    one = finalist(17, 97.25, 1, confirmed=Score.of([95.0, 96.0]))
    opened = {"all gates through": Score.of([95.75, 95.5])}
    found = result(finalists=(one,), baselines=opened, unjudged=(missing, again))
    lines = search_result_text(space(60, confirm=3), found).splitlines()
    assert lines[3:6] == [
        "trial 17                 97.25 %        95.50 ± 0.71 % (n = 2)  top/01.ktg",
        "all gates through        -              95.62 ± 0.18 % (n = 2)",
        "target alone, on labels  -              diverged at epoch 3",
    ]
    assert f"without a value: target alone, on labels, seed 7: {nan}" in lines
    assert "without a value: trial 17, seed 8: failed: hung; then hung" in lines
    assert SearchResult.from_json(found.to_json(), FOLDER) == found


def test_the_report_of_an_exhausted_space() -> None:
    text = search_result_text(
        space(60), result(trials=52, exhausted=True, folder=Path("my runs/x"))
    )
    assert "the space has no further graph: 52 of 60 trials could be made\n" in text
    assert "312 of 1,040 epochs trained" in text
    assert text.endswith("ktgc run 'my runs/x/best.ktg'")


def test_a_finished_search_prints_its_report() -> None:
    lines: list[str] = []
    plain_search_listener(lines.append)(SearchFinished(space(60), result(), already=True))
    assert "\n".join(lines) == search_result_text(space(60), result(), already=True)
