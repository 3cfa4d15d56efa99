"""Tables of the user's own data and code: brought to their end, and stale once either changes."""

import csv
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ktgdsl.cli import main as cli
from tests import lookalikes

NETS = """\
from torch import nn

def net(pixels):
    return nn.Sequential(nn.Flatten(), nn.Linear(pixels, {classes}))
"""
IMAGES = """\
import numpy as np

def images(split):
    image = np.arange(40 * 64).astype(np.uint8).reshape(40, 1, 8, 8)
    return image, np.loadtxt("{labels}").astype(int)
"""
SPEC = """
graph own {{ node a = python("table_nets:net", pixels={pixels}) target a edge label -> a }}
data {data} {{ batch = 4 }}
train {{ epochs = 1 }}
"""
SPACE = """
graph found {{
    node a, b = python("table_nets:net", pixels={pixels})
    target a
    edge label -> *
    edge b -> a : kl via through | correct
}}
data {data} {{ batch = 4 }}
train {{ epochs = 1 }}
search {{ trials = 2 workers = 1 }}
"""
TABLE = """
title = "Own"
published_runs = 5
[[rows]]
label = "a spec"
spec = "own.ktg"
[[rows]]
label = "a space"
space = "space.ktg"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])  # the folder of a spec stays on it
    monkeypatch.setenv("KTGDSL_CACHE", str(tmp_path / "cache"))
    (tmp_path / "table.toml").write_text(TABLE)
    labels = tmp_path / "labels.txt"
    labels.write_text("\n".join(str(i % 4) for i in range(40)))
    (tmp_path / "table_nets.py").write_text(NETS.format(classes=4))
    (tmp_path / "table_images.py").write_text(IMAGES.format(labels=labels))
    yield tmp_path
    for name in ("table_nets", "table_images"):
        sys.modules.pop(name, None)


def specs(folder: Path, data: str, pixels: int) -> None:
    for name, text in (("own", SPEC), ("space", SPACE)):
        (folder / f"{name}.ktg").write_text(text.format(data=data, pixels=pixels))


def table(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, dict[str, str]]:
    """What `ktgc table` says of each row."""
    code = cli.main(["table", ".", "--device", "cpu", "--quiet", "--format", "csv", *arguments])
    out, err = capsys.readouterr()
    assert code == 0, out + err
    return {row["label"]: row for row in csv.DictReader(io.StringIO(out))}


def states(rows: dict[str, dict[str, str]]) -> dict[str, str]:
    return {label: row["state"] for label, row in rows.items()}


@pytest.mark.usefixtures("forked_workers")
def test_rows_of_own_data_are_trained_once_and_again_when_the_data_change(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    specs(folder, 'python("table_images:images")', 64)
    before = table(capsys, "--dry-run")
    assert states(before) == {"a spec": "to do", "a space": "to do"}
    assert int(before["a spec"]["left_steps"]) > 0
    trained = table(capsys)
    assert states(trained) == {"a spec": "done", "a space": "done"}
    for row in trained.values():
        result = json.loads(Path(row["folder"], "result.json").read_text())
        assert float(row["mean"]) == result["nodes"]["a"]["accuracy"]["mean"]
    assert table(capsys) == trained
    assert not list(folder.glob("runs/tables/*.stale-*"))
    (path,) = Path(trained["a space"]["folder"]).parent.glob("*/best.ktg")
    intact = path.read_text()
    path.write_text(intact.replace("through", "correct") + "# another graph\n")
    assert cli.main(["table", ".", "--dry-run", "--only", "a space"]) == 1
    assert "best.ktg is not what the search wrote" in " ".join(capsys.readouterr().out.split())
    path.write_text(intact)
    labels = folder / "labels.txt"
    labels.write_text("\n".join(str(3 - i % 4) for i in range(40)))
    stale = table(capsys, "--dry-run")
    assert states(stale) == {"a spec": "stale", "a space": "stale"}
    assert stale["a spec"]["stale"] == stale["a space"]["stale"] == "its data have changed"
    assert states(table(capsys, "--only", "a spec")) == {"a spec": "done"}


def test_a_row_of_image_files_is_trained_once_and_stale_when_one_changes(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lookalikes.folder(folder / "set")
    (folder / "table_nets.py").write_text(NETS.format(classes=3))
    specs(folder, 'folder("set")', 3 * 10 * 9)
    options = ("--only", "a spec")
    trained = table(capsys, *options)
    assert states(trained) == {"a spec": "done"}
    assert table(capsys, *options) == trained
    image = max((folder / "set").rglob("*.png"))
    image.write_bytes(image.read_bytes() + b"\0")
    assert states(table(capsys, *options, "--dry-run")) == {"a spec": "stale"}


def test_a_row_is_stale_once_its_code_changes(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    specs(folder, 'python("table_images:images")', 64)
    old = table(capsys, "--only", "a spec")["a spec"]
    path = folder / "table_nets.py"
    path.write_text(path.read_text().replace("nn.Linear", "nn.LazyLinear").replace("pixels, ", ""))
    sys.modules.pop("table_nets")
    stale = table(capsys, "--only", "a spec", "--dry-run")["a spec"]
    assert (stale["state"], stale["mean"]) == ("stale", "")
    assert stale["stale"] == "its code has changed: table_nets.py"
    path.write_text(NETS.format(classes=4) + "# the same, but for this\n")
    sys.modules.pop("table_nets", None)
    assert cli.main(["table", ".", "--only", "a spec", "--quiet"]) == 0
    said = " ".join(capsys.readouterr().err.split())
    kept = f"{old['folder']}.stale-1"
    assert f"is trained again, since its code has changed: table_nets.py; it is kept as {kept}" in (
        said
    )
    assert (Path(kept) / "result.json").exists()
    assert states(table(capsys, "--only", "a spec", "--dry-run")) == {"a spec": "done"}


@pytest.mark.filterwarnings("ignore:.*is not the published file")
def test_data_below_a_root_are_compared(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name of the data set and the root are the same, and the labels others."""
    from ktgdsl.vocabulary.images import Mnist

    monkeypatch.setattr(Mnist, "train_samples", 20)
    monkeypatch.setattr(Mnist, "test_samples", 10)
    lookalikes.idx(folder / "images", packed=False)
    (folder / "table_nets.py").write_text(NETS.format(classes=10))
    specs(folder, "mnist", 28 * 28)
    options = ("--only", "a spec", "--set", 'data.root="images"')
    assert states(table(capsys, *options)) == {"a spec": "done"}
    labels = folder / "images" / "train-labels-idx1-ubyte"
    content = labels.read_bytes()
    labels.write_bytes(content[:8] + content[:7:-1])
    assert table(capsys, *options, "--dry-run")["a spec"]["stale"] == "its data have changed"
