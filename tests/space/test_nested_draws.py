"""Which draws count at a point: those inside of options that are taken."""

import pytest

from ktgdsl.space.nested_draws import NestedDraws
from tests.specs import of

SPACE = of(
    """node a = resnet8
    node b = resnet8 | wrn(depth=10, widen=1 | 2) | python("nets:net", width=W)
    target a
    edge label -> *
    edge b -> a : kl(T=1 | 4 | W) | mse via linear | correct""",
    "let W = 3 | 5",
)


@pytest.mark.parametrize(
    ("network", "loss", "temperature", "counting"),
    [
        (0, 0, 0, {"edge.b->a.loss.T"}),
        (1, 1, 2, {"node.b.widen"}),
        (2, 1, 0, {"let.W"}),
        (0, 0, 2, {"edge.b->a.loss.T", "let.W"}),
        (0, 1, 2, set()),
    ],
)
def test_a_draw_counts_where_its_option_is_taken(
    network: int, loss: int, temperature: int, counting: set[str]
) -> None:
    assert SPACE.space is not None
    nested, point = NestedDraws(SPACE.space), {"node.b": network, "edge.b->a.loss": loss}
    point["edge.b->a.loss.T"] = temperature
    names = [draw.name for draw in SPACE.space.draws]
    found = {name for name in names if nested.is_active(name, point)}
    assert found == {"node.b", "edge.b->a.loss", "edge.b->a.gate"} | counting


def test_nothing_is_nested() -> None:
    flat = of("node a, b = resnet8 target a edge label -> * edge b -> a via linear | correct").space
    assert flat is not None
    assert not NestedDraws(flat)
