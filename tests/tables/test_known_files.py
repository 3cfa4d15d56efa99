"""The files of a table are compared with those of the last time that it was run."""

import warnings
from pathlib import Path

import pytest

from ktgdsl.errors import KtgWarning
from ktgdsl.tables.known_files import compare_files
from ktgdsl.tables.model import read_table
from ktgdsl.tables.status import Rerun

TABLE = 'title = "t"\nrows = [{ label = "a", spec = "a.ktg" }, { label = "b", spec = "b.ktg" }]'
GRAPH = 'use "data.ktg" graph g { node a = resnet8 target a edge label -> a }'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {"table.toml": TABLE, "a.ktg": GRAPH, "b.ktg": GRAPH}.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "data.ktg").write_text("data digits { batch = 32 }")
    return tmp_path


def changed(folder: Path, *, noting: bool = False) -> list[str]:
    """The files that are told."""
    rerun = Rerun(read_table(folder), folder, folder / "runs")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        compare_files(rerun, rerun.table.rows, noting=noting)
    assert all(isinstance(each.message, KtgWarning) for each in caught)
    return [str(each.message).split()[0].rsplit("/", 1)[1] for each in caught]


def test_a_change_is_told_until_the_table_is_run_again(folder: Path) -> None:
    assert changed(folder) == []
    assert not (folder / "runs").exists()
    assert changed(folder, noting=True) == []
    for name in ("table.toml", "a.ktg", "data.ktg"):
        path = folder / name
        path.write_text(path.read_text() + "\n")
        assert changed(folder) == [name] == changed(folder)
        assert changed(folder, noting=True) == [name]
        assert changed(folder) == []


def test_a_spec_that_cannot_be_read_leaves_what_is_known(folder: Path) -> None:
    changed(folder, noting=True)
    whole = (folder / "data.ktg").read_text()
    (folder / "data.ktg").unlink()
    assert changed(folder, noting=True) == []
    (folder / "data.ktg").write_text(whole.replace("32", "33"))
    assert changed(folder) == ["data.ktg"]


def test_tables_with_results_in_one_folder_know_their_own(folder: Path) -> None:
    other = folder / "other"
    other.mkdir()
    for name in ("table.toml", "a.ktg", "b.ktg", "data.ktg"):
        (other / name).write_text((folder / name).read_text().replace("32", "33"))
    for each in (folder, other):
        rerun = Rerun(read_table(each), each, folder / "runs")
        compare_files(rerun, rerun.table.rows, noting=True)
    assert len([*(folder / "runs").iterdir()]) == 2


def test_a_note_that_is_damaged_is_written_anew(folder: Path) -> None:
    changed(folder, noting=True)
    (note,) = (folder / "runs").iterdir()
    note.write_bytes(note.read_bytes()[:-20])
    assert changed(folder, noting=True) == []
    (folder / "a.ktg").write_text(GRAPH + "\n")
    assert changed(folder) == ["a.ktg"]
