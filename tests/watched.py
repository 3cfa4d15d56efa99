"""`python -m tests.watched FILE COMMANDS`: runs commands of `ktgc` and notes what they do besides.

FILE gets, in JSON, of each command its exit code and its deeds: what Python's audit hooks tell of
code that runs from the working folder, processes, the network, files that are written. A process
has no network here: what asks for a host fails.
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

PROCESSES = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty")
NETWORK = ("socket.getaddrinfo", "socket.gethostbyname", "socket.connect", "socket.bind")
FILES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def deeds(event: str, arguments: tuple[Any, ...], folder: str, cache: str) -> Iterator[str]:
    """What an event of an audit hook says that was done; `cache` is where files may be written."""
    if event in PROCESSES and arguments[0] != "/sbin/ldconfig":  # as `import torch` looks for CUDA
        yield f"process {arguments[0]}"
    elif event in NETWORK:
        yield f"network {next(each for each in arguments if isinstance(each, str | tuple))}"
    elif event == "exec" and str(arguments[0].co_filename).startswith(folder):
        yield f"code {Path(arguments[0].co_filename).name}"
    elif event == "pickle.find_class":
        yield f"pickle {arguments[0]}.{arguments[1]}"
    elif isinstance(arguments[0], int):
        return  # a file that is open already
    elif event in FILES or (event == "open" and _writes(*arguments)):
        path = os.path.abspath(str(arguments[0]))  # noqa: PTH100 (which asks no file)
        if path != os.devnull and not path.startswith(cache):
            yield f"file {os.path.basename(path)}"  # noqa: PTH119


def _writes(_: object, mode: str | None, flags: int) -> bool:
    return bool(flags & WRITING) if mode is None else not {*"wax+"}.isdisjoint(mode)


def main() -> None:
    """Run the commands, each a list of arguments, one after the other."""
    from ktgdsl.cli.main import main as ktgc

    out, commands = Path(sys.argv[1]), json.loads(sys.argv[2])
    folder, cache = str(Path.cwd()) + os.sep, os.environ["KTGDSL_CACHE"]
    noted: list[str] = []
    results = []

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        noted.extend(deeds(event, arguments, folder, cache))
        if event in NETWORK:
            raise PermissionError("there is no network here")

    sys.addaudithook(hook)
    for command in commands:
        noted.clear()
        printed = StringIO()
        try:
            with redirect_stdout(printed), redirect_stderr(printed):
                code: object = ktgc(command)
        except SystemExit as end:
            code = end.code
        results.append({"code": code, "deeds": [*noted], "printed": printed.getvalue()})
    out.write_text(json.dumps(results), "utf-8")


if __name__ == "__main__":
    main()
