"""Files of a run that was cut off, cut short or with a flipped bit: refused, or a line says so."""

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import ktgdsl
from ktgdsl.errors import RunError
from ktgdsl.training.events import EpochDone, Event, RunStarted
from ktgdsl.training.repeats import RunInterrupted
from ktgdsl.training.result import RunResult
from ktgdsl.training.run import resume, run

SPEC = """
graph g {
    node a, b = python("tests.test_run_files:small")
    target a
    edge label -> *
    edge b -> a
}
data digits { batch = 256  samples = 512 }
train { epochs = 2  repeats = 2 }
"""
REFUSED = {"plan.json", "environment.json", "checkpoint.pt", "metrics.jsonl"}
NOTED = {"spec.ktg", "classes.json", "nodes/a.safetensors", "nodes/b.safetensors"}
CODE = "code/tests/test_run_files.py"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was cut off in its second repeat."""
    path = tmp_path_factory.mktemp("flipped") / "r"
    heard: list[Event] = []

    def cut(event: Event) -> None:
        heard.append(event)
        if sum(isinstance(each, EpochDone) for each in heard) == 3:
            raise KeyboardInterrupt

    with pytest.raises(RunInterrupted):
        run(ktgdsl.loads(SPEC), out=path, device="cpu", listener=cut, spec=SPEC)
    return path


@pytest.fixture(scope="module")
def whole(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """What the run ends with."""
    return resume(shutil.copytree(folder, tmp_path_factory.mktemp("whole") / "r"))


def damaged(content: bytes, times: int) -> Iterator[bytes]:
    """The content cut short, and with a flipped bit."""
    places = random.Random(len(content))
    for _ in range(times):
        yield content[: places.randrange(len(content))]
        at, bit = places.randrange(len(content)), 1 << places.randrange(8)
        yield content[:at] + bytes([content[at] ^ bit]) + content[at + 1 :]


def check(folder: Path, whole: RunResult, name: str, copy: Path, times: int) -> None:
    for content in damaged((folder / name).read_bytes(), times):
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(folder, copy)
        (copy / name).write_bytes(content)
        if name in REFUSED:
            with pytest.raises(RunError) as error:
                resume(copy)
            assert [each.code for each in error.value.diagnostics] == ["E502"]
            continue
        heard: list[Event] = []
        result = resume(copy, listener=heard.append)
        for node, known in whole.nodes.items():
            assert result.nodes[node].accuracy == known.accuracy
        (started,) = (each for each in heard if isinstance(each, RunStarted))
        (note,) = started.notes
        assert note.startswith(f"{copy / name} is not what was written there")


def test_these_are_the_files(folder: Path) -> None:
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {name for name in names if not name.startswith("code/")} == REFUSED | NOTED
    assert CODE in names


@pytest.mark.parametrize("name", sorted({*REFUSED, *NOTED, CODE}))
def test_damage_is_never_silent(folder: Path, whole: RunResult, name: str, tmp_path: Path) -> None:
    check(folder, whole, name, tmp_path / "r", times=2)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({*REFUSED, *NOTED, CODE}))
def test_damage_anywhere(folder: Path, whole: RunResult, name: str, tmp_path: Path) -> None:
    check(folder, whole, name, tmp_path / "r", times=20)
