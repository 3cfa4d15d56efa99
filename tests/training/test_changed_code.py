"""Own code as part of a run or a search: kept in its folder, and refused where it has changed."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import ktgdsl
from ktgdsl.cli import main as cli
from ktgdsl.searching import search_run
from ktgdsl.searching.events import SearchStarted
from ktgdsl.training.events import EpochDone, Event
from ktgdsl.training.repeats import RunInterrupted
from tests.searching.test_search import Pretended

NETS = """\
from torch import nn
from changed_layers import head

def make():
    return nn.Sequential(nn.Flatten(), head())
"""
LAYERS = """\
from torch import nn

def head():
    return nn.Linear(64, 10)
"""
SPEC = """
graph own { node a = python("changed_nets:make") target a edge label -> a }
data digits { batch = 400 }
train { epochs = 2 }
"""
SPACE = """
graph own {
    node a = python("changed_nets:make")
    node b = resnet8
    target a
    edge label -> *
    edge b -> a : kl via through | correct
}
data digits { batch = 400 }
train { epochs = 1 }
search { trials = 2 workers = 1 }
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("KTGDSL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "path", [*sys.path])  # the folder of a spec stays on it
    (tmp_path / "changed_nets.py").write_text(NETS)
    (tmp_path / "changed_layers.py").write_text(LAYERS)
    (tmp_path / "own.ktg").write_text(SPEC)
    (tmp_path / "space.ktg").write_text(SPACE)
    yield tmp_path
    for name in ("changed_nets", "changed_layers"):
        sys.modules.pop(name, None)


def begun(folder: Path) -> Path:
    """A run that was cut off after its first epoch of two."""

    plan = ktgdsl.load(folder / "own.ktg")
    with pytest.raises(RunInterrupted):
        ktgdsl.run(plan, out=folder / "r", device="cpu", listener=stop)
    return folder / "r"


def stop(event: Event) -> None:
    """Cut a run off after an epoch."""
    if isinstance(event, EpochDone):
        raise KeyboardInterrupt


def change(folder: Path) -> None:
    (folder / "changed_layers.py").write_text(LAYERS + "# another initialisation\n")


def environment(run: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((run / "environment.json").read_text())
    return content


def refused(call: Callable[[], object]) -> ktgdsl.Diagnostic:
    with pytest.raises(ktgdsl.RunError) as error:
        call()
    (diagnostic,) = error.value.diagnostics
    assert diagnostic.code == "E502"
    return diagnostic


def test_a_run_keeps_the_code_that_it_was_begun_with(folder: Path) -> None:
    run = begun(folder)
    kept = {path.name: path.read_text() for path in (run / "code").iterdir()}
    assert kept == {"changed_nets.py": NETS, "changed_layers.py": LAYERS}
    code = environment(run)["code"]
    assert code["changed_nets.py"]["path"] == str(folder / "changed_nets.py")
    assert len(code["changed_layers.py"]["sha256"]) == 64


def test_changed_code_is_refused_and_named(folder: Path) -> None:
    run = begun(folder)
    change(folder)
    told = refused(lambda: ktgdsl.resume(run))
    assert told.message == f"the code that {run} was begun with has changed: changed_layers.py"
    assert f"ktgc run --resume {run} --allow-changed-code" in str(told.help)
    assert not (run / "result.json").exists()
    (folder / "changed_layers.py").write_text((run / "code/changed_layers.py").read_text())
    assert ktgdsl.resume(run).epochs == 2
    assert not (run / "code-2").exists()


@pytest.mark.parametrize("name", ["changed_nets.py", "changed_layers.py"])
def test_code_that_is_gone_is_named(folder: Path, name: str) -> None:
    run = begun(folder)
    (folder / name).unlink()
    sys.modules.pop(name.removesuffix(".py"))
    assert refused(lambda: ktgdsl.resume(run)).message.endswith(f"has changed: {name}")


def test_changed_code_may_be_allowed_and_is_kept_beside_the_first(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = begun(folder)
    (run / "code/changed_nets.py").write_text("")
    change(folder)
    assert cli.main(["run", "--resume", str(run), "--quiet"]) == 1
    capsys.readouterr()
    assert cli.main(["run", "--resume", str(run), "--quiet", "--allow-changed-code"]) == 0
    output = capsys.readouterr()
    assert output.err.splitlines() == [
        f"resumed with other code than before: changed_layers.py, kept in {run / 'code-2'}",
        f"{run / 'code/changed_nets.py'} is not what was written there: it is damaged, or was "
        "changed by hand; the run does not need it",
    ]
    assert output.out.startswith("node")
    assert (run / "code/changed_layers.py").read_text() == LAYERS
    assert (run / "code-2/changed_layers.py").read_text() != LAYERS
    (resumed,) = environment(run)["resumed"]
    assert resumed["code"].keys() == {"changed_nets.py", "changed_layers.py"}


def test_code_that_changes_again_is_compared_with_what_was_used_last(folder: Path) -> None:
    run = begun(folder)
    first = (folder / "changed_layers.py").read_text()
    change(folder)
    with pytest.raises(RunInterrupted):
        ktgdsl.resume(run, listener=stop, allow_changed_code=True)
    (folder / "changed_layers.py").write_text(first)
    problem = refused(lambda: ktgdsl.resume(run))
    assert problem.message.endswith("was last resumed with has changed: changed_layers.py")
    assert f"it is kept in {run / 'code-2'}, or" in str(problem.help)


def test_without_a_resume_there_is_nothing_to_allow(folder: Path) -> None:
    assert cli.main(["run", str(folder / "own.ktg"), "--allow-changed-code"]) == 2
    assert cli.main(["search", str(folder / "space.ktg"), "--allow-changed-code"]) == 2


IMAGES = """\
import numpy as np

def images(split):
    image = np.arange(20 * 64).astype(np.uint8).reshape(20, 1, 8, 8)
    return image, np.loadtxt("{labels}").astype(int)
"""


@pytest.fixture
def own_data(folder: Path) -> Iterator[Path]:
    """The folder with data of the user's own, whose labels are in a file."""
    labels = folder / "labels.txt"
    labels.write_text("\n".join(str(i % 10) for i in range(20)))
    (folder / "changed_images.py").write_text(IMAGES.format(labels=labels))
    own = SPEC.replace("digits", 'python("changed_images:images")').replace("400", "10")
    (folder / "own.ktg").write_text(own)
    yield folder
    sys.modules.pop("changed_images", None)


def test_changed_data_are_refused(own_data: Path) -> None:
    run = begun(own_data)
    labels = (own_data / "labels.txt").read_text()
    (own_data / "labels.txt").write_text(labels[:-1] + "0")
    with pytest.raises(ktgdsl.RunError, match="the data are not those that") as error:
        ktgdsl.resume(run, allow_changed_code=True)
    assert error.value.diagnostics[0].code == "E508"
    (own_data / "labels.txt").write_text(labels)
    assert ktgdsl.resume(run).epochs == 2


def test_data_of_changed_code_that_is_allowed_may_be_others(own_data: Path) -> None:
    run = begun(own_data)
    path = own_data / "changed_images.py"
    path.write_text(path.read_text().replace("20 * 64)", "20 * 64)[::-1]"))
    sys.modules.pop("changed_images")
    assert refused(lambda: ktgdsl.resume(run)).message.endswith("changed: changed_images.py")
    ktgdsl.resume(run, allow_changed_code=True)
    first = environment(run)
    assert first["data"] != first["resumed"][0]["data"]


def test_a_network_of_changed_code_is_loaded_with_a_warning(folder: Path) -> None:
    run = begun(folder)
    ktgdsl.resume(run)
    ktgdsl.load_network(run, "a")
    change(folder)
    with pytest.warns(UserWarning, match=r"trained with has changed.*: changed_layers\.py;"):
        ktgdsl.load_network(run, "a")


def test_a_search_with_changed_code_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(search_run, "Pool", Pretended)

    def stop(event: object) -> None:
        if isinstance(event, SearchStarted):
            raise KeyboardInterrupt

    out = folder / "s"
    with pytest.raises(KeyboardInterrupt):
        ktgdsl.search(ktgdsl.load(folder / "space.ktg"), out=out, workers=1, listener=stop)
    assert {path.name for path in (out / "code").iterdir()} == {
        "changed_nets.py",
        "changed_layers.py",
    }
    change(folder)
    assert cli.main(["search", "--resume", str(out), "--quiet"]) == 1
    assert cli.main(["search", "--resume", str(out), "--quiet", "--allow-changed-code"]) == 0
    note = f"resumed with other code than before: changed_layers.py, kept in {out / 'code-2'}\n"
    assert note in capsys.readouterr().err
    assert (out / "code-2/changed_layers.py").exists()
    assert (out / "result.json").exists()
