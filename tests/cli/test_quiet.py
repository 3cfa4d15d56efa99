"""`--quiet` shows the result alone, and on stderr what makes its numbers others."""

import pytest

import ktgdsl
from ktgdsl.cli.training import run_listener, search_listener
from ktgdsl.searching.events import SearchWarning, WorkerLost
from ktgdsl.training.events import PretrainStarted

PLAN = ktgdsl.loads("graph g { node a = resnet8 target a edge label -> a }")


def test_a_teacher_that_the_cache_has_lost_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with run_listener(quiet=True) as listener:
        listener(PretrainStarted("t", PLAN))
        listener(PretrainStarted("t", PLAN, "the weights in the cache are damaged"))
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err == (
        "t is trained on the labels first: the weights in the cache are damaged\n"
    )


def test_a_note_of_a_trial_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with search_listener(quiet=True) as listener:
        listener(WorkerLost(3, 1, "it was killed"))  # its trial goes on to the same value
        listener(SearchWarning("trial 3: its state is damaged: it is trained anew"))
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err == "trial 3: its state is damaged: it is trained anew\n"
