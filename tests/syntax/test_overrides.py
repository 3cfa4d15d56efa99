"""Overrides from the command line: paths, values, their places and their mistakes."""

from pathlib import Path

import pytest

from ktgdsl.compiler import Compiled
from ktgdsl.plan.model import Plan
from ktgdsl.syntax.format import format_file
from tests.specs import codes, compiled, sound

BASE = """
let T = 2
graph g {
    node a, b, c = resnet8
    node p[2]    = resnet8
    target a
    edge label -> *
    edge * -> a : kl(T=T)
}
train { epochs = 3 }
"""


def plan(*settings: str) -> Plan:
    return sound(BASE, settings)


def complaint(text: str, *settings: str) -> tuple[str, str | None, str]:
    """The one message, its help, and the text that it underlines."""
    result: Compiled = compiled(text, settings)
    (found,) = result.diagnostics
    assert found.span is not None
    place = result.sources[found.span.path].text[found.span.start : found.span.end]
    return f"{found.code} {found.message}", found.help, place


class TestPaths:
    def test_a_setting_that_is_there(self) -> None:
        assert plan("train.epochs=7").train.epochs == 7

    def test_a_setting_that_is_not(self) -> None:
        changed = plan("train.seed=7")
        assert (changed.train.seed, changed.train.epochs) == (7, 3)

    def test_a_block_that_is_not(self) -> None:
        assert plan("data.batch=16").data.batch == 16

    def test_a_value_is_replaced_whole(self) -> None:
        text = f"{BASE} data digits {{ batch = 8 }}".replace(
            "epochs = 3", "epochs = 3 optimizer = sgd(lr=1, momentum=0.5)"
        )
        changed = sound(text, ["train.optimizer=sgd(lr=2)"])
        assert changed.train.optimizer.arguments["momentum"] == 0

    def test_a_data_set(self) -> None:
        assert plan("data=digits").data.source.name == "digits"
        assert plan("data=cifar100").data.classes == 100
        message = "E201 there is no dataset called `cifar101`"
        assert complaint(BASE, "data=cifar101") == (message, "did you mean `cifar10`?", "cifar101")
        with_block = f"{BASE} data digits {{ batch = 8 }}"
        assert sound(with_block, ["data=digits"]).data.batch == 8
        assert sound(with_block, ["data=cifar100"]).data.source.name == "cifar100"

    def test_what_is_saved_of_a_setting_of_data_is_a_spec_again(self) -> None:
        result = compiled(BASE, ["data.batch=8", "train.epochs=3", "search.trials=5"])
        assert result.tree is not None
        again = sound(format_file(result.tree))
        assert (again.data.batch, again.data.source.name) == (8, "digits")

    def test_a_network(self) -> None:
        nodes = plan("node.b=wrn10_2").graph.nodes
        assert [str(node.network.name) for node in nodes] == [
            "resnet", "wrn", "resnet", "resnet", "resnet",
        ]  # fmt: skip
        assert [node.name for node in nodes] == ["a", "b", "c", "p[0]", "p[1]"]

    def test_a_setting_of_a_node(self) -> None:
        nodes = {node.name: node for node in plan("node.b.frozen=true").graph.nodes}
        assert {name: node.frozen for name, node in nodes.items()} == {
            "a": None, "b": "frozen = true", "c": None, "p[0]": None, "p[1]": None,
        }  # fmt: skip

    def test_an_array(self) -> None:
        nodes = plan("node.p=resnet14").graph.nodes
        assert [node.network.arguments["depth"] for node in nodes] == [8, 8, 8, 14, 14]

    def test_a_let(self) -> None:
        terms = [e.terms[0] for e in plan("let.T=8").graph.edges if not e.from_label]
        assert {term.parts[0].loss.arguments["T"] for term in terms} == {8.0}

    def test_search_and_phases_are_in_the_language(self) -> None:
        one = "graph g { node a = resnet8 target a edge label -> a } "
        text = f"{one} search {{ trials = 3 }} phase one {{ learn = [a] }}"
        changed = sound(text, ["search.trials=5", "phase.one.epochs=2"])
        assert changed.search is not None
        assert (changed.search.trials, changed.phases[0].epochs) == (5, 2)
        given = sound(one, ["search.trials=5"]).search
        assert given is not None
        assert given.trials == 5

    def test_in_order_the_last_wins(self) -> None:
        assert plan("train.epochs=7", "train.seed=1", "train.epochs=8").train.epochs == 8
        changed = plan("node.b=resnet14", "node.b.keep=true", "node.b=resnet20").graph.node("b")
        assert (changed.network.arguments, changed.keep) == ({"depth": 20, "stride": 1}, True)

    def test_spaces(self) -> None:
        assert plan(" train . epochs =  7 ").train.epochs == 7

    def test_of_a_node_that_is_declared_alone(self) -> None:
        text = "graph g { node a = resnet8 { keep = true } target a edge label -> a }"
        assert sound(text, ["node.a.keep=false"]).graph.node("a").keep is False


