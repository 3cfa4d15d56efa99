"""The PostgreSQL server of the tests of shared searches."""

from collections.abc import Iterator

import pytest

from tests.searching.shared.postgres import Server, server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A server, running; the test is skipped where there is no PostgreSQL."""
    with server() as running:
        yield running
