"""Scripts train to the bits of runs with weights of files and of libraries, and with timm."""

import sys
from argparse import Namespace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torchvision import models

from ktgdsl.backend.networks import ResNet
from ktgdsl.backend.weights import save_weights
from ktgdsl.plan.model import Plan
from ktgdsl.standalone.refusals import refusals
from ktgdsl.standalone.script import training_script
from tests.backend.test_library import enum_of_weights
from tests.specs import compiled, graph
from tests.standalone.scripts import differing, weights_of_script

SMALL = "shufflenet_v2_x0_5"


def plan_of(nodes: str, folder: Path | None = None, augment: str = "paper") -> Plan:
    """A plan of these nodes, of which `t` teaches the node `s`."""
    body = f"{nodes} target s edge label -> s edge t -> s : kl(T=2)"
    data = f"data digits {{ batch = 8  samples = 16  augment = {augment} }} train {{ epochs = 1 }}"
    found = compiled(graph(body, data), folder=folder)
    assert found.plan is not None, found.diagnostics
    return found.plan


@pytest.mark.parametrize("augment", [pytest.param("none", marks=pytest.mark.slow), "standard"])
def test_weights_of_torchvision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, augment: str
) -> None:
    """Of a frozen teacher, and of a student whose classifier is new."""
    state: dict[str, Any] = models.get_model(SMALL, num_classes=10).state_dict()
    enum_of_weights(tmp_path, monkeypatch, state)
    teacher = f'node t = torchvision("{SMALL}", weights="DEFAULT") {{ weights = own }}'
    student = f'node s = torchvision("{SMALL}", weights="IMAGENET1K_V1")'
    assert differing(plan_of(f"{student} {teacher}", augment=augment)) == []


class Small(nn.Module):
    """In the place of a network of timm."""

    def __init__(self, in_chans: int, num_classes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_chans, 4, 3, stride=2)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(4, num_classes)
        self.pretrained_cfg = {"num_classes": 10, "mean": (0.5,) * 3, "std": (0.2, 0.3, 0.4)}

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits (B, classes)."""
        found: torch.Tensor = self.head(self.drop(self.conv(image).relu().mean((2, 3))))
        return found


def test_networks_of_timm(monkeypatch: pytest.MonkeyPatch) -> None:
    timm: Any = ModuleType("timm")
    timm.list_models = lambda: ["small"]
    timm.create_model = lambda name, pretrained, **options: Small(**options)
    monkeypatch.setitem(sys.modules, "timm", timm)
    teacher = 'node t = timm("small", pretrained=true) { weights = own }'
    plan = plan_of(f'node s = timm("small") {teacher}')
    assert differing(plan) == []
    needs = "It needs torch, timm and NumPy, and no ktgdsl."
    assert needs in training_script(plan, "").replace("\n#", "")


def saved(module: nn.Module, path: Path) -> None:
    """Write weights as other programs do, under a name and with a prefix."""
    state = {f"module.{name}": each for name, each in module.state_dict().items()}
    counters = [name for name in state if name.endswith("num_batches_tracked")]
    for name in counters:
        del state[name]
    torch.save({"epoch": 3, "state_dict": {"model": state}}, path)


@pytest.mark.parametrize("name", ["t.safetensors", "t.pth"])
def test_files_of_weights(tmp_path: Path, name: str) -> None:
    network = ResNet(depth=8, width=4, channels=1, classes=10)
    path = tmp_path / name
    if path.suffix == ".pth":
        saved(network, path)
    else:
        save_weights(network, path, {"mean": "[0.3]", "std": "[0.4]"})
    nodes = f'node s = resnet8 node t = resnet(depth=8, width=4) {{ weights = "{name}" }}'
    plan = plan_of(nodes, tmp_path, augment="standard")
    assert differing(plan) == []
    script = training_script(plan, "")
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(ValueError, match="has changed since this script was written"):
        weights_of_script(script, 0)


def test_a_checkpoint_that_torch_does_not_read_safely_is_refused(tmp_path: Path) -> None:
    state = ResNet(depth=8, width=4, channels=1, classes=10).state_dict()
    torch.save({"model": state, "options": Namespace(lr=np.float64(1))}, tmp_path / "t.pt")
    nodes = 'node s = resnet8 node t = resnet(depth=8, width=4) { weights = "t.pt" }'
    (found,) = refusals(plan_of(nodes, tmp_path))
    assert found.message.startswith("no script can have the `weights` of node `t`: t.pt holds more")
