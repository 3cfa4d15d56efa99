"""Words of installed packages: one of each kind, trained, explained, and what may go wrong."""

import importlib
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import ktgdsl
from ktgdsl.cli import main as cli
from ktgdsl.vocabulary.installed import GROUPS, installed_words
from tests.paths import ROOT
from tests.specs import compiled, said

_SECTION = (
    (ROOT / "grammar" / "README.md").read_text("utf-8").split("\n## Functions of your own")[1]
)
PACKAGE, OWN_SPEC, PROJECT = (
    _SECTION.partition(f"```{language}\n")[2].partition("```")[0]
    for language in ("python", "ktg", "toml")
)
ENTRY_POINTS = "\n".join(
    "\n".join([f"[{group}]", *(f"{word} = {place}" for word, place in words.items())])
    for group, words in tomllib.loads(PROJECT)["project"]["entry-points"].items()
)
SPEC = """
graph installed {
    node a = linear_net(width=2)
    node b = linear_net(width=2)
    target a

    edge label -> a : focal(gamma=1)
    edge label -> b
    edge b     -> a : kl via doubtful(below=0.99)
}

data stripes(count=40) { batch = 20 }

train { epochs = 2 }
"""


def install(folder: Path, package: str, entry_points: str) -> None:
    """Put a package's metadata where Python looks for them."""
    metadata = folder / f"{package.replace('-', '_')}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(entry_points)
    importlib.invalidate_caches()
    installed_words.cache_clear()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of installed packages, with one that has a word of each kind."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "ktg_example.py").write_text(PACKAGE)
    install(folder, "ktg-example", ENTRY_POINTS)
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    installed_words.cache_clear()
    sys.modules.pop("ktg_example", None)


def test_a_word_of_each_kind_is_trained(site: Path, tmp_path: Path) -> None:
    assert "ktg_example" not in sys.modules
    result = compiled(SPEC, folder=tmp_path)
    assert result.diagnostics == ()
    assert "ktg_example" not in sys.modules  # checking runs nothing of a package
    assert result.plan is not None
    trained = ktgdsl.run(result.plan, out=tmp_path / "out")
    assert trained.nodes["a"].accuracy is not None
    edge = trained.folder / "plan.json"
    assert '"function": "ktg_example:focal"' in edge.read_text()
    assert str(result.plan.graph.edges[0].terms[0].parts[0]).startswith("python(")


@pytest.mark.parametrize("kind", GROUPS)
def test_what_explain_says(kind: str, site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (word,) = installed_words(kind)
    assert cli.main(["explain", word]) == 0
    shown = capsys.readouterr().out
    assert f"{word}, a {kind} of the package ktg-example" in shown
    assert f'Short for `python("ktg_example:{word}")`' in shown


def test_the_example_without_a_package(tmp_path: Path) -> None:
    (tmp_path / "ktg_example.py").write_text(PACKAGE)
    (tmp_path / "own.ktg").write_text(OWN_SPEC)
    assert cli.main(["run", str(tmp_path / "own.ktg"), "--out", str(tmp_path / "out")]) == 0
    sys.modules.pop("ktg_example")


EDGE = "graph g {{ node a, b = resnet8 target a edge label -> * edge b -> a : {} }}"


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ("focal(2)", "E207 `focal` takes its arguments by name"),
        ("focl", "E201 there is no loss called `focl`"),
        ("doubtful", "E201 there is no loss called `doubtful`"),
    ],
)
def test_mistakes(loss: str, message: str, site: Path) -> None:
    assert said(EDGE.format(loss)) == [message]


def test_a_word_of_two_packages_is_ambiguous(site: Path) -> None:
    install(site, "ktg-other", "[ktgdsl.losses]\nfocal = other:focal\n")
    (message,) = said(EDGE.format("focal"))
    assert message.startswith("E202 several installed packages have a loss `focal`: `ktg-")


def test_a_word_of_the_language_is_never_that_of_a_package(site: Path) -> None:
    install(site, "ktg-other", "[ktgdsl.losses]\nkl = other:kl\n")
    plan = compiled(EDGE.format("kl")).plan
    assert plan is not None
    assert plan.graph.edges[-1].terms[0].parts[0].loss.name == "kl"


def test_a_let_wins_over_a_package(site: Path) -> None:
    plan = compiled(f"let focal = mse {EDGE.format('focal')}").plan
    assert plan is not None
    assert plan.graph.edges[-1].terms[0].parts[0].loss.name == "mse"
