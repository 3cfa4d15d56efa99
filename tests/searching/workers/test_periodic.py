"""A function that is called periodically while something else is done."""

from threading import Event

from ktgdsl.searching.workers.periodic import called_every


def test_it_is_called_until_the_block_ends() -> None:
    calls: list[int] = []
    third = Event()

    def call() -> None:
        calls.append(1)
        if len(calls) == 3:
            third.set()

    with called_every(1 / 64, call):
        assert third.wait(60)
    count = len(calls)
    Event().wait(4 / 64)
    assert len(calls) == count


def test_it_is_called_no_longer_than_the_limit() -> None:
    calls: list[int] = []
    with called_every(1 / 64, lambda: calls.append(1), limit=3 / 64):
        Event().wait(0.5)
    assert 0 < len(calls) <= 3
