"""The Ray actor: runs a worker process on its node, and forwards its messages, files and output."""

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
from ktgdsl.searching.ray.file_transfer import Files, WorkerFolder
from ktgdsl.searching.workers.protocol import FromWorker, Setup, ToWorker
from ktgdsl.searching.workers.worker_handle import Ending
from ktgdsl.searching.workers.worker_process import WorkerProcess
from ktgdsl.training.versions import installed_version

END_TIMEOUT = 5.0
"""Seconds to wait for a worker process to end before it is killed."""

CHECKED_PACKAGES = ("ktgdsl", "torch", "torchvision")
"""Packages whose versions must be the owner's: they decide what a trial computes."""


@dataclass(frozen=True)
class OwnerEnvironment:
    """What a local worker process would inherit from the process of the search, to apply on a node.

    Attributes:
        folder: the working directory.
        path: `sys.path`.
        variables: environment variables.
        versions: of `CHECKED_PACKAGES`.
    """

    folder: str
    path: tuple[str, ...]
    variables: Mapping[str, str]
    versions: Mapping[str, str | None]

    @classmethod
    def of_this_process(cls) -> "OwnerEnvironment":
        """The environment of this process, which owns the search."""
        ours = {name: each for name, each in os.environ.items() if name.startswith("KTGDSL_")}
        return cls(str(Path.cwd()), tuple(sys.path), ours, versions())

    def apply(self) -> None:
        """Apply it here as far as its paths exist; variables that this node has set stay."""
        if Path(self.folder).is_dir():
            os.chdir(self.folder)
        theirs = [each for each in self.path if not each or Path(each).exists()]
        sys.path[:] = [*theirs, *(each for each in sys.path if each not in theirs)]
        for name, value in self.variables.items():
            os.environ.setdefault(name, value)


@dataclass(frozen=True)
class StartReply:
    """The answer to `start`: the node, and why it cannot train, if it cannot."""

    node: str
    problems: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True)
class WorkerOutput:
    """New output of a worker process.

    Attributes:
        messages: in order.
        files: those that it wrote before the messages.
        printed: its stdout and stderr.
        ending: why it has ended, None while it runs.
    """

    messages: tuple[FromWorker, ...]
    files: Files
    printed: bytes
    ending: Ending | None


class Agent:
    """An actor that runs a `WorkerProcess`, as on one machine; its methods are called through Ray.

    Nodes need no shared file system: files travel with messages.
    """

    def start(self, number: int, setup: Setup, owner: OwnerEnvironment) -> StartReply:
        """Start the process, unless versions or the user's own files here are others."""
        node = socket.gethostname()
        if problems := [*_other_versions(node, owner.versions), *_other_code(node, setup.code)]:
            return StartReply(node, tuple(problems))
        owner.apply()
        self._folder = WorkerFolder(Path(tempfile.mkdtemp(prefix="ktgdsl-worker-")))
        self._process = WorkerProcess(number, replace(setup, folder=self._folder.path))
        self._log = self._process.log.open("rb")
        return StartReply(node)

    def read(self) -> WorkerOutput:
        """Wait for messages or the end of the process, and return what is new."""
        process, messages = self._process, list[FromWorker]()
        while not messages and not process.gone:
            connection.wait([process.inbox], 1.0)
            messages = list(process.read())
        ending = process.end(END_TIMEOUT) if process.gone else None
        changed = self._folder.take_changed()
        if process.gone:
            shutil.rmtree(self._folder.path, ignore_errors=True)
        return WorkerOutput(tuple(messages), changed, self._log.read(), ending)

    def send(self, message: ToWorker, files: Files | None = None) -> None:
        """Forward a message to the process; `files` are those of the trial of a task."""
        if files is not None:
            self._folder.reset(files)
        self._process.send(message)

    def end(self) -> None:
        """End the process, and remove its files."""
        self._process.process.terminate()
        self._process.end(END_TIMEOUT)
        shutil.rmtree(self._folder.path, ignore_errors=True)


def versions() -> dict[str, str | None]:
    """The installed versions of `CHECKED_PACKAGES`."""
    return {name: installed_version(name) for name in CHECKED_PACKAGES}


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
