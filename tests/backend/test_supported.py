"""What cannot be trained yet is refused, with its place in the spec."""

from pathlib import Path

import pytest

import ktgdsl
from ktgdsl.backend.graph import build
from ktgdsl.backend.supported import require_supported
from ktgdsl.errors import RunError
from tests.specs import compiled, sound

REFUSED = [
    ('graph g { node a = resnet8 { device = "cpu" } target a edge label -> a }',
     "a device of a node's own", 'device = "cpu"'),
]  # fmt: skip


@pytest.mark.parametrize(("text", "what", "place"), REFUSED, ids=[part for _, part, _ in REFUSED])
def test_what_is_not_supported_is_checked_and_not_built(text: str, what: str, place: str) -> None:
    result = compiled(text)
    assert result.diagnostics == ()
    assert result.plan is not None
    with pytest.raises(RunError, match="is not supported yet"):
        build(result.plan)
    with pytest.raises(RunError) as caught:
        require_supported(result.plan, result.tree)
    told = next(each for each in caught.value.diagnostics if what in each.message)
    assert told.code == "E901"
    assert told.span is not None
    assert text[told.span.start : told.span.end] == place


def test_a_space_is_not_built() -> None:
    plan = sound("graph g { node a = resnet8 | resnet14 target a edge label -> a }")
    with pytest.raises(RunError, match=r"`node.a` is open, resnet8 \| resnet14"):
        build(plan)
    with pytest.raises(RunError, match="is open"):
        ktgdsl.run(plan, out=Path("/nowhere"))


def test_an_option_that_cannot_be_trained_is_told_before_a_search(tmp_path: Path) -> None:
    node = 'node a = resnet8 | resnet14 { device = "cpu" }'
    text = f"graph g {{ {node} target a edge label -> a }}"
    with pytest.raises(RunError, match="a device of a node's own"):
        ktgdsl.search(sound(text), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
