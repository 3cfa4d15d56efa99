"""Small specs to measure, and the figures of `ktgc bench` for one."""

import json
from pathlib import Path
from typing import Any

import pytest

from ktgdsl.cli import main as cli

NETS = """\
from torch import nn


def linear():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))


def wide():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 100), nn.Linear(100, 10))


def narrow():
    return nn.Sequential(nn.Flatten(), nn.Linear(63, 10))
"""
ALONE = """
graph alone {{ node a = python("nets:{network}") target a edge label -> a }}
data digits {{ batch = 16 }}
"""
SPACE = """
graph space {
    node a = python("nets:linear")
    node b = python("nets:linear") | python("nets:wide")
    target a
    edge label -> *
    edge *     -> * : kl via through | cutoff
}
data digits { batch = 16 validation = 259 }
search { trials = 4 epochs = 3 pruner = none }
"""
PHASES = """
graph phases {
    node t = python("nets:wide")
    node s = python("nets:linear")
    target s
    edge label -> *
    edge t     -> s : kl via linear
}
data digits { batch = 16 }
phase teach { learn = [t]  epochs = 2 }
phase study { learn = [s]  epochs = 3 }
"""


def written(name: str, text: str) -> str:
    Path(name).write_text(text)
    return name


def alone(network: str = "linear") -> str:
    return written("alone.ktg", ALONE.format(network=network))


def benched(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> Any:
    assert cli.main(["bench", *arguments, "--seconds", "0.01", "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return json.loads(out)
