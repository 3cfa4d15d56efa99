"""`ktgc check --pedantic`: what is legal but suspicious, and only when asked."""

from pathlib import Path

import pytest

from ktgdsl.cli import main as cli
from ktgdsl.compiler import compile_source
from ktgdsl.diagnostics.source import Source
from tests.paths import SPECS


def told(text: str) -> list[tuple[str, str]]:
    """The code of each warning, and the words it underlines."""
    compiled = compile_source(Source("x", text), Path(), pedantic=True)
    assert compile_source(Source("x", text), Path()).diagnostics == ()
    assert all(d.severity == "warning" for d in compiled.diagnostics)
    spans = [d.span for d in compiled.diagnostics]
    return [
        (d.code, text[s.start : s.end])
        for d, s in zip(compiled.diagnostics, spans, strict=True)
        if s is not None
    ]


def graph(body: str, tail: str = "") -> str:
    return f"graph g {{ {body} }} {tail}"


def test_a_circle_without_a_label() -> None:
    body = "node a, b, c, d = resnet8 target a, b edge label -> a edge b <-> c edge d -> c"
    assert told(graph(body)) == []  # d is frozen: it has seen the labels
    body = "node a, b, c = resnet8 target a, b edge label -> a edge b <-> c"
    assert told(graph(body)) == [("W201", "b")]
    assert told(graph(body + " edge a -> c")) == []


@pytest.mark.parametrize(
    ("gate", "warned"),
    [
        ("until(0.1%)", True),  # of 400 steps
        ("until(0.3%)", False),
        ("until(1)", False),
        ("after(20)", True),
        ("after(19.9)", False),
        ("after(99.9%)", False),
    ],
)
def test_gates_that_never_open(gate: str, warned: bool) -> None:
    body = f"node a, b = resnet8 target a edge label -> * edge b -> a : kl via 0.5 * {gate}"
    if gate == "after(20)":
        # It folds to cutoff, so that `b` is dropped unless it is kept.
        body = body.replace("resnet8", "resnet8 { keep = true }", 1)
    assert told(graph(body)) == ([("W202", gate)] if warned else [])


@pytest.mark.parametrize(
    ("gate", "schedule", "underlined"),
    [
        ("until(0.6)", "constant", ["0.6"]),
        ("0.5 * after(0.5)", "constant", ["0.5"]),
        ("rampup(length=0.8)", "constant", ["0.8"]),
        ("until(60%)", "constant", []),
        ("until(1.5)", "constant", []),
        ("after(0)", "constant", []),
        ("linear(0.1, 0.5)", "constant", []),
        ("through", "step(every=0.3)", ["0.3"]),
        ("through", "multistep(at=[0.3, 5, 0.6], gamma=0.1)", ["0.3", "0.6"]),
        ("through", "cosine(0.5)", []),
        ("through", "cosine(minimum=0.1, warmup=0.05)", ["0.05"]),
    ],
)
def test_parts_of_an_epoch(gate: str, schedule: str, underlined: list[str]) -> None:
    body = f"node a, b = resnet8 target a edge label -> * edge b -> a : kl(T=0.5) via {gate}"
    found = told(graph(body, f"train {{ schedule = {schedule} }}"))
    assert found == [("W207", number) for number in underlined]


@pytest.mark.parametrize(
    ("written", "meant"), [("0.6", "60%"), ("0.125", "12.5%"), ("1e-3", "0.1%"), ("0.07", "7%")]
)
def test_the_percentage_that_was_meant(written: str, meant: str) -> None:
    body = "node a, b = resnet8 target a edge label -> * edge b -> a via "
    text = graph(body + f"rampup({written})")
    (found,) = compile_source(Source("x", text), Path(), pedantic=True).diagnostics
    assert found.help == f"did you mean `{meant}`, of the whole training?"


def test_an_option_may_be_a_part_of_an_epoch() -> None:
    body = "node a, b = resnet8 target a edge label -> * edge b -> a via until(0.3 | 20%)"
    assert told(graph(body)) == [("W207", "0.3")]


@pytest.mark.parametrize(
    ("teacher", "student", "warned"),
    [
        ("resnet8", "resnet14", True),
        ("resnet14", "resnet8", False),
        ("resnet8", "resnet8", False),
        ("resnet110", "wrn28_2", False),
        ("resnet32", "wrn28_2", True),
        ('python("nets:any")', "wrn28_2", False),
    ],
)
def test_teachers(teacher: str, student: str, warned: bool) -> None:
    body = f"node s = {student} node t = {teacher} target s edge label, t -> s"
    assert told(graph(body)) == ([("W203", "t")] if warned else [])


@pytest.mark.parametrize(
    ("optimizer", "codes"),
    [
        ("sgd(lr=0.1)", ["W204"]),
        ("sgd(lr=10, weight_decay=5e-4)", ["W205"]),
        ("adamw(lr=0.5, weight_decay=0)", ["W204", "W205"]),
        ("adamw", []),
        ("sgd(lr=1, weight_decay=1e-4)", []),
    ],
)
def test_optimisers(optimizer: str, codes: list[str]) -> None:
    body = "node a = resnet8 target a edge label -> a"
    tail = f"train {{ optimizer = {optimizer} }}"
    assert told(graph(body, tail)) == [(code, optimizer) for code in codes]


def _gates_left_open(path: Path) -> str:
    return "".join(line for line in path.read_text().splitlines() if line.startswith("let each"))


def test_the_shipped_specs_are_above_suspicion(capsys: pytest.CaptureFixture[str]) -> None:
    # The paper's search judges its linear gates after the first epoch (W206), and so do these.
    paths = [str(path) for path in SPECS.glob("*.ktg") if "linear" not in _gates_left_open(path)]
    assert cli.main(["check", "--pedantic", *paths]) == 0
    assert capsys.readouterr().out == f"{len(paths)} files checked: no errors\n"


def test_suspicion_is_no_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.ktg"
    path.write_text(graph("node a = resnet8 target a edge label -> a", "train { optimizer = sgd }"))
    assert cli.main(["check", str(path)]) == 0
    assert "W204" not in capsys.readouterr().out
    assert cli.main(["check", "--pedantic", str(path)]) == 0
    assert "warning[W204]: `sgd` has no weight decay here" in capsys.readouterr().out
