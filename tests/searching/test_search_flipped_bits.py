"""Files of a search that was cut off, cut short or with a flipped bit: refused, or a line says so.

What is made again from the journal, `trials.csv` and `best.ktg`, is replaced.
"""

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import ktgdsl
from ktgdsl.errors import RunError
from ktgdsl.report.curves.recorded_search import read_search
from ktgdsl.searching import search_run
from ktgdsl.searching.events import Event, SearchStarted, TrialEnded
from ktgdsl.searching.search import resume
from tests.searching.test_search import Pretended, outcome
from tests.specs import sound
from tests.training.test_flipped_bits import damaged

SPACE = """
graph tiny {
    node a, b = python("tests.test_run_files:small")
    target a
    edge label -> * via through | linear | cutoff
    edge b -> a : kl(T=1 | 4) via correct | linear
}
data digits { batch = 256  samples = 512 }
train { epochs = 2 }
search { trials = 6 }
"""
REFUSED = {"plan.json", "environment.json"}
NOTED = {"space.ktg", "code/tests/test_run_files.py"}
REPLACED = {"trials.csv", "best.ktg"}


@pytest.fixture(scope="module")
def pretended() -> Iterator[None]:
    """Workers that only pretend."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search_run, "Pool", Pretended)
        yield


@pytest.fixture(scope="module")
def folder(pretended: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search that was cut off after three of its six trials."""
    path = tmp_path_factory.mktemp("flipped") / "s"
    heard: list[Event] = []

    def cut(event: Event) -> None:
        heard.append(event)
        if sum(isinstance(each, TrialEnded) for each in heard) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ktgdsl.search(sound(SPACE), out=path, workers=1, device="cpu", listener=cut)
    return path


@pytest.fixture(scope="module")
def whole(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder, resumed as it is."""
    copy = shutil.copytree(folder, tmp_path_factory.mktemp("whole") / "s")
    assert notes(copy) == ()
    return copy


def notes(folder: Path) -> tuple[str, ...]:
    """Resume the search; what is said of its folder."""
    heard: list[Event] = []
    resume(folder, listener=heard.append)
    (started,) = (each for each in heard if isinstance(each, SearchStarted))
    return started.notes


@pytest.mark.parametrize("name", sorted(REFUSED | NOTED | REPLACED))
def test_damage_is_never_silent(folder: Path, whole: Path, name: str, tmp_path: Path) -> None:
    copy = tmp_path / "s"
    for content in damaged((folder / name).read_bytes(), times=2):
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(folder, copy)
        (copy / name).write_bytes(content)
        if name in REFUSED:
            with pytest.raises(RunError) as error:
                resume(copy)
            assert [each.code for each in error.value.diagnostics] == ["E502"]
            continue
        said = notes(copy)
        assert outcome(copy) == outcome(whole)
        assert [each.startswith(f"{copy / name} is not what was") for each in said] == (
            [True] if name in NOTED else []
        )


def test_a_flipped_bit_in_the_journal_is_refused(folder: Path, tmp_path: Path) -> None:
    content = (folder / "study.journal").read_bytes()
    places = random.Random(0)
    end = content[:-1].rindex(b"\n")  # what a power cut may tear is repaired
    for _ in range(5):
        at, bit = places.randrange(end), 1 << places.randrange(8)
        copy = shutil.copytree(folder, tmp_path / "s", dirs_exist_ok=True)
        flipped = content[:at] + bytes([content[at] ^ bit]) + content[at + 1 :]
        (copy / "study.journal").write_bytes(flipped)
        with pytest.raises(RunError) as error:
            resume(copy)
        assert [each.code for each in error.value.diagnostics] == ["E502"]


@pytest.mark.parametrize("change", ["a line is missing", "the first is", "one is there twice"])
def test_a_journal_with_other_lines_is_refused(folder: Path, tmp_path: Path, change: str) -> None:
    copy = shutil.copytree(folder, tmp_path / "s")
    lines = (copy / "study.journal").read_bytes().splitlines(keepends=True)
    at = len(lines) // 2
    changed = {
        "a line is missing": lines[:at] + lines[at + 1 :],
        "the first is": lines[1:],
        "one is there twice": lines[: at + 1] + lines[at:],
    }[change]
    (copy / "study.journal").write_bytes(b"".join(changed))
    with pytest.raises(RunError, match="is not what was written there") as error:
        resume(copy)
    assert [each.code for each in error.value.diagnostics] == ["E502"]


def test_a_journal_that_is_cut_off_between_two_entries_is_told(
    folder: Path, whole: Path, tmp_path: Path
) -> None:
    content = (folder / "study.journal").read_bytes()
    lines = content.splitlines(keepends=True)
    ends = [n for n, line in enumerate(lines, start=1) if b'"op_code":6' in line]
    copy = shutil.copytree(folder, tmp_path / "s")
    (copy / "study.journal").write_bytes(b"".join(lines[: ends[1]]))
    assert notes(copy) == (
        f"{copy / 'study.journal'} was cut off: it lacks the end of trial 2, which trials.csv has; "
        "what is missing is trained again",
    )
    assert outcome(copy) == outcome(whole)


def test_a_journal_that_is_cut_short_is_repaired_with_a_line(
    folder: Path, whole: Path, tmp_path: Path
) -> None:
    content = (folder / "study.journal").read_bytes()
    for size in (len(content) - 1, len(content) // 2):
        copy = shutil.copytree(folder, tmp_path / str(size))
        (copy / "study.journal").write_bytes(content[:size])
        (note,) = notes(copy)
        assert note == (
            f"the end of {copy / 'study.journal'} was not written whole: it is cut off, and kept "
            "in study.journal.torn-1"
        )
        assert outcome(copy) == outcome(whole)


def test_a_finished_search_whose_journal_was_cut_off_is_refused(
    whole: Path, tmp_path: Path
) -> None:
    """Between two entries, of which no other line tells."""
    copy = shutil.copytree(whole, tmp_path / "s")
    lines = (copy / "study.journal").read_bytes().splitlines(keepends=True)
    end = [n for n, line in enumerate(lines, start=1) if b'"op_code":6' in line][3]
    (copy / "study.journal").write_bytes(b"".join(lines[:end]))
    for read in (resume, read_search):
        with pytest.raises(RunError, match="was cut off: it has other trials than") as error:
            read(copy)
        assert [each.code for each in error.value.diagnostics] == ["E502"]
