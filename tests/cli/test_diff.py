"""`ktgc diff`: what differs, under the names of both files."""

from pathlib import Path

import pytest

from ktgdsl.cli import main as cli
from tests.cli.specs import DML3


def test_names_both_files_and_what_differs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = Path(DML3).read_text()
    (tmp_path / "mine.ktg").write_text("# another comment\n" + text)
    assert cli.main(["diff", DML3, "mine.ktg"]) == 0
    assert capsys.readouterr().out == "the same training\n"
    (tmp_path / "mine.ktg").write_text(text.replace("lr=0.1", "lr=0.2"))
    assert cli.main(["diff", DML3, "mine.ktg"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].split() == [DML3, "mine.ktg"]
    assert "\ntrain.optimizer  sgd(lr=0.1" in out
    assert "train.epochs" not in out
