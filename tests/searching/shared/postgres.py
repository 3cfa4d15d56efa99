"""A PostgreSQL server for tests: on loopback, of an ordinary user, its files in a new folder."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

NOBODY = 65534
PASSWORD = "s3cret"

ACCESS = """\
host all careful 127.0.0.1/32 scram-sha-256
host all all 127.0.0.1/32 trust
"""


class Server:
    """A server, running. `address` is that of a database in it, `careful` with a password."""

    def __init__(self, programs: Path, folder: Path, port: int) -> None:
        self._programs, self._folder, self.port = programs, folder, port
        self.address = f"postgresql://ktg@127.0.0.1:{port}/postgres"
        data = str(folder / "data")
        self._run("initdb", "-D", data, "-U", "ktg", "-A", "trust", "--no-sync", "--no-locale")
        (folder / "data" / "pg_hba.conf").write_text(ACCESS)
        self.start()
        self.execute(f"CREATE USER careful PASSWORD '{PASSWORD}'")
        self.execute("CREATE DATABASE careful OWNER careful")
        self.careful = f"postgresql://careful:{PASSWORD}@127.0.0.1:{port}/careful"

    def start(self) -> None:
        options = f"-F -h 127.0.0.1 -p {self.port} -k ''"
        log = str(self._folder / "log")
        self._control("-o", options, "-l", log, "-w", "start")

    def stop(self) -> None:
        """At once, as a crash would."""
        self._control("-m", "immediate", "-w", "stop")

    def execute(self, statement: str) -> None:
        import psycopg

        with psycopg.connect(self.address, autocommit=True) as connection:
            connection.execute(statement.encode())

    def _control(self, *arguments: str) -> None:
        self._run("pg_ctl", "-D", str(self._folder / "data"), *arguments)

    def _run(self, program: str, *arguments: str) -> None:
        # The server refuses root.
        user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.getuid() == 0 else {}
        subprocess.run(
            [self._programs / program, *arguments],
            check=True,
            cwd=self._folder,
            timeout=120,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            **user,  # type: ignore[call-overload] # a user, or nothing
        )


@contextmanager
def server() -> Iterator[Server]:
    """A server for the time of a `with` block; the test is skipped where there is no PostgreSQL."""
    pytest.importorskip("psycopg")
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = shutil.which("initdb") or (programs[-1] if programs else None)
    if found is None:
        pytest.skip("there is no PostgreSQL")
    # Not in pytest's own folder, into which no other user may look.
    folder = Path(tempfile.mkdtemp(prefix="ktgdsl-postgres-"))
    try:
        if os.getuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        running = Server(Path(found).parent, folder, port)
        try:
            yield running
        finally:
            running.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
