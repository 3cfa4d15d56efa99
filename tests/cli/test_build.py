"""`ktgc build`: each stage of the compiler."""

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
