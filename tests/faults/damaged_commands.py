"""Files of shared searches and of tables, damaged, and the command lines that read them.

What a command line prints and writes is compared with what it does where nothing is damaged.
"""

import io
import re
import shutil
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from unittest.mock import patch
from wsgiref.util import setup_testing_defaults

import ktgdsl
from ktgdsl.cli.main import main as ktgc
from ktgdsl.errors import RunError
from ktgdsl.searching import search_run
from ktgdsl.searching.dashboard import dashboard_server
from ktgdsl.searching.events import Event, TrialEnded
from ktgdsl.searching.folder import SearchFolder
from ktgdsl.searching.shared.joined_search import join
from tests.faults.damaged import Reader, ToldError, as_before
from tests.forked import forked_workers
from tests.searching.shared.postgres import server
from tests.searching.test_search import Pretended

SMALL = 'python("tests.test_run_files:small")'
SPACE = f"""
graph joined {{
    node a, b = {SMALL}
    target a
    edge label -> * via through | linear | cutoff
    edge b -> a : kl(T=1 | 4) via correct | linear
}}
data digits {{ batch = 256  samples = 512 }}
train {{ epochs = 2 }}
search {{ trials = 6  keep = 1 }}
"""
TABLE = {
    "table.toml": """
title = "Digits"
published_runs = 5
[[rows]]
label = "alone"
spec = "alone.ktg"
published = [90.0, 1.5]
[[rows]]
label = "found"
space = "joined.ktg"
published = [95.0, 0.5]
""",
    "alone.ktg": f"""
use "data.ktg"
graph alone {{ node a = {SMALL} target a edge label -> a }}
train {{ epochs = 2  repeats = 2 }}
""",
    "data.ktg": "data digits { batch = 256  samples = 512 }\n",
    "joined.ktg": SPACE.replace("  keep = 1", ""),
}
CODE = "code/tests/test_run_files.py"


Command = Callable[[Path], list[str]]
"""The command line that reads a folder."""


