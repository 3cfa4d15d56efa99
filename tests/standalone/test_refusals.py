"""What no script can have is refused, with its place and the reason."""

from pathlib import Path
from typing import Any, cast

import pytest
from torch import nn

from ktgdsl.backend.initial import make_networks
from ktgdsl.backend.scripted import Scripted
from ktgdsl.cli import main as cli
from ktgdsl.plan.model import Call, WeightsFile
from ktgdsl.standalone.refusals import network_refusals, refusals
from ktgdsl.training.datasets.read import complete
from tests.plans import tiny_plan
from tests.specs import graph, sound

SPEC = """\
graph g {
    node a = resnet8
    node b = torchvision("resnet18", weights="DEFAULT") { device = "cuda:1" }
    target a
    edge label, b -> a
}
data mnist { resize = 8 }
train { compile = on  precision = auto }
"""
SAYS = """\
g.ktg:3:14: error[E510] no script can have the library's weights of node `b`
g.ktg:3:59: error[E510] no script can have node `b` on a `device` of its own
g.ktg:7:14: error[E510] no script can have `resize`
g.ktg:8:9: error[E510] no script can have `compile = on`
g.ktg:8:23: error[E510] no script can have `precision = auto`
"""


def test_all_is_said_at_once_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("g.ktg").write_text(SPEC)
    assert cli.main(["build", "g.ktg", "--emit", "script", "--output-format=concise"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    lines, starts = sorted(said.err.splitlines()), sorted(SAYS.splitlines())
    assert [line[: len(start)] for line, start in zip(lines, starts, strict=True)] == starts


@pytest.mark.parametrize(
    ("data", "node", "says"),
    [
        ({"source": Call(name="folder")}, {}, "no script can have the data `folder`"),
        ({"labels": ("colour", "shape")}, {}, "no script can have samples with several labels"),
        (
            {},
            {"network": Call(name="timm", arguments={"name": "resnet18"})},
            "no script can have the network `timm` of node `a`: it would need more",
        ),
        (
            {},
            {"weights": WeightsFile(path="w", file="w", sha256="0")},
            "no script can have the `weights`",
        ),
    ],
)
def test_other_refusals(data: dict[str, Any], node: dict[str, Any], says: str) -> None:
    plan = tiny_plan("a", data=data, settings={"a": node})
    (found,) = refusals(plan)
    assert found.code == "E510"
    assert found.message.startswith(says)


def test_networks_that_are_refused_once_they_are_made() -> None:
    nets = 'node a, b = python("tests.standalone.own:networks", width=4) node c = resnet8'
    body = f"{nets} target a share a, b {{ layers = [conv] }} edge label -> *"
    plan = sound(graph(body))
    made = make_networks(plan) | {"b": Scripted(cast(Any, nn.Linear(2, 2)))}
    script, shared = network_refusals(plan, made)
    assert script.message == "no script can have the TorchScript network of node `b`"
    assert shared.message.endswith("of a network that is not ktgdsl's, as of `a`")


def test_own_data_that_are_converted_are_refused() -> None:
    body = "node a = resnet8 target a edge label -> a"
    plan = complete(sound(graph(body, 'data python("tests.standalone.own:floats") { batch = 4 }')))
    (found,) = refusals(plan)
    assert found.message.startswith("no script can have data of your own but arrays of uint8")


def test_nothing_is_refused_in_a_plain_plan() -> None:
    assert refusals(tiny_plan("ab")) == []
