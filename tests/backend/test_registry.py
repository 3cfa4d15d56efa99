"""A word has one function for each source."""

import pytest

from ktgdsl.backend import registry
from ktgdsl.backend.functions import GATES, LOSSES


def test_a_second_function_for_a_loss_is_an_error() -> None:
    before = dict(LOSSES)
    with pytest.raises(ValueError, match="the loss `kl` of an edge from a node has two functions"):
        registry.computes_loss("kl")(lambda s, t: s - t)
    assert before == LOSSES


def test_a_second_function_for_a_gate_is_an_error() -> None:
    before = dict(GATES)
    with pytest.raises(ValueError, match="the gate `linear` has two functions: linear and"):
        registry.computes_gate("linear")(lambda progress: progress)
    assert before == GATES


def test_a_loss_may_have_a_function_for_each_source() -> None:
    assert LOSSES["kl", "node"] is not LOSSES["kl", "label"]
