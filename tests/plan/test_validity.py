"""Every plan of a spec is possible; `tests/training/test_damaged_files.py` has what is not."""

from pathlib import Path

import pytest

from ktgdsl.compiler import compile_file
from ktgdsl.plan.model import Plan
from ktgdsl.plan.validity import why_invalid
from tests.paths import ROOT

SPECS = [*(ROOT / "specs").rglob("*.ktg"), *(ROOT / "tests/good").glob("*.ktg")]


@pytest.mark.parametrize("path", SPECS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_spec_says_is_possible(path: Path) -> None:
    if (plan := compile_file(path).plan) is not None:  # else a recipe
        assert why_invalid(Plan.from_json(plan.to_json())) is None
