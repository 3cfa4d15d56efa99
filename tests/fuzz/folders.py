"""Folders of a run and of a search with one file changed, and what verbs read of them."""

import json
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import ktgdsl
from ktgdsl.errors import KtgError
from ktgdsl.files import parsed_json
from ktgdsl.report.comparison import Comparison
from ktgdsl.report.comparison import render as render_comparison
from ktgdsl.report.curves.charts import charts_of
from ktgdsl.report.curves.recorded import read_runs
from ktgdsl.report.curves.terminal import ASCII, terminal_chart
from ktgdsl.report.environment_facts import environment_facts
from ktgdsl.report.pictures.run_accuracies import plan_and_accuracies
from ktgdsl.report.run_list import run_list_json, run_list_text
from ktgdsl.searching.result import Finalist, FrontTrial, PrunedTrial, SearchResult, Teacher
from ktgdsl.tables.finished import finished_run
from ktgdsl.tables.found_runs import found_runs
from ktgdsl.training.result import EarlyStop, Pretrained, Score
from tests.fuzz.json_texts import changed, damaged, sealed
from tests.fuzz.plans import show
from tests.written_runs import SPEC, write_run

PLAN, RESULT, ENVIRONMENT, METRICS, CLASSES = (
    "plan.json", "result.json", "environment.json", "metrics.jsonl", "classes.json",
)  # fmt: skip
ENVIRONMENT_OF_RUN: dict[str, Any] = {
    "versions": {"ktgdsl": "0.1.0", "torch": "2.14.1"}, "device": "cpu", "devices": ["cpu"],
    "threads": 2, "deterministic": False, "command": ["ktgc", "run"], "seeds": [0, 1],
    "code": {"nets.py": {"path": "nets.py", "sha256": "0" * 64}}, "data": "0" * 64,
    "resumed": [{"started": "2026-11-28T12:00:00+00:00", "code": {}}],
}  # fmt: skip


def _lines() -> list[dict[str, Any]]:
    return [
        {"repeat": repeat, "epoch": epoch, "node": node, "phase": "p", "loss": 1.5,
         "accuracy": 50.0, "test_accuracy": 51.5, "test_top5": 90.0, "learning_rate": 0.1,
         "edges": {"label": {"loss": 1.0, "open": 1.0}},
         "heads": {"x": {"accuracy": 50.0, "test_accuracy": 50.0}}}
        for repeat in (1, 2) for epoch in (1, 2) for node in "ab"
    ]  # fmt: skip


@cache
def _folder() -> Path:
    """The folder of a sound run, and beside it that of a sound search and of another run."""
    top = Path(tempfile.mkdtemp(prefix="ktgdsl-fuzz-"))
    plan = write_run(top / "run", {"a": [80.0, 81.0], "b": [70.0, 71.0]}, **ENVIRONMENT_OF_RUN)
    write_run(top / "other", {"a": [82.0, 80.0], "b": [70.0, 71.0]}, **ENVIRONMENT_OF_RUN)
    folder = top / "run"
    (folder / METRICS).write_text("".join(f"{json.dumps(line)}\n" for line in _lines()))
    (folder / CLASSES).write_text('["zero", "one"]')
    (folder / "spec.ktg").write_text(SPEC)
    search = top / "search"
    search.mkdir()
    space = ktgdsl.loads(SPEC.replace("edge b -> a", "edge b -> a : kl(T=1|2)") + " search { }")
    (search / PLAN).write_text(space.to_json())
    (search / ENVIRONMENT).write_bytes((folder / ENVIRONMENT).read_bytes())
    (search / "space.ktg").write_text("")
    (search / "best.ktg").write_text(SPEC)
    (search / RESULT).write_text(_search_result(search, plan.digest).to_json())
    return top


