"""The example of a listener in specs/README.md runs."""

import re
from pathlib import Path

import pytest

from tests.paths import ROOT


def test_the_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "specs").symlink_to(ROOT / "specs")
    text = (ROOT / "specs" / "README.md").read_text("utf-8")
    examples = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    (example,) = (each for each in examples if "log_to(" in each)
    exec(example, {})
    announced, header, row, _ = capsys.readouterr().out.split("\n", 3)
    place = header.split(",").index("edge_loss/b->a")
    assert float(row.split(",")[place]) == pytest.approx(float(announced.split()[2]))
