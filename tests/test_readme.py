"""Examples, numbers and links of the README work."""

import re
import tomllib
import warnings
from pathlib import Path

import pytest

import ktgdsl
from ktgdsl.cli import main as cli
from tests.forked import Forked
from tests.paths import ROOT

README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KTGDSL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "specs").symlink_to(ROOT / "specs")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("number", "name"), [(0, "gates"), (1, "space")])
def test_the_specs_are_the_shipped_ones(number: int, name: str) -> None:
    shown = blocks("ktg")
    assert len(shown) == 2
    shipped = ktgdsl.load(ROOT / "specs" / f"{name}.ktg")
    assert ktgdsl.loads(shown[number]) == shipped.model_copy(update={"folder": str(Path.cwd())})


def test_the_numbers_of_the_space_are_what_plan_says(capsys: pytest.CaptureFixture[str]) -> None:
    (commands,) = [block for block in blocks("sh") if "ktgc search" in block]
    points, graphs, epochs = re.findall(r"[\d,]*\d", commands.partition("#")[2])[:3]
    assert cli.main(["plan", "specs/space.ktg"]) == 0
    printed = capsys.readouterr().out
    assert f"points   {points}, " in printed
    assert f"graphs   {graphs} distinct" in printed
    cost = re.search(r"epochs   about (\d+)", printed)
    assert cost is not None
    assert cost[1] == epochs


def test_the_transcripts(capsys: pytest.CaptureFixture[str]) -> None:
    (typo,) = [shown for shown in blocks("console") if "typo.ktg" in shown]
    text = "graph g {\n  node a, b = resnet8\n  target a\n"
    Path("typo.ktg").write_text(f"{text}  edge label, b -> a : kl via lineer\n}}\n")
    for transcript in blocks("console"):
        command, *shown = transcript.splitlines()
        cli.main(command.removeprefix("$ ktgc ").split())
        printed = capsys.readouterr().out
        for part in "\n".join(shown).split("...\n"):
            assert part.removesuffix("...") in printed
    assert "did you mean" in typo


def run_strictly(program: str) -> None:
    """Run a program as `python -W error` does."""
    warnings.simplefilter("error")
    exec(program, {"__name__": "__main__"})


def test_the_python_runs(tmp_path: Path) -> None:
    _, first, search, *others = blocks("python")
    assert len(others) == 2
    assert search.startswith("study, best, result = ktgdsl.search(")  # see test_search.py
    few = '"specs/dml3.ktg", ["train.epochs=1", "data.samples=128"]'
    short = first.replace('"specs/dml3.ktg"', few)
    assert short != first
    others = [block.replace("101", "6").replace("100", "5") for block in others]  # steps
    output = tmp_path / "output.txt"
    process = Forked(run_strictly, "\n".join([short, *others]), output=output)
    assert process.wait() == 0, output.read_text()


def test_images_of_ones_own_train(tmp_path: Path) -> None:
    module = blocks("python")[0]
    block = re.search(r"`(data .*)`", module)
    assert block is not None
    (tmp_path / "mine.py").write_text(module)
    graph = "graph g { node a = resnet8 target a edge label -> a }"
    (tmp_path / "mine.ktg").write_text(f"{graph} {block[1]} train {{ epochs = 1 }}")
    result = ktgdsl.run(ktgdsl.load(tmp_path / "mine.ktg"), out=tmp_path / "run")
    assert result.nodes["a"].accuracy.mean < 100


def test_both_commands_are_whole() -> None:
    first, _, tests = (block.strip() for block in blocks("sh"))
    assert first.endswith(".venv/bin/ktgc run specs/dml3.ktg")
    assert tests.endswith(".venv/bin/pytest")
    for command in (first, tests):
        assert command.startswith("python3 -m venv .venv && .venv/bin/pip install -e ")


def test_the_benchmarks_that_are_described_exist() -> None:
    folder = ROOT / "tests" / "benchmarks"
    names = re.findall(r"^\| `(\w+)` \|", (folder / "README.md").read_text(), re.MULTILINE)
    assert "coordinator" in names
    assert [name for name in names if not (folder / f"{name}.py").exists()] == []


def test_the_table_of_folders_names_each() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = next(each["layers"] for each in settings["contracts"] if each["type"] == "layers")
    table = (ROOT / "CONTRIBUTING.md").read_text().partition("| folder |")[2].partition("\n\n")[0]
    cells = [row.split("|")[1] for row in table.splitlines()[2:]]
    named = re.findall(r"`(?:ktgdsl/)?(\w+)(?:\.py|/)`", " ".join(cells))
    assert set(named) == set(layers)
