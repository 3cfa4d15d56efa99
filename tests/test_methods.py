"""The gallery of methods: each is a short spec that trains to its end on small data."""

import re
from pathlib import Path

import pytest

import ktgdsl
from ktgdsl.diagnostics.source import Source
from ktgdsl.syntax.format import format_source
from tests.paths import ROOT

METHODS = sorted((ROOT / "specs" / "methods").glob("*.ktg"))
PROMISED = """
    attention born_again codistillation confidence_penalty dist dkd dks dml dml_sequential
    dual_student early_stopped fitnets fsp irg kd kdcl label_smoothing mean_teacher metric okddip
    one overhaul pcl rkd similarity song_chai standardized takd teacher_free
"""
TINY = ["data=digits", "data.samples=32", "data.batch=8", "train.epochs=1", "train.repeats=1"]
SEMI_SUPERVISED = ["data.labeled=8", "data.labeled_batch=4"]
NETWORKS = r"(?:resnet|wrn)[0-9_]+"


def test_each_promised_method_is_there() -> None:
    assert {path.stem for path in METHODS} == set(PROMISED.split())


@pytest.mark.parametrize("path", METHODS, ids=lambda path: path.stem)
def test_a_method_is_formatted_and_at_most_twenty_lines(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert format_source(Source(str(path), text)) == (text, ())
    assert sum(bool(line.strip()) for line in text.splitlines()) <= 20


@pytest.fixture(scope="module")
def teachers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache for all methods, many of which have the same pre-trained teacher."""
    return tmp_path_factory.mktemp("cache")


@pytest.mark.parametrize("path", METHODS, ids=lambda path: path.stem)
def test_a_method_trains_on_digits(
    path: Path, teachers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All phases and the pre-training of teachers, with the smallest networks of each family."""
    monkeypatch.setenv("KTGDSL_CACHE", str(teachers))
    text = path.read_text(encoding="utf-8")
    overrides = [*TINY, *(SEMI_SUPERVISED if "recipes/semi.ktg" in text else [])]
    for names, network in re.findall(rf"node ([\w, \[\]]+?) *= ({NETWORKS})", text):
        small = "wrn10_1" if network.startswith("wrn") else "resnet8"
        overrides += [f"node.{name}={small}" for name in re.findall(r"([a-z]\w*)", names)]
    plan = ktgdsl.load(path, overrides)
    result = ktgdsl.run(plan, out=tmp_path / "run", device="cpu")
    assert plan.graph.targets[0] in result.nodes
