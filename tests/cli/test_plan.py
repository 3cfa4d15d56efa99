"""`ktgc plan`: every edge and setting, as text and as JSON."""

import json
from pathlib import Path

import pytest

import ktgdsl
from ktgdsl.cli import main as cli
from tests.cli.specs import DML3, DROPPED


def test_plan_names_every_edge_and_setting(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", DML3, "--epochs", "7"]) == 0
    out = capsys.readouterr().out
    plan = ktgdsl.load(DML3, ["train.epochs=7"])
    assert plan.digest in out
    for edge in plan.graph.edges:
        assert f"{edge.source} -> {edge.destination}" in out
    for name in type(plan.train).model_fields:
        assert f"\n  {name} " in out
    rows = {line.split()[0]: line for line in out.splitlines() if line}
    assert rows["epochs"].split() == ["epochs", "7,", "140", "steps", "--set"]
    assert rows["aggregate"].endswith(DML3)
    assert rows["clip"].split() == ["clip", "none", "default"]


def test_plan_counts_the_parameters_of_networks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "p.ktg").write_text(
        'graph g { node a = resnet8 node b = python("m:f") { keep = true } '
        "target a edge label -> * }"
    )
    assert cli.main(["plan", "p.ktg"]) == 0
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
    assert "resnet8 (75,002 parameters)" in rows["a"]
    assert "parameters" not in rows["b"]  # of yours, and nothing of yours is run by `plan`


def test_plan_adds_up_the_parameters_of_several_networks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = tmp_path / "p.ktg"
    spec.write_text("graph g { node a, b = resnet8 target a edge label, b -> a }")
    assert cli.main(["plan", str(spec)]) == 0
    assert "\n150,004 parameters in 2 networks\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    "body",
    [
        "node a = resnet8 target a edge label -> a",
        'node a = resnet8 node b = python("m:f") target a edge label, b -> a',
        "node a, b = resnet8 target a share a, b { layers = [stem] } edge label -> * edge b -> a",
        "node a, b = resnet8 | resnet14 target a edge label, b -> a",
    ],
)
def test_plan_has_no_total_of_one_network_of_unknown_ones_or_of_shared_layers(
    body: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = tmp_path / "p.ktg"
    spec.write_text(f"graph g {{ {body} }}")
    assert cli.main(["plan", str(spec)]) == 0
    assert "parameters in" not in capsys.readouterr().out


def test_plan_as_json_reads_back(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", DML3, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    plan = ktgdsl.load(DML3)
    assert facts.pop("digest") == plan.digest
    assert ktgdsl.Plan.from_json(json.dumps(facts)) == plan


def test_warnings_go_to_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "w.ktg").write_text(DROPPED)
    assert cli.main(["plan", "w.ktg", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["graph"]["dropped"][0]["name"] == "b"
    assert "warning[W101]" in err
