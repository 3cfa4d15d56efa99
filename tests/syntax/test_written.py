"""Specs that a run or a search has written, and that are others now."""

from pathlib import Path

import pytest

import ktgdsl
from ktgdsl.cli import main as cli
from ktgdsl.errors import KtgWarning
from ktgdsl.files import sealed_json, sha256
from ktgdsl.searching.folder import SearchFolder
from ktgdsl.searching.study.study import Study
from tests.searching.study.test_study import SPACE, journal
from tests.specs import sound

TEXT = "graph g { node a = resnet8 target a edge label -> a }"


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return journal(tmp_path / "study.journal")


@pytest.mark.parametrize("name", ["best.ktg", "top/01.ktg", "front/01.ktg"])
def test_a_graph_of_a_search_that_is_another_now_is_told(
    study: Study, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = SearchFolder(tmp_path).write_graph(name, sound(SPACE + "search {}"), study.trials[0])
    ktgdsl.load(path)
    text = path.read_text()
    path.write_text(text.replace("resnet8", "resnet9") + "# more\n")
    assert [each.code for each in ktgdsl.check(path)][:1] == ["W310"]
    path.write_text(text.replace("lr=0.1", "lr=0.2"))
    assert text != path.read_text()
    with pytest.warns(KtgWarning, match="is not what was written there"):
        ktgdsl.load(path)
    assert cli.main(["plan", str(path)]) == 0
    assert "warning[W310]" in capsys.readouterr().err


def test_a_graph_may_be_written_again_and_a_kill_may_come_before_that(
    study: Study, tmp_path: Path
) -> None:
    folder, plan = SearchFolder(tmp_path), sound(SPACE + "search {}")
    path = folder.write_graph("best.ktg", plan, study.trials[0])
    first = path.read_text()
    folder.write_graph("best.ktg", plan, study.trials[1])
    assert not ktgdsl.check(path)
    path.write_text(first)  # the digests of the second were written, and it was not
    assert not ktgdsl.check(path)


@pytest.mark.parametrize(("name", "field"), [("spec.ktg", "spec"), ("space.ktg", "space")])
def test_a_copy_in_a_folder_that_is_another_now_is_told(
    tmp_path: Path, name: str, field: str
) -> None:
    path, environment = tmp_path / name, tmp_path / "environment.json"
    path.write_text(TEXT)
    assert not ktgdsl.check(path)  # no folder of a run
    environment.write_text(sealed_json({field: sha256(TEXT.encode())}))
    assert not ktgdsl.check(path)
    path.write_text(TEXT.replace("graph g", "graph h"))
    assert [each.code for each in ktgdsl.check(path)] == ["W310"]
    (tmp_path / "other.ktg").write_text(f'use "{name}"')
    assert [each.code for each in ktgdsl.check(tmp_path / "other.ktg")] == ["W310"]
    environment.write_text(environment.read_text()[:-9])
    assert not ktgdsl.check(path)  # nobody knows