class TestValues:
    def test_any_expression(self) -> None:
        assert plan("train.epochs=2 * (3 + 1)").train.epochs == 8
        assert plan("train.schedule=multistep(at=[1, 50%])").train.schedule.name == "multistep"

    def test_an_equals_sign_in_the_value(self) -> None:
        assert plan("train.optimizer=sgd(lr=0.5)").train.optimizer.arguments["lr"] == 0.5

    def test_what_does_not_parse_is_a_string(self) -> None:
        message = 'E301 `epochs` must be a whole number, not "2 3"'
        assert complaint(BASE, "train.epochs=2 3") == (message, None, "2 3")

    @pytest.mark.parametrize(
        "written", ["t.safetensors", "runs/1/t.safetensors", '"t.safetensors"']
    )
    def test_a_path_needs_no_quotes(self, written: str, tmp_path: Path) -> None:
        (tmp_path / "runs" / "1").mkdir(parents=True)
        for folder in (tmp_path, tmp_path / "runs" / "1"):
            (folder / "t.safetensors").touch()
        result = compiled(BASE, [f"node.b.weights={written}"], tmp_path)
        assert result.plan is not None
        weights = result.plan.graph.node("b").weights_file
        assert weights is not None
        assert weights.path == written.strip('"')

    def test_an_open_value_makes_it_a_space(self) -> None:
        space = sound(BASE, ["train.seed=1 | 2"]).space
        assert space is not None
        assert [draw.name for draw in space.draws] == ["train.seed"]


PART = "is part of a value, and values are replaced as a whole"


