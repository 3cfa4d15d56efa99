"""`ktgc plan`: every edge and setting, as text and as JSON."""

import json
from pathlib import Path

import pytest
from PIL import Image

import ktgdsl
from ktgdsl.backend.graph import build
from ktgdsl.cli import main as cli
from tests import lookalikes
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


@pytest.mark.parametrize("network", ["resnet8", "wrn10_2"])
def test_plan_counts_shared_layers_once(
    network: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = tmp_path / "p.ktg"
    share = "share a, b { layers = [stem, stage1, stage2] } share c, b { layers = [stem] }"
    spec.write_text(f"graph g {{ node a, b, c = {network} target a edge label, * -> * {share} }}")
    plan = ktgdsl.load(spec)
    networks = build(plan).networks.values()
    distinct = {id(each): each.numel() for one in networks for each in one.parameters()}
    assert cli.main(["plan", str(spec)]) == 0
    total = f"\n{sum(distinct.values()):,} parameters in 3 networks, shared layers counted once\n"
    assert total in capsys.readouterr().out


def test_plan_says_which_shared_layers_are_not_computed_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = tmp_path / "p.ktg"
    share = 'share a, b { layers = ["layer1.0"] } share c, d { layers = [stem] }'
    nodes = 'node a, b = torchvision("resnet18") node c, d = resnet8'
    spec.write_text(f"graph g {{ {nodes} target a edge label, * -> * {share} }}")
    assert cli.main(["plan", str(spec)]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    ends = {" ".join(row[:2]): " ".join(row[3:]) for row in rows if row[:1] in (["a,"], ["c,"])}
    assert ends == {
        "a, b": "sum of the gradients, computed by each of them",
        "c, d": "sum of the gradients",
    }


@pytest.mark.parametrize(
    "combine", ["gated(by=b.stage1)", "gated(by=a.stem)", "attention(factor=3)", "concat", "linear"]
)
@pytest.mark.parametrize("network", ["resnet(8, width=4)", "wrn10_1"])
def test_plan_counts_what_an_ensemble_learns(
    network: str, combine: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = tmp_path / "p.ktg"
    body = f"node a, b = {network} node m = ensemble(a, b, combine={combine}) target a"
    spec.write_text(f"graph g {{ {body} edge label -> *, m edge m -> a }}")
    mixer = build(ktgdsl.load(spec)).get_submodule("mixer_m")
    count = sum(each.numel() for each in mixer.parameters())
    assert cli.main(["plan", str(spec)]) == 0
    out = capsys.readouterr().out
    assert f"in 2 networks, and {count:,} that combine them\n" in out
    assert f"detach=true) ({count:,} parameters)" in out


@pytest.mark.parametrize(
    "body",
    [
        "node a = resnet8 target a edge label -> a",
        'node a = resnet8 node b = python("m:f") target a edge label, b -> a',
        "node a, b = resnet8 | resnet14 target a edge label, b -> a",
    ],
)
def test_plan_has_no_total_of_one_network_or_of_unknown_ones(
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


IN_A_FOLDER = (
    "graph g { node a = resnet8 target a edge label -> a }\n"
    'data folder("set") { batch = 4 }\ntrain { epochs = 2 }'
)


def test_plan_says_what_a_folder_of_images_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lookalikes.folder(tmp_path / "set")
    spec = tmp_path / "s.ktg"
    spec.write_text(IN_A_FOLDER)
    assert cli.main(["plan", str(spec)]) == 0
    out = capsys.readouterr().out
    rows = {line[2:].partition("  ")[0]: line.split("  ", 2)[2].strip() for line in out.splitlines()
            if line.startswith("  ")}  # fmt: skip
    assert rows["class names"] == "ant, bee, cat"
    assert rows["images"] == "15 to train, 6 to test"
    assert ", 3 classes, 3x9x10" in rows["source"]
    assert rows["epochs"].startswith("2, 6 steps")
    assert ktgdsl.load(spec).digest in out
    Image.new("RGB", (5, 5)).save(tmp_path / "set" / "test" / "cat" / "9.png")
    assert cli.main(["plan", str(spec)]) == 0
    out = capsys.readouterr().out
    assert "15 to train, 7 to test; the image " in out
    assert "has 5x5 pixels" in out
    assert cli.main(["plan", str(spec), "--set", "data.resize=8"]) == 0
    assert ", 3 classes, 3x8x8" in capsys.readouterr().out
    spec.write_text(IN_A_FOLDER.replace('"set"', '"gone"'))
    assert cli.main(["plan", str(spec)]) == 0
    assert "there is no folder of images " in capsys.readouterr().out
