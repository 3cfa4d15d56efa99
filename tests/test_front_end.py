"""The front end as a whole: what it imports, that it never raises, and all errors in one go."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import ktgdsl
from ktgdsl.compiler import Compiled, check, compile_file, compile_source
from ktgdsl.diagnostics.diagnostic import CODES, Diagnostic
from ktgdsl.diagnostics.source import Source
from tests.paths import ROOT
from tests.specs import codes, compiled, graph

SHIPPED = sorted(p for p in ROOT.glob("specs/**/*.ktg") if p.parent.name != "recipes")
GOOD = ROOT / "tests" / "good"
TOUR = ["dml3", "gates", "space", "kd", "takd", "one", "fitnets"]
BAD = sorted((ROOT / "tests" / "bad").glob("*.ktg"))

# What a check may not wait for: the back ends, what draws on a terminal, and what is slow.
NEVER = {"torch", "torchvision", "optuna", "numpy", "rich", "safetensors"}


def in_a_fresh_process(code: str) -> dict[str, object]:
    """What `code` leaves in `found`, run where nothing is imported yet."""
    whole = f"import json, sys\nfound = {{}}\n{code}\nprint(json.dumps(found))"
    done = subprocess.run(
        [sys.executable, "-c", whole], capture_output=True, text=True, check=True, cwd=ROOT
    )
    result: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return result


class TestImports:
    @pytest.mark.parametrize(
        "use",
        [
            "import ktgdsl",
            "import ktgdsl; ktgdsl.check('specs/dml3.ktg')",
            "import ktgdsl; ktgdsl.check('tests/bad/unknown_name.ktg')",
            "import ktgdsl; ktgdsl.check('specs/dml3.ktg', ['train.epochs=2'])",
            "import ktgdsl; ktgdsl.load('specs/kd.ktg').to_json()",
            "import ktgdsl; ktgdsl.Plan.from_json(ktgdsl.load('specs/kd.ktg').to_json()).digest",
            "import ktgdsl\ntry: ktgdsl.loads('graph')\nexcept ktgdsl.SpecError as e: str(e)",
        ],
    )
    def test_neither_torch_nor_a_display(self, use: str) -> None:
        found = in_a_fresh_process(f"{use}\nfound['modules'] = list(sys.modules)")
        modules = found["modules"]
        assert isinstance(modules, list)
        assert not {module.partition(".")[0] for module in modules} & NEVER

    def test_a_folder_of_images_is_summarized_without_torch(self) -> None:
        found = in_a_fresh_process(
            "import ktgdsl.report.describe, ktgdsl.training.datasets.folder_summary\n"
            "found['modules'] = list(sys.modules)"
        )
        modules = found["modules"]
        assert isinstance(modules, list)
        assert "PIL" in modules
        assert not {module.partition(".")[0] for module in modules} & NEVER

    def test_every_public_name_is_there(self) -> None:
        for name in ("check", "load", "loads", "SpecError", "KtgError", "Plan", "Diagnostic"):
            assert name in dir(ktgdsl)
            assert getattr(ktgdsl, name).__name__ == name
        with pytest.raises(AttributeError, match="no attribute 'nothing'"):
            ktgdsl.nothing  # noqa: B018 (the access is the test)


class TestErrors:
    def test_load_raises_with_all_diagnostics(self) -> None:
        path = ROOT / "tests" / "bad" / "two_at_once.ktg"
        with pytest.raises(ktgdsl.SpecError) as caught:
            ktgdsl.load(path)
        assert caught.value.diagnostics == check(path)
        assert "error[E201]: there is no network called `resnt8`" in str(caught.value)

    def test_loads_names_its_text(self) -> None:
        with pytest.raises(ktgdsl.SpecError) as caught:
            ktgdsl.loads("graph g { }", name="cell 3")
        assert " --> cell 3:1:1" in str(caught.value)

    def test_a_warning_is_no_reason_to_raise(self) -> None:
        plan = ktgdsl.loads("graph g { node a, b = resnet8 target a edge label -> * }")
        assert [node.name for node in plan.graph.nodes] == ["a"]

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(ktgdsl.SpecError, match="there is no file"):
            ktgdsl.load(tmp_path / "none.ktg")
        (found,) = ktgdsl.check(tmp_path / "none.ktg")
        assert (found.code, found.span) == ("E001", None)

    @pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
    def test_what_is_shipped_is_sound(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert check(path) == ()
        monkeypatch.chdir(path.parent)  # where a text without a file looks for what it uses
        assert ktgdsl.load(path) == ktgdsl.loads(path.read_text("utf-8")).model_copy(
            update={"folder": str(path.parent)}
        )


def is_well_formed(result: Compiled) -> None:
    """Each diagnostic is a sentence with a known place, and errors leave no plan."""
    for found in result.diagnostics:
        assert isinstance(found, Diagnostic)
        assert found.code in CODES
        assert found.message
        assert "\n" not in found.message
        for span in (found.span, *(label.span for label in found.labels)):
            if span is not None:
                text = result.sources[span.path].text
                assert 0 <= span.start <= span.end <= len(text)
    keys = [(d.code, d.message, d.span) for d in result.diagnostics]
    assert len(keys) == len(set(keys))
    errors = [d for d in result.diagnostics if d.severity == "error"]
    assert (result.plan is None) == bool(errors)


class TestNeverRaises:
    """`tests.fuzz` has texts and overrides."""

    @pytest.mark.parametrize(
        "content",
        [b"", b"\xff\xfe\x00", b"\x80", b"\0\0", b"graph g {", b"(" * 100_000, b"a" * (1 << 21)],
        ids=["empty", "utf-16", "not utf-8", "binary", "unfinished", "deep", "large"],
    )
    def test_any_file(self, content: bytes, tmp_path: Path) -> None:
        path = tmp_path / "bad.ktg"
        path.write_bytes(content)
        result = compile_file(path)
        is_well_formed(result)
        assert result.diagnostics

    @pytest.mark.parametrize("name", [".", "no\0name", "x" * 5000, ""])
    def test_no_file_at_all(self, name: str) -> None:
        assert [found.code for found in check(name)] == ["E001"]

    def test_huge_numbers(self) -> None:
        digits = "9" * 300
        more = f"train {{ epochs = {digits} * {digits} seed = {digits} clip = {digits} / 1e-300 }}"
        body = f"node a = resnet8 target a edge label -> a : {digits} * ce via {digits} / 0.001"
        assert codes(graph(body, more)) == ["E305", "E305"]
        body = f"node a = resnet8 target a edge label -> a : {digits} * {digits} * ce"
        assert codes(graph(body)) == ["E305"]


# Forty statements, each with one mistake: the code to expect beside it.
FORTY = """\
let linear = 2                                      # E203
let one = two three                                 # E102
let T = 1
let T = 2                                           # E202
let loop = loop                                     # E306
graph forty {
    node a, b, c, d = resnet8
    node a = resnet8                                # E202
    node e = resnt8                                 # E201
    node f = resnet9                                # E302
    node g = wrn(28)                                # E208
    node h = kl                                     # E301
    node i = resnet8 { frozn = true }               # E204
    node j = resnet8 { keep = 1 }                   # E301
    node k = resnet8 { keep = true keep = true }    # E205
    node l = resnet8 { weights = "none" }           # E406
    node m = ensemble(a, a)                         # E408
    node n[0] = resnet8                             # E302
    node o = = resnet8                              # E102
    node q = resnet8 { frozen = true }
    target a, zz                                    # E201
    edge label -> * : ce
    edge a -> b : kll                               # E201
    edge a -> c : correct                           # E303
    edge a -> d : kl via corect                     # E201
    edge b -> a : kl via mse                        # E303
    edge b -> c : kl via correct - linear           # E304
    edge b -> d : kl(T=0)                           # E302
    edge c -> a : kl(temperature=2)                 # E207
    edge c -> b : kl(T=1, T=2)                      # E209
    edge c -> d : kl * mse                          # E305
    edge d -> a : kl / 0                            # E305
    edge d -> label                                 # E405
    edge d -> d                                     # E405
    edge d -> b : ce                                # E407
    edge label -> c : js                            # E407
    edge d -> q                                     # E403
    edge d c : kl                                   # E102
    edge o -> b
    edge d -> c : mse(on=logit)                     # E301
    edge a.stage2 -> b : mse                        # E407
    edge b[1] -> c                                  # E302
}
data digit { batch = 8 }                            # E201
train { epochs = 0 }                                # E302
train { seed = 1 }                                  # E206
search { trials = 0 }                               # E302
"""


class TestAllInOneGo:
    def test_forty_mistakes(self) -> None:
        result = compiled(FORTY)
        source = result.sources["spec.ktg"]
        lines = FORTY.splitlines()
        expected = [
            (number, line.partition("# ")[2])
            for number, line in enumerate(lines, 1)
            if "# E" in line
        ]
        assert len(expected) >= 40
        told = [(source.position(d.span.start).line, d.code) for d in result.diagnostics if d.span]
        assert told == expected
        assert len(result.diagnostics) == len(expected)

    def test_a_syntax_error_hides_nothing_in_other_statements(self) -> None:
        text = "graph g {{ {} node b = resnt8 target a edge label -> a : ce(smoothing=2) }}"
        broken = codes(text.format("node a = = resnet8"))
        assert broken == ["E102", "E201", "E302"]
        assert codes(text.format("node a = resnet8")) == ["E201", "E302"]

    @pytest.mark.parametrize(
        "broken",
        [
            "let x = = 1",
            "let x = 1 1",
            'let x = "never closed',
            "let x",
        ],
    )
    def test_the_let_of_a_broken_statement_is_not_called_unknown(self, broken: str) -> None:
        body = "node a = resnet8 target a edge label -> a via x"
        found = codes(f"{broken}\n{graph(body)}train {{ epochs = x }}")
        assert found in (["E102"], ["E103"])

    @pytest.mark.parametrize(
        "broken",
        ["node b = = resnet8", "node b, = resnet8", "node b[ = resnet8", "node b resnet8",
         "node b = resnet8 $"],
    )  # fmt: skip
    def test_the_node_of_a_broken_statement_is_not_called_unknown(self, broken: str) -> None:
        body = f"node a = resnet8\n{broken}\ntarget a, b\nedge label -> a, b\nedge a <-> b"
        assert [code[:2] for code in codes(graph(body))] == ["E1"]

    @pytest.mark.parametrize(
        "broken", ["target a b", "target", "edge label - a", "edge label -> a via", "tarrget = a"]
    )
    def test_nothing_is_called_missing_beside_a_broken_statement(self, broken: str) -> None:
        body = f"node a, b = resnet8\n{broken}"
        if "target" not in broken:
            body += "\ntarget a"
        assert [code[:2] for code in codes(graph(body))] == ["E1"]

    def test_a_broken_setting_of_a_block_leaves_the_graph_as_it_is(self) -> None:
        text = graph("node a, b = resnet8 target a edge label -> b", "train { epochs = = 3 }")
        assert codes(text) == ["E402", "E102"]

    def test_a_broken_setting_of_a_node_may_have_changed_the_graph(self) -> None:
        body = "node a = resnet8 node b = resnet8 { keep = = true } target a edge label -> *"
        assert codes(graph(body)) == ["E102"]

    def test_an_open_value_may_have_changed_the_graph(self) -> None:
        body = "node a, b = resnet8 target a edge label -> a via cutoff | through"
        assert codes(graph(body)) == []

    def test_errors_in_blocks_do_not_hide_those_of_the_graph(self) -> None:
        text = graph("node a, b = resnet8 target a edge label -> b", "train { epochs = 0 }")
        assert codes(text) == ["E402", "E302"]


class TestTour:
    """The examples of the language reference: fine, all of them."""

    @pytest.mark.parametrize("name", TOUR)
    def test_example(self, name: str) -> None:
        result = compile_file(GOOD / f"{name}.ktg")
        assert result.diagnostics == ()
        assert result.plan is not None
        assert (result.plan.space is not None) == (name == "space")


def test_a_mistake_in_an_option_is_told_once() -> None:
    text = "graph g { node a, b = resnet8 | resnet14 target a "
    text += "edge label -> * via through | lineer edge b -> a : kl(T=1 | 2) via 0.1 .. 1 }"
    assert codes(text) == ["E201"]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_line_ends_and_a_mark_change_nothing(newline: str) -> None:
    path = SHIPPED[0]
    text = path.read_text("utf-8").replace("\n", newline)
    plain = ktgdsl.loads(path.read_text("utf-8"))
    assert compile_source(Source("x", f"\ufeff{text}"), Path(os.curdir)).plan is not None
    assert ktgdsl.loads(text).graph == plain.graph


@pytest.mark.parametrize(
    "number", ["0" * 6000 + "1", "9" * 5000, "1e999", "0." + "3" * 6000, "1_" * 3000 + "1"]
)
def test_numbers_of_any_length_are_ordinary(number: str) -> None:
    text = f"graph g {{ node a = resnet8 target a edge label -> a }} train {{ epochs = {number} }}"
    found = compile_source(Source("text", text), Path()).diagnostics
    assert len(found) == (0 if number.endswith("01") else 1)