def _search_result(folder: Path, digest: str) -> SearchResult:
    facts = {"seed": 1, "digest": digest, "canonical_digest": digest}
    score = Score.of([80.0, 81.0])
    best = Finalist(trial=3, value=80.0, epochs=4, spec="top/01.ktg", confirmed=score, **facts)
    pruned = PrunedTrial(trial=1, epoch=1, value=10.0, place=4, values=4, kept=2)
    return SearchResult(
        folder=folder, target="a", finalists=(best,), complete=True, trials=4,
        states={"complete": 3, "pruned": 1}, baselines={"alone": score}, validation_samples=259,
        epochs=4, epochs_trained=13, seconds=3.5, exhausted=False, kept=("kept/trial-3",),
        pruned=(pruned,),
        front=(FrontTrial(trial=3, values={"accuracy(a)": 80.0}, spec="front/01.ktg", **facts),),
        teachers=(Teacher(node="b", network="resnet8", accuracy=9.0, split="test", cached=True),),
    )  # fmt: skip


def _json_of(file: str) -> Any:
    content = parsed_json((_folder() / file).read_text())
    if isinstance(content, dict):
        content.pop("sha256", None)
    if file == f"run/{RESULT}":
        content["nodes"]["b"]["pretrained"] = [
            Pretrained(accuracy=70.0, split="test", cached=False).model_dump(mode="json")
        ] * 2
        stop = EarlyStop(seed=0, phase=None, epochs=2, planned=20, reason="plateau")
        content["stopped"] = [stop.model_dump(mode="json")]
    return content


def json_file(file: str, random: Random) -> str:
    """The text of a JSON file of ours with changes: sealed anew, without a seal, or damaged."""
    text = changed(random, _json_of(file))
    if file.endswith((RESULT, ENVIRONMENT)) and random.random() < 0.6:
        text = sealed(text)
    return damaged(random, text) if random.random() < 0.15 else text


def metrics_file(random: Random) -> str:
    """The lines of `metrics.jsonl`, one or two of them changed."""
    lines = [json.dumps(line) for line in _lines()]
    for _ in range(random.choice((1, 1, 2))):
        number = random.randrange(len(lines))
        lines[number] = changed(random, _lines()[number]).replace("\n", "")
    text = "\n".join(lines) + "\n"
    return damaged(random, text) if random.random() < 0.2 else text


def judge(file: str, text: str) -> bool:
    """Put a text into a file, and let verbs read its folder. Whether all accept it."""
    path = _folder() / file
    before = path.read_bytes()
    path.write_bytes(text.encode("utf-8", "surrogateescape" if _escapes(text) else "replace"))
    try:
        readers = SEARCH_READERS if file.startswith("search/") else RUN_READERS
        return min([_accepts(reader, path.parent) for reader in readers])  # none is left out
    finally:
        path.write_bytes(before)


def _escapes(text: str) -> bool:
    return all("\udc80" <= each <= "\udcff" for each in text if "\ud800" <= each <= "\udfff")


def _accepts(reader: Callable[[Path], object], folder: Path) -> bool:
    try:
        reader(folder)
    except KtgError as error:
        return not str(error)
    return True


def _listed(folder: Path) -> None:
    found = found_runs(folder)
    assert run_list_text(found, datetime.now(UTC), 80)
    assert run_list_json(found)
    assert not found or found[0].problem is None or "\n" not in found[0].problem


def _curves(folder: Path) -> None:
    for chart in charts_of(read_runs([folder]), None):
        terminal_chart(chart, 80, ASCII)


def _compared(folder: Path) -> None:
    runs = [finished_run(str(each)) for each in (folder, folder.parent / "other")]
    for style in ("text", "json"):
        assert render_comparison(Comparison(runs, "accuracy", None), style, 80)
    environment_facts(str(folder))


def _drawn(folder: Path) -> None:
    plan, _ = plan_and_accuracies(folder)
    show(plan)
    assert plan.digest
    assert plan.canonical_digest


RUN_READERS = (_listed, _curves, _compared, _drawn)
SEARCH_READERS = (_listed, _drawn)