class TestMistakes:
    @pytest.mark.parametrize(
        ("setting", "message", "fix", "place"),
        [
            ("train.epochs", "an override is PATH=VALUE", "write train.epochs=2", "train.epochs"),
            ("=2", "an override is PATH=VALUE", "write train.epochs=2", ""),
            ("train..epochs=2", "an override is PATH=VALUE", "write", "train..epochs"),
            ("", "an override is PATH=VALUE", "write train.epochs=2", ""),
            ("train.seed= ", "the override of `train.seed` has no value", "write", "train.seed"),
            ("trian.epochs=2", "`trian.epochs` is nothing that can be overridden",
             "did you mean `train.epochs`?", "trian.epochs"),
            ("epochs=2", "`epochs` is nothing that can be overridden",
             "did you mean `train.epochs=2`?", "epochs"),
            ("train=2", "`train` is nothing that can be overridden", "write train", "train"),
            ("train.a.b=2", f"`train.a.b` {PART}", "write `train.a=NAME(b=...)`", "train.a.b"),
            ("xyzzy=2", "`xyzzy` is nothing that can be overridden", "write train", "xyzzy"),
            ("graph.a=2", "`graph.a` is nothing that can be overridden",
             "edges, gates, targets and shares are changed in the file; ", "graph.a"),
            ("let.t=2", "the spec has no let called `t`", "did you mean `T`?", "let.t"),
            ("node.d=resnet8", "the spec has no node called `d`", "there are `a`, `b`, `c`, `p`",
             "node.d"),
            ("node.p[0]=resnet8", "the spec has no node called `p[0]`", "did you mean `p`?",
             "node.p[0]"),
            ("phase.one.epochs=2", "the spec has no phase called `one`", "", "phase.one.epochs"),
        ],
    )  # fmt: skip
    def test_paths(self, setting: str, message: str, fix: str, place: str) -> None:
        told, helped, underlined = complaint(BASE, setting)
        assert (told, underlined) == (f"E210 {message}", place)
        assert (helped or "").startswith(fix)

    @pytest.mark.parametrize(
        ("setting", "fix"),
        [
            ("epochs=3", "`train.epochs=3`"),
            ("epoch=3", "`train.epochs=3`"),
            ("optimizer=sgd(lr=0.1)", "`train.optimizer=sgd(lr=0.1)`"),
            ("batch=32", "`data.batch=32`"),
            ("batch_size=32", "`data.batch=32`"),
            ("trials=5", "`search.trials=5`"),
            ("workers=2", "`data.workers=2` or `search.workers=2`"),
            ("frozen=true", "`node.NAME.frozen=true`"),
            ("T=4", "`let.T=4`"),
            ("b=resnet14", "`node.b=resnet14`"),
        ],
    )
    def test_a_name_without_its_block(self, setting: str, fix: str) -> None:
        _, helped, _ = complaint(BASE, setting)
        assert helped == f"did you mean {fix}?"

    @pytest.mark.parametrize("path", ["edge.b->a", "b->a", "edge.b.a", "gate.b->a", "target"])
    def test_edges_are_changed_in_the_file(self, path: str) -> None:
        where = "edges, gates, targets and shares are changed in the file; a value in them can be "
        found = complaint(BASE, f"{path}=kl via linear")
        message = f"E210 `{path}` is nothing that can be overridden"
        assert found == (message, f"{where}that of `let.T=VALUE`", path)
        _, without_let, _ = complaint(
            "graph g { node a = resnet8 target a edge label -> a }", f"{path}=kl"
        )
        assert without_let == f"{where}that of `let T = 4`, which let.T=VALUE changes"

    def test_an_unknown_setting(self) -> None:
        told = complaint(BASE, "train.epoch=2")
        assert told == (
            "E204 `train` has no setting `epoch`", "did you mean `epochs`?", "train.epoch",
        )  # fmt: skip

    def test_a_value_points_into_the_override(self) -> None:
        told = complaint(BASE, "train.optimizer=sgd(lr=-1)")
        assert told == ("E302 `lr` of `sgd` must be greater than 0, not -1", None, "-1")
        message = "E201 there is no network called `resnt14`"
        fix = "did you mean `resnet14`?"
        assert complaint(BASE, "node.b=resnt14") == (message, fix, "resnt14")

    def test_each_is_told(self) -> None:
        assert codes(BASE, ["let.U=1", "train.epochs=0", "nothing", "train.seed=1"]) == [
            "E210", "E302", "E210",
        ]  # fmt: skip

    def test_the_name_in_a_broken_statement_is_not_called_unknown(self) -> None:
        text = "graph g { node a = resnet8 node b = = resnet8 target a edge label -> a }"
        assert codes(text, ["node.b.keep=true"]) == ["E102"]
        assert codes(text, ["node.x.keep=true"]) == ["E102", "E210"]


@pytest.mark.parametrize(
    ("setting", "said", "start"),
    [
        ("data.root=b\udcffd", "the byte 0xff", 11),
        ('node.a=python("m:\0")', "a NUL character", 17),
        ("train.\ud800=1", "half a character, U+D800", 6),
    ],
)
def test_an_override_that_is_no_text_says_where(setting: str, said: str, start: int) -> None:
    found = compiled(BASE, (setting,)).diagnostics
    assert [each.code for each in found] == ["E002"]
    assert found[0].message == f"the text holds {said}, which UTF-8 text does not"
    assert found[0].span == (f"--set {setting}", start, start + 1)
