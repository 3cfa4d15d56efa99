"""What no script can have is refused, with its place and the reason."""

from pathlib import Path
from typing import Any, cast

import pytest
from PIL import Image
from torch import nn

from ktgdsl.backend.initial import make_networks
from ktgdsl.backend.scripted import Scripted
from ktgdsl.cli import main as cli
from ktgdsl.standalone.own_data import own_data
from ktgdsl.standalone.refusals import network_refusals, refusals
from ktgdsl.training.datasets.read import complete
from tests.plans import tiny_plan
from tests.specs import graph, sound

NODE = "node a = resnet8 target a edge label -> a"
SPEC = """\
graph g {
    node a = resnet8
    node b = resnet8 { device = "cuda:1" }
    target a
    edge label, b -> a
}
data mnist { resize = 8  crop = random  labeled = 20  labeled_batch = 2 }
train { compile = on  precision = auto }
"""
SAYS = """\
g.ktg:3:24: error[E510] no script can have node `b` on a `device` of its own
g.ktg:7:55: error[E510] no script can have `labeled_batch` of images that are drawn anew
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


def test_heads_of_other_labels_are_refused() -> None:
    node = {"heads": ("colour",)}
    plan = tiny_plan("a", data={"labels": ("colour", "shape")}, settings={"a": node})
    (found,) = refusals(plan)
    assert found.code == "E510"
    assert found.message == (
        "no script can have node `a` yet, which does not answer all labels of a sample, colour and "
        "shape, in this order"
    )


def test_networks_that_are_refused_once_they_are_made() -> None:
    nets = 'node a, b = python("tests.standalone.own:networks", width=4) node c = resnet8'
    body = f"{nets} target a share a, b {{ layers = [conv] }} edge label -> *"
    plan = sound(graph(body))
    made = make_networks(plan) | {"b": Scripted(cast(Any, nn.Linear(2, 2)))}
    script, shared = network_refusals(plan, made)
    assert script.message == "no script can have the TorchScript network of node `b`"
    assert shared.message.endswith("of a network that is not ktgdsl's, as of `a`")


@pytest.mark.parametrize(
    ("function", "settings", "says"),
    [
        ("Mixed", "", "it gives samples of several forms"),
        ("Unlabeled", "classes = 3", "it gives samples without a label"),
        ("masks", "resize = 4", "masks of files, or that are resized"),
        ("MaskSamples", "", "it gives masks by a Dataset"),
        ("Flipped", "resize = 4  crop = random", "`crop = random` of a Dataset whose samples"),
        ("Flipped", "labeled = 6  labeled_batch = 2", "`labeled_batch` of images that are drawn"),
    ],
)
def test_own_data(function: str, settings: str, says: str) -> None:
    block = f'data python("tests.standalone.own:{function}") {{ batch = 4  {settings} }}'
    plan = complete(sound(graph(NODE, block)))
    (found,) = refusals(plan, own_data(plan.data))
    assert says in found.message


def test_a_folder_in_which_torchvision_finds_something_else(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for name in ("cat", "dog", ".hidden"):
            (tmp_path / split / name).mkdir(parents=True)
            Image.new("L", (8, 8)).save(tmp_path / split / name / "1.png")
    plan = complete(sound(graph(NODE, f'data folder("{tmp_path}") {{ validation = 1 }}')))
    (found,) = refusals(plan)
    assert "`ImageFolder`, which reads them there, finds other images or classes" in found.message


def test_nothing_is_refused_in_a_plain_plan() -> None:
    assert refusals(tiny_plan("ab")) == []
