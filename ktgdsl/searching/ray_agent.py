"""The actor of Ray: holds a worker process on its node, and passes messages and files on."""

import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from multiprocessing import connection
from pathlib import Path

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.files import sha256
from ktgdsl.searching.carried_files import Files, WorkerFolder
from ktgdsl.searching.process import WorkerProcess
from ktgdsl.searching.protocol import FromWorker, Setup, ToWorker
from ktgdsl.searching.worker_handle import Ending
from ktgdsl.training.versions import installed_version

PATIENCE = 5.0
"""Seconds that a worker process has to end."""

SAME_VERSIONS = ("ktgdsl", "torch", "torchvision")
"""Packages that decide what a trial gives."""


@dataclass(frozen=True)
class Surroundings:
    """What a worker process has from the process that it was begun by: local ones inherit it."""

    folder: str
    path: tuple[str, ...]
    variables: Mapping[str, str]
    versions: Mapping[str, str | None]

    @classmethod
    def of_this_process(cls) -> "Surroundings":
        """Those of the owner of a search."""
        ours = {name: each for name, each in os.environ.items() if name.startswith("KTGDSL_")}
        return cls(str(Path.cwd()), tuple(sys.path), ours, versions())

    def adopt(self) -> None:
        """Take them over as far as they exist on this node, whose own variables stay."""
        if Path(self.folder).is_dir():
            os.chdir(self.folder)
        theirs = [each for each in self.path if not each or Path(each).exists()]
        sys.path[:] = [*theirs, *(each for each in sys.path if each not in theirs)]
        for name, value in self.variables.items():
            os.environ.setdefault(name, value)


@dataclass(frozen=True)
class Begun:
    """The answer to `begin`: the node, and why it cannot train, if it cannot."""

    node: str
    problems: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True)
class Batch:
    """What has come from a worker process: its messages, files that it wrote before, its output."""

    messages: tuple[FromWorker, ...]
    files: Files
    printed: bytes
    ending: Ending | None


class Agent:
    """Holds a worker process, which is what it is on one machine; its methods are called by Ray.

    Nothing is shared with the owner's machine: files are carried.
    """

    def begin(self, number: int, setup: Setup, owner: Surroundings) -> Begun:
        """Start the process, unless versions or the user's own files here are others."""
        node = socket.gethostname()
        if problems := [*_other_versions(node, owner.versions), *_other_code(node, setup.code)]:
            return Begun(node, tuple(problems))
        owner.adopt()
        self._folder = WorkerFolder(Path(tempfile.mkdtemp(prefix="ktgdsl-worker-")))
        self._process = WorkerProcess(number, replace(setup, folder=self._folder.path))
        self._log = self._process.log.open("rb")
        return Begun(node)

    def read(self) -> Batch:
        """Wait for messages, or the end of the process."""
        process, messages = self._process, list[FromWorker]()
        while not messages and not process.gone:
            connection.wait([process.inbox], 1.0)
            messages = list(process.read())
        ending = process.end(PATIENCE) if process.gone else None
        return Batch(tuple(messages), self._folder.changed(), self._log.read(), ending)

    def send(self, message: ToWorker, files: Files | None = None) -> None:
        """Pass a message on; with a task come the files that there are of its trial."""
        if files is not None:
            self._folder.begin(files)
        self._process.send(message)

    def end(self) -> None:
        """End the process, and remove its files."""
        self._process.process.terminate()
        self._process.end(PATIENCE)
        shutil.rmtree(self._folder.path, ignore_errors=True)


def versions() -> dict[str, str | None]:
    """The versions that decide what a trial gives, as they are installed here."""
    return {name: installed_version(name) for name in SAME_VERSIONS}


def _other_versions(node: str, wanted: Mapping[str, str | None]) -> Sequence[Diagnostic]:
    here = versions()
    return [
        Diagnostic(
            "E505",
            f"the Ray node {node} has {name} {here[name]}, and the search {wanted[name]}",
            help="install the same version on all nodes",
        )
        for name in wanted
        if here[name] != wanted[name]
    ]


def _other_code(node: str, wanted: Mapping[str, str]) -> Sequence[Diagnostic]:
    """The user's own files, by path with SHA-256, that are not here, or have another content."""
    problems = []
    for path, digest in wanted.items():
        try:
            is_the_same = sha256(Path(path).read_bytes()) == digest
            what = "another" if not is_the_same else ""
        except OSError:
            what = "no"
        if what:
            message = f"the Ray node {node} has {what} {path}, which the space imports"
            help = "put it in a folder that all nodes share, under the same path"
            problems.append(Diagnostic("E505", message, help=help, path=path))
    return problems
