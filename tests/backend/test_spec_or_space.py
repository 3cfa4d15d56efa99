"""A space is not trained."""

from pathlib import Path

import pytest

import ktgdsl
from ktgdsl.backend.graph import build
from ktgdsl.errors import RunError
from tests.specs import sound


def test_a_space_is_not_built() -> None:
    plan = sound("graph g { node a = resnet8 | resnet14 target a edge label -> a }")
    with pytest.raises(RunError, match=r"`node.a` is open, resnet8 \| resnet14"):
        build(plan)
    with pytest.raises(RunError, match="is open"):
        ktgdsl.run(plan, out=Path("/nowhere"))
