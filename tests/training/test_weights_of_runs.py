"""A teacher from another run sees images as that run showed them, whatever this one does."""

from pathlib import Path

import pytest
import torch

import ktgdsl

ALONE = """
graph alone {{ node t = resnet8 target t edge label -> t }}
data digits {{ batch = 128  samples = 256  augment = {augment} }}
train {{ epochs = 2 }}
"""
TAUGHT = """
graph taught {{
    node s = resnet8
    node t = resnet8 {{ weights = "alone/nodes/t.safetensors" }}
    target s
    edge label, t -> s
}}
data digits {{ batch = 256  samples = 256  augment = {augment} }}
train {{ epochs = 1 }}
"""


@pytest.mark.parametrize("trained", ["none", "standard"])
def test_a_teacher_is_as_accurate_as_in_its_own_run(tmp_path: Path, trained: str) -> None:
    plan = ktgdsl.loads(ALONE.format(augment=trained))
    expected = ktgdsl.run(plan, out=tmp_path / "alone", device="cpu").nodes["t"].accuracy
    for augment in ("none", "standard"):
        spec, out = tmp_path / f"{augment}.ktg", tmp_path / augment
        spec.write_text(TAUGHT.format(augment=augment))
        result = ktgdsl.run(ktgdsl.load(spec), out=out, device="cpu")
        assert result.nodes["t"].accuracy == expected
        image = torch.rand(4, 1, 8, 8)
        one, other = (ktgdsl.load_network(folder, "t") for folder in (tmp_path / "alone", out))
        torch.testing.assert_close(one(image), other(image))
