"""`ktgc build`: each stage of the compiler."""

from pathlib import Path

import pytest

from ktgdsl.cli import main as cli
from tests.cli.specs import DML3


@pytest.mark.parametrize(
    ("stage", "sample"),
    [
        ("tree", '"kind": "edge"'),
        ("plan", '"destination": {'),
        ("code", "kl_target(log_p_b_detached, log_p_a, 1.0)"),
    ],
)
def test_build_prints_each_stage(
    stage: str, sample: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["build", DML3, "--emit", stage]) == 0
    assert sample in capsys.readouterr().out


@pytest.mark.parametrize("stage", ["plan", "script"])
def test_a_file_has_what_is_printed_else(
    stage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "out.py"
    command = ["build", DML3, "--emit", stage]
    assert cli.main(command) == 0
    printed = capsys.readouterr().out
    assert cli.main([*command, "-o", str(path)]) == 0
    assert capsys.readouterr().out == f"wrote {path}\n"
    assert path.read_text("utf-8") == printed


def test_no_spec_is_overwritten_and_no_file_left_of_a_refusal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = tmp_path / "mine.ktg"
    text = 'graph g { node a = python("nets:net") target a edge label -> a }\n'
    spec.write_text(text)
    with pytest.raises(SystemExit):
        cli.main(["build", str(spec), "-o", str(spec)])
    assert "it would overwrite a spec" in capsys.readouterr().err
    assert spec.read_text() == text
    assert cli.main(["build", str(spec), "--emit", "script", "-o", str(tmp_path / "x.py")]) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["mine.ktg"]
