"""Settings for the whole suite, made before torch is imported."""

import gc
import os
import signal
from collections.abc import Iterator

import pytest

# Threads that spin while they wait make tests crawl where other work shares the cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# A shell that starts the tests in the background has them, and all that they start, ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Spare the garbage collector what lives as long as the session: a tenth of all CPU time."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def forked_workers() -> Iterator[None]:
    """Workers of searches are forked from a process that has imported torch."""
    from tests.forked import forked_workers as forked

    with forked():
        yield


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Steps that are made meanwhile have no thread besides the caller's, which alone is seen."""
    from ktgdsl.bench.flops import one_thread as alone

    with alone():
        yield