class Reading:
    """Command lines that read copies of a folder, and what they do where nothing is damaged."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def readers(
        self, what: str, files: Iterable[str], command: Command, written: str = ""
    ) -> Iterator[Reader]:
        """The readers of some files by a command line, which writes another file."""
        copy = self.folder.parent / "copy"  # where damaged copies are, as some print the folder
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.folder, copy)
        known = said(command(copy), copy, written)

        def read(folder: Path) -> str:
            printed, told = said(command(folder), folder, written)
            if told != known[1] or "unreadable" in printed:
                raise ToldError
            return as_before(printed, known[0])

        for file in files:
            yield Reader(f"{what}: {file}", self.folder, file, read)


def said(command: list[str], folder: Path, written: str) -> tuple[str, str]:
    """What a command line prints and writes, and what it tells on stderr.

    Raises RunError with the code of the first error where it ends with one.
    """
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), warnings.catch_warnings():
        warnings.simplefilter("always")
        code = ktgc(command)
    if code:
        found = re.search(r"\berror\[?(E\d{3})\b|\b(E\d{3})\b", err.getvalue() + out.getvalue())
        if code != 1 or found is None:
            raise AssertionError(f"exit code {code}: {err.getvalue()}")
        raise RunError.single(found[1] or found[2], err.getvalue())
    return out.getvalue() + ((folder / written).read_text() if written else ""), err.getvalue()


def readers_of_joined_searches(root: Path) -> Iterator[Reader]:
    """The files of two processes of a shared search: one was interrupted, one saw the end."""
    begun, joined = root / "begun-joined", root / "joined"
    with server() as postgres:
        plan = ktgdsl.loads(SPACE)

        def interrupt(event: Event) -> None:
            if isinstance(event, TrialEnded):
                raise KeyboardInterrupt

        with forked_workers():
            with suppress(KeyboardInterrupt):
                join(plan, postgres.address, out=begun, device="cpu", workers=1, listener=interrupt)
            join(plan, postgres.address, out=joined, device="cpu", workers=1)
        yield from _of_interrupted(Reading(begun), postgres.address)
        yield from _of_finished(Reading(joined))


def _of_interrupted(reading: Reading, address: str) -> Iterator[Reader]:
    def rejoin(folder: Path) -> list[str]:
        options = ["--storage", address, "--join", "--workers", "1", "--out", f"{folder}/again"]
        return ["search", f"{folder}/space.ktg", *options, "--quiet"]

    with patch.object(search_run, "Pool", Pretended):  # for a search that should not begin
        yield from reading.readers("joined again", ["space.ktg"], rejoin, "again/trials.csv")


def _of_finished(reading: Reading) -> Iterator[Reader]:
    facts = ("plan.json", "environment.json", "result.json", "study.journal")
    copies = ("space.ktg", CODE)
    yield from reading.readers(
        "joined, finished",
        (*facts, *copies, "trials.csv", "best.ktg"),
        lambda folder: ["search", "--resume", str(folder), "--quiet"],
    )
    yield from reading.readers(
        "report of a joined search",
        (*facts, *copies),
        lambda folder: ["report", str(folder), "-o", f"{folder}/r.html", "--no-evaluation"],
        "r.html",
    )
    yield from reading.readers(
        "curves of a joined search",
        ("plan.json", "result.json", "study.journal"),
        lambda folder: ["curves", str(folder), "-o", f"{folder}/c.svg"],
        "c.svg",
    )
    yield from reading.readers(
        "list of joined searches",
        ("plan.json", "environment.json", "result.json"),
        lambda folder: ["runs", str(folder), "--json"],
    )
    yield dashboard_reader("dashboard of a joined search", reading.folder)
    (kept,) = (reading.folder / "kept").iterdir()
    trial = f"kept/{kept.name}"
    yield from reading.readers(
        "eval of a joined search's networks",
        [f"{trial}/{file}" for file in (*facts[:3], "nodes/a.safetensors")],
        lambda folder: ["eval", f"{folder}/{trial}"],
    )
    yield from reading.readers(
        "report of a joined search's networks",
        [f"{trial}/{file}" for file in (*facts[:3], "spec.ktg", CODE)],
        lambda folder: ["report", f"{folder}/{trial}", "-o", f"{folder}/r.html", "--no-evaluation"],
        "r.html",
    )
    specs = ["space.ktg", "best.ktg", "top/01.ktg", f"{trial}/spec.ktg"]
    yield from _of_specs(reading, "joined, finished", specs)
    yield from reading.readers(
        "joined, finished, digests of specs",
        ["graphs.json"],
        lambda folder: ["plan", f"{folder}/best.ktg", "--json"],
    )


def _of_specs(reading: Reading, what: str, files: Iterable[str]) -> Iterator[Reader]:
    """Specs that a search has written, as `run` or `search` would take them."""
    for file in files:

        def show(folder: Path, file: str = file) -> list[str]:
            return ["plan", f"{folder}/{file}", "--json"]

        yield from reading.readers(f"{what}, taken as a spec", [file], show)


def readers_of_begun_searches(begun: Path) -> Iterator[Reader]:
    """The journal of a search under way, for what only shows it."""
    yield from Reading(begun).readers(
        "report of a search, begun",
        ["study.journal"],
        lambda folder: ["report", str(folder), "-o", f"{folder}/r.html"],
        "r.html",
    )
    yield dashboard_reader("dashboard of a search, begun", begun)


def dashboard_reader(what: str, folder: Path) -> Reader:
    """The reader of a journal for the dashboard."""
    shown = _shown(folder)

    def read(folder: Path) -> str:
        return as_before(_shown(folder), shown)

    return Reader(f"{what}: study.journal", folder, "study.journal", read)


def _shown(folder: Path) -> bytes:
    """What the dashboard tells of the trials."""
    server = dashboard_server(SearchFolder(folder), 0)
    try:
        application = server.get_app()
        assert application is not None
        request = {"REQUEST_METHOD": "GET", "PATH_INFO": "/api/studies/0", "QUERY_STRING": ""}
        setup_testing_defaults(request)
        status = []

        def start(line: str, *_: object) -> Callable[[bytes], object]:
            status.append(line)
            return len

        body = b"".join(application(request, start))
        assert status == ["200 OK"], status
        return body
    finally:
        server.server_close()


def readers_of_tables(root: Path) -> Iterator[Reader]:
    """The files of a table that was run, with a row that is trained and one that is searched."""
    folder = root / "table"
    folder.mkdir()
    for name, text in TABLE.items():
        (folder / name).write_text(text)

    def run(folder: Path, *more: str) -> list[str]:
        options = ["--out", f"{folder}/runs", "--device", "cpu"]
        return ["table", str(folder), *options, "--quiet", *more]

    with patch.object(search_run, "Pool", Pretended):
        said(run(folder), folder, "")
    results = sorted(path.relative_to(folder).as_posix() for path in folder.glob("runs/*/"))
    searched, *runs = sorted(results, key=lambda name: not (folder / name / "space.ktg").exists())
    facts = ("plan.json", "environment.json", "result.json")
    yield from Reading(folder).readers(
        "table",
        [
            *TABLE,
            *(f"{searched}/{file}" for file in (*facts, "best.ktg")),
            *(f"{each}/{file}" for each in runs for file in facts),
            *(path.relative_to(folder).as_posix() for path in folder.glob("runs/*.json")),
        ],
        lambda folder: run(folder, "--dry-run"),
    )
