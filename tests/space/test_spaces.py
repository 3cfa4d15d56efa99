"""Spaces: the names of draws, what is drawn once or afresh, and the plan at each point."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ktgdsl.cli.main import main
from ktgdsl.plan.model import Draw, Plan
from ktgdsl.space.space import every_option, plan_at
from tests.specs import edge, graph, of, pairs, said, sound, text_of

TWO = "node a, b = resnet8 target a edge label -> *\n"


def draws(plan: Plan) -> dict[str, Draw]:
    assert plan.space is not None
    return {draw.name: draw for draw in plan.space.draws}


def names(plan: Plan) -> list[str]:
    return list(draws(plan))


def points(plan: Plan) -> Iterator[dict[str, int | float]]:
    """Every point of a small space."""
    every = draws(plan)
    values = []
    for draw in every.values():
        low, high = (0, len(draw.options) - 1) if draw.options else (draw.low, draw.high)
        assert isinstance(low, int)
        assert isinstance(high, int)
        values.append(range(low, high + 1))
    for point in itertools.product(*values):
        yield dict(zip(every, point, strict=True))


def point(plan: Plan, **chosen: int | float) -> Plan:
    """The plan at a point, `__` standing for the `.` of draws."""
    found = plan_at(plan, {name.replace("__", "."): value for name, value in chosen.items()})
    assert found is not None
    assert found.space is None
    return found


def closed(body: str, more: str = "") -> Plan:
    """What a point of a space has to be: the plan of a spec without anything open."""
    plan = of(body, more)
    assert plan.space is None
    return plan


def same(found: Plan | None, expected: Plan) -> bool:
    """Whether a point is a plan, but for how the space is searched."""
    return found is not None and found.model_copy(update={"search": None}) == expected


class TestNames:
    """A draw is named after where it stands."""

    @pytest.mark.parametrize(
        ("body", "more", "expected"),
        [
            ("node a = resnet8 | resnet14 target a edge label -> a", "", ["node.a"]),
            ("node a, b = resnet8 | wrn10_1 target a edge label, b -> a", "", ["node.a", "node.b"]),
            (
                "node a[2] = resnet8 | wrn10_1 target a[0] edge label -> a edge a -> a", "",
                ["node.a[0]", "node.a[1]"],
            ),
            (
                "node a = resnet8 { optimizer = sgd(lr=0.1 | 0.2) mode = eval | train } target a "
                "edge label -> a", "",
                ["node.a.optimizer.lr", "node.a.mode"],
            ),
            (
                "node a = wrn(10, 1 | 2, dropout=0 | 0.3) target a edge label -> a", "",
                ["node.a.widen", "node.a.dropout"],
            ),
            (TWO + "edge b -> a via linear | through", "", ["edge.b->a.gate"]),
            (TWO + "edge b -> a : kl | js", "", ["edge.b->a.loss"]),
            (TWO + "edge b -> a : kl(T=1 | 2)", "", ["edge.b->a.loss.T"]),
            (TWO + "edge b -> a : kl(1 | 2)", "", ["edge.b->a.loss.T"]),
            (
                TWO + "edge b -> a : kl(T=1 | 2 | 4) | js(T=1 | 3) via linear", "",
                ["edge.b->a.loss", "edge.b->a.loss.T", "edge.b->a.loss.T.1"],
            ),
            (
                TWO + "edge b -> a : kl | js via linear | 0.5, mse | kl via until(20% | 60%)", "",
                ["edge.b->a.loss", "edge.b->a.gate", "edge.b->a.loss.1",
                 "edge.b->a.gate.moment"],
            ),
            (
                TWO + "edge b -> a via correct * (linear | through) | cutoff", "",
                ["edge.b->a.gate", "edge.b->a.gate.1"],
            ),
            (TWO + "edge b -> a : (1 | 2) * kl + (3 | 4) * mse", "",
             ["edge.b->a.loss", "edge.b->a.loss.1"]),
            (TWO + "edge * -> * via linear | through", "", ["edge.a->b.gate", "edge.b->a.gate"]),
            (TWO + "edge a : -0.1 * entropy via 0.1 | 0.2", "", ["edge.a.gate"]),
            (
                TWO + "edge b.stage1 -> a.(stage1 | stage2) : attention via linear | 0.5", "",
                ["edge.b.stage1->a.destination", "edge.b.stage1->a.gate"],
            ),
            (TWO + "edge b.(stage1 | stage2) -> a.stage1 : attention", "",
             ["edge.b->a.stage1.source"]),
            (
                "node a, b[3] = resnet8 target a edge label -> * "
                "edge b[0 .. 2] -> a via linear | 0.5", "",
                ["edge.b.index", "edge.b->a.gate"],
            ),
            (TWO + "node m = ensemble(a, b, combine=mean | sum) edge m -> a", "",
             ["node.m.combine"]),
            ("node a, b[2] = resnet8 node m = ensemble(a, b[0 | 1]) target a edge label -> * "
             "edge m -> a", "", ["node.m.members"]),
            (
                "node a[2] = resnet8 node e = ema(a, decay=0.9 | 0.99) target a[0] "
                "edge label -> a edge e -> a", "",
                ["node.e[0].decay", "node.e[1].decay"],
            ),
            (TWO + "edge b -> a share a, b { layers = [stem] grad = sum | mean }", "",
             ["share.a,b.grad"]),
            (TWO, "data (digits | cifar10)", ["data.source"]),
            (TWO, "data digits { batch = 16 | 32 }", ["data.batch"]),
            (
                TWO,
                "train { epochs = 2 | 4 optimizer = sgd(lr=0.1 | 0.2) | adamw(lr=1e-3 | 1e-2) }",
                ["train.epochs", "train.optimizer", "train.optimizer.lr", "train.optimizer.lr.1"],
            ),
            (TWO, "train { schedule = cosine(0.1 | 0.2) }", ["train.schedule.minimum"]),
            (
                TWO, "phase one { learn = [a, b] epochs = 1 .. 3 optimizer = sgd(lr=0.1 | 0.2) }",
                ["phase.one.epochs", "phase.one.optimizer.lr"],
            ),
        ],
    )  # fmt: skip
    def test_where_it_stands(self, body: str, more: str, expected: list[str]) -> None:
        plan = of(body, more)
        assert sorted(names(plan)) == sorted(expected)

    def test_of_a_let(self) -> None:
        body = TWO + "edge b -> a : kl(T=T) via T edge a -> b : kl(T=T)"
        assert names(sound("let T = 1 | 2\n" + graph(body))) == ["let.T"]

    def test_of_a_let_that_says_another(self) -> None:
        text = "let T = 1 | 2 let U = T | 5\n" + graph(TWO + "edge b -> a : kl(T=U) via T")
        assert names(sound(text)) == ["let.U", "let.T"]

    def test_of_let_each(self) -> None:
        text = "let each g = linear | 0.5\n" + graph(TWO + "edge b -> a : kl via g, js via g")
        assert names(sound(text)) == ["edge.b->a.gate", "edge.b->a.gate.1"]

    def test_nested_in_let_each(self) -> None:
        text = "let each T = 1 | 2 let each U = T | T\n" + graph(TWO + "edge b -> a : kl(T=U)")
        found = draws(sound(text))
        assert {name: draw.options for name, draw in found.items()} == {
            "edge.b->a.loss.T": ("T", "T"),
            "edge.b->a.loss.T.1": ("1", "2"),
            "edge.b->a.loss.T.2": ("1", "2"),
        }

    @pytest.mark.parametrize("tap", ["stage1.pre", '"stage1.pre"'])
    def test_a_place_before_a_relu_is_in_quotes(self, tap: str) -> None:
        """So it was before it could be written without, and names of draws stay."""
        plan = of(TWO + f"edge b.{tap} -> a : rkd via linear | 0.5")
        assert names(plan) == ['edge.b."stage1.pre"->a.gate']

    def test_a_replaced_edge_has_none(self) -> None:
        body = "node a, b, c = resnet8 target a edge label -> * edge * -> a via linear | 0.5\n"
        assert names(of(body + "edge b -> a via correct")) == ["edge.c->a.gate"]

    def test_an_edge_replaced_at_some_points_has(self) -> None:
        text = graph(
            TWO + "edge b.stage1 -> a.stage1 : attention via linear | 0.5\n"
            "edge b.(stage1 | stage2) -> a.stage1 : hint via correct | 0.25"
        )
        plan = sound(text)
        assert names(plan) == [
            "edge.b->a.stage1.source",
            "edge.b.stage1->a.stage1.gate",
            "edge.b->a.stage1.gate",
        ]
        everything = {"edge.b.stage1->a.stage1.gate": 1, "edge.b->a.stage1.gate": 1}
        both = plan_at(plan, {**everything, "edge.b->a.stage1.source": 1})
        assert both is not None
        assert pairs(both)[2:] == ["b.stage1 -> a.stage1", "b.stage2 -> a.stage1"]
        assert text_of(edge(both, "b.stage1", "a.stage1")) == "attention via 0.5"
        assert text_of(edge(both, "b.stage2", "a.stage1")) == "hint(connector=conv) via 0.25"
        one = plan_at(plan, {**everything, "edge.b->a.stage1.source": 0})
        assert one is not None
        assert text_of(edge(one, "b.stage1", "a.stage1")) == "hint(connector=conv) via 0.25"

    def test_two_open_ends_keep_their_names_where_they_meet(self) -> None:
        body = TWO + 2 * "edge b.(stage1 | stage2) -> a.stage1 : hint via 0.25 | 0.5\n"
        plan = of(body)
        place = "edge.b->a.stage1"
        assert names(plan) == [f"{place}.source", f"{place}.source.1", f"{place}.gate",
                               f"{place}.gate.1"]  # fmt: skip
        for first, second in itertools.product(range(2), repeat=2):
            found = plan_at(plan, {f"{place}.source": first, f"{place}.source.1": second,
                              f"{place}.gate.1": 1})  # fmt: skip
            assert found is not None
            last = edge(found, f"b.stage{second + 1}", "a.stage1")
            assert text_of(last) == "hint(connector=conv) via 0.5"
            if first != second:
                other = edge(found, f"b.stage{first + 1}", "a.stage1")
                assert text_of(other) == "hint(connector=conv) via 0.25"

    def test_edges_that_only_some_options_of_a_node_have(self) -> None:
        body = """
            node a = resnet8
            node b = resnet8 { frozen = true | false }
            node c = ensemble(a, b) | resnet8
            target a
            edge label -> *
            edge * -> * via linear | correct
        """
        assert set(names(of(body))) == {
            "node.b.frozen", "node.c", "edge.a->b.gate", "edge.a->c.gate", "edge.b->a.gate",
            "edge.b->c.gate", "edge.c->a.gate", "edge.c->b.gate",
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("lets", "size", "most"),
        [
            ("", "1 .. 3", 3),
            ("", "3 | 1", 3),
            ("let n = 1 .. 3", "n", 3),
            ("let n = 1 | 3", "n + 1", 4),
            ("", "4 - (1 | 2)", 3),
            ("", "2 * (1 .. 2)", 4),
        ],
    )
    def test_those_of_the_largest_array(self, lets: str, size: str, most: int) -> None:
        body = f"node a, b[{size}] = resnet8 target a edge label -> * edge b -> a via linear | 0.5"
        found = names(sound(f"{lets}\n{graph(body)}"))
        assert [name for name in found if name.startswith("edge")] == [
            f"edge.b[{index}]->a.gate" for index in range(most)
        ]

    def test_do_not_depend_on_the_point(self) -> None:
        """Every draw can be chosen at every point, even where nothing reads it."""
        body = """
            node a = resnet8
            node b[1 .. 2] = resnet8 | resnet14
            target a
            edge label -> *
            edge b -> a : kl(T=1 | 2) | js via linear | cutoff
        """
        plan = of(body)
        found = [plan_at(plan, each) for each in points(plan)]
        assert len(found) == 2 * (2 * 2 * 2 * 2) ** 2
        assert None not in found


class TestValues:
    def test_a_choice(self) -> None:
        draw = draws(of(TWO + "edge b -> a via 0.5 * correct | linear(1, 0) | 1e-3"))
        assert draw["edge.b->a.gate"].options == ("0.5 * correct", "linear(1, 0)", "0.001")
        assert draw["edge.b->a.gate"].choices == 3

    @pytest.mark.parametrize(
        ("written", "low", "high", "log", "choices"),
        [
            ("1 .. 8", 1, 8, False, 8),
            ("1 .. 8.0", 1, 8.0, False, None),
            ("0.5 .. 2", 0.5, 2, False, None),
            ("log(1e-3 .. 1e-1)", 1e-3, 1e-1, True, None),
            ("log(1 .. 100)", 1, 100, True, 100),
            ("2 * 3 .. 2 * 4", 6, 8, False, 3),
            ("3 .. 3", 3, 3, False, 1),
        ],
    )
    def test_a_range(
        self, written: str, low: float, high: float, log: bool, choices: int | None
    ) -> None:
        draw = draws(of(TWO + f"edge b -> a : kl(T={written})"))["edge.b->a.loss.T"]
        assert (draw.low, draw.high, draw.log, draw.options) == (low, high, log, ())
        assert (type(draw.low), type(draw.high)) == (type(low), type(high))
        assert draw.choices == choices

    @pytest.mark.parametrize("value", [1e-3, 0.02, 1e-1])
    def test_a_number_of_a_range(self, value: float) -> None:
        plan = of(TWO, "train { optimizer = sgd(lr=log(1e-3 .. 1e-1)) }")
        found = point(plan, train__optimizer__lr=value)
        assert same(found, closed(TWO, f"train {{ optimizer = sgd(lr={value}) }}"))

    def test_what_is_not_said_is_the_first(self) -> None:
        plan = of(TWO + "edge b -> a : kl(T=2 .. 4) via linear | 0.5")
        assert same(point(plan), closed(TWO + "edge b -> a : kl(T=2) via linear"))

    def test_a_let_is_drawn_once(self) -> None:
        body = TWO + "edge b -> a : kl(T={0}) via {0} edge a -> b : kl(T={0})"
        plan = sound("let T = 1 | 2 | 4\n" + graph(body.format("T")))
        for index, value in enumerate((1, 2, 4)):
            assert same(plan_at(plan, {"let.T": index}), closed(body.format(value)))

    def test_let_each_is_drawn_afresh(self) -> None:
        body = TWO + "edge b -> a via {} edge a -> b via {}"
        plan = sound("let each g = linear | correct\n" + graph(body.format("g", "g")))
        for first, second in itertools.product(range(2), repeat=2):
            words = ("linear", "correct")
            found = plan_at(plan, {"edge.b->a.gate": first, "edge.a->b.gate": second})
            assert same(found, closed(body.format(words[first], words[second])))

    def test_a_let_that_nobody_says_leaves_nothing_open(self) -> None:
        plan = sound("let T = 1 | 2\n" + graph(TWO))
        assert plan.space is None
        assert plan.search is None

    def test_open_counts(self) -> None:
        body = "node a = resnet8 node aux[{}] = resnet8 target a edge label -> * edge aux -> a"
        plan = of(body.format("1 .. 6"))
        for count in range(1, 7):
            found = point(plan, node__aux__count=count)
            assert same(found, closed(body.format(count)))
            assert pairs(found)[-1] == f"aux[{count - 1}] -> a"

    def test_open_data_sets_and_phases(self) -> None:
        more = "data ({}) phase one {{ learn = [a] epochs = {} }} phase two {{ learn = [b] }}"
        two = TWO + " edge b -> a"
        plan = of(two, more.format("digits | cifar100", "1 .. 9"))
        found = point(plan, data__source=1, phase__one__epochs=7)
        assert same(found, closed(two, more.format("cifar100", 7)))
        assert found.data.classes == 100


class TestPoints:
    def test_a_point_without_a_target_that_learns_is_invalid(self) -> None:
        plan = of("node a = resnet8 | resnet14 target a edge label -> a via cutoff | through")
        assert plan_at(plan, {"edge.label->a.gate": 0}) is None
        assert point(plan, **{"edge__label->a__gate": 1}).graph.into("a")

    def test_the_plan_of_a_space_is_that_of_a_valid_point(self) -> None:
        plan = of("node a = resnet8 target a edge label -> a via cutoff | linear")
        assert plan.model_copy(update={"space": None}) == plan_at(plan, {"edge.label->a.gate": 1})

    @pytest.mark.parametrize(
        ("chosen", "message"),
        [
            ({"edge.b->a": 0}, "the space has no draw `edge.b->a`"),
            ({"edge.b->a.gate": 2}, "`edge.b->a.gate` is one of linear | 0.5, not 2"),
            ({"edge.b->a.gate": -1}, "`edge.b->a.gate` is one of linear | 0.5, not -1"),
            ({"edge.b->a.gate": 0.5}, "`edge.b->a.gate` is one of linear | 0.5, not 0.5"),
            ({"edge.b->a.loss.T": 5}, "`edge.b->a.loss.T` is one of 2 .. 4, not 5"),
            ({"edge.b->a.loss.T": 2.5}, "`edge.b->a.loss.T` is one of 2 .. 4, not 2.5"),
            ({"train.clip": float("nan")}, "`train.clip` is one of 0.5 .. 2, not nan"),
        ],
    )
    def test_what_is_no_point(self, chosen: dict[str, float], message: str) -> None:
        plan = of(TWO + "edge b -> a : kl(T=2 .. 4) via linear | 0.5", "train { clip = 0.5 .. 2 }")
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            plan_at(plan, chosen)

    def test_a_spec_has_no_points(self) -> None:
        with pytest.raises(ValueError, match="leaves nothing open"):
            plan_at(of(TWO), {})

    def test_an_option_that_is_wrong_is_an_error_of_the_space(self) -> None:
        text = graph(TWO + "edge b -> a : kl(T=1 | 0) via linear | lineer")
        assert [each[:4] for each in said(text)] == ["E302", "E201"]

    def test_negative_for_one_combination_of_options(self) -> None:
        text = graph(TWO + "edge b -> a via (through | correct) - (cutoff | linear)")
        assert said(text) == ["E304 this gate could be negative: its weight lies between -1 and 1"]

    def test_every_option_is_seen(self) -> None:
        body = TWO + "edge b -> a : kl(T=1 | 2 | 4) | (js | mse) via linear | correct"
        seen = [edge(plan, "b", "a").terms[0] for plan in every_option(of(body))]
        assert {str(term.parts[0].loss) for term in seen} == {
            "kl(T=1, scale=1)", "kl(T=2, scale=4)", "kl(T=4, scale=16)", "js(T=1, scale=1)",
            "mse(on=logits)",
        }  # fmt: skip
        assert {str(term.gate) for term in seen} == {"linear(start=0, stop=1)", "correct"}

    def test_run_names_the_first_open_value_and_suggests_search(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = tmp_path / "space.ktg"
        file.write_text("let T = 1 | 2\n" + graph(TWO + "edge b -> a : kl(T=T) via linear | 0.5"))
        assert main(["run", str(file), "--out", str(tmp_path / "out")]) == 1
        told = capsys.readouterr().err
        assert "error[E506]" in told
        assert "`let.T` is open, 1 | 2" in told
        assert "ktgc search" in told
        assert not (tmp_path / "out").exists()

    def test_search_needs_a_space(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        file = tmp_path / "spec.ktg"
        file.write_text(graph(TWO))
        assert main(["search", str(file), "--out", str(tmp_path / "out")]) == 1
        told = capsys.readouterr().err
        assert "error[E506]: there is nothing to search" in told


# Spaces as templates: each has open places, and a way to write each.

GATES = ["through", "cutoff", "linear", "correct", "0.5 * correct", "until(60%)", "1 - linear"]
LOSSES = ["kl", "kl(T=4)", "js", "mse", "0.5 * kl + mse", "cosine_distance"]
NETWORKS = ["resnet8", "resnet14", "wrn10_1", "wrn(10, 2, dropout=0.25)"]


def some(options: list[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(options), min_size=1, max_size=3, unique=True)


@st.composite
def spaces(draw: st.DrawFn) -> dict[str, list[str]]:
    """The options of each draw of a small space, by its name."""
    open_values = {f"node.{name}": draw(some(NETWORKS)) for name in "bc"}
    for ends in draw(st.lists(st.sampled_from(["b->a", "c->a", "c->b", "b->c"]), unique=True)):
        open_values[f"edge.{ends}.loss"] = draw(some(LOSSES))
        open_values[f"edge.{ends}.gate"] = draw(some(GATES))
    for name in "bc":
        open_values[f"edge.label->{name}.gate"] = draw(some(GATES[:4]))
    open_values["let.T"] = draw(some(["1", "2", "3.5"]))
    open_values["train.epochs"] = draw(some(["1", "7"]))
    open_values["train.aggregate"] = draw(some(["sum", "mean"]))
    return open_values


def written(values: dict[str, str]) -> str:
    """The text with a value at each place."""
    lines = [f"let T = {values['let.T']}", "graph g {", "node a = resnet8"]
    lines += [f"node {name} = {values[f'node.{name}']}" for name in "bc"]
    lines += ["target a", "edge label -> a", "edge b -> a : kl(T=T)", "edge c -> b : kl(T=T)"]
    for name, gate in values.items():
        if name.startswith("edge.") and name.endswith(".gate"):
            ends = name.removeprefix("edge.").removesuffix(".gate")
            loss = values.get(f"edge.{ends}.loss")
            term = gate if loss is None else f"{loss} via {gate}"
            source, destination = ends.split("->")
            colon = "via" if loss is None else ":"
            lines.append(f"edge {source} -> {destination} {colon} {term}")
    lines += ["}", f"train {{ epochs = {values['train.epochs']}",
              f"aggregate = {values['train.aggregate']} }}"]  # fmt: skip
    return "\n".join(lines)


@settings(max_examples=20, deadline=None)
@given(spaces(), st.randoms(use_true_random=False))
def test_a_point_is_the_spec_with_its_values_written_in(
    options: dict[str, list[str]], random: Random
) -> None:
    choice = {name: " | ".join(f"({each})" for each in some) for name, some in options.items()}
    plan = sound(written(choice))
    for _ in range(5):
        picked = {name: random.randrange(len(some)) for name, some in options.items()}
        spec = sound(written({name: options[name][index] for name, index in picked.items()}))
        if plan.space is None:
            assert plan == spec
            continue
        chosen = {name: index for name, index in picked.items() if name in draws(plan)}
        assert same(plan_at(plan, chosen), spec)
        assert {name for name, some in options.items() if len(some) > 1} >= set(draws(plan))


def test_every_point_of_a_space_is_its_spec() -> None:
    """All of them, with nested choices, further terms, integers, and what cuts a node off."""
    text = """
        let T = 1 | 2
        graph g {{
            node a, b = resnet8
            node c[{count}] = resnet8
            target a
            edge label -> *
            edge b -> a : kl(T={T}) | {js} via linear | {product}, mse via 0.5 | cutoff
            edge c -> b via {cut}
        }}
    """
    plan = sound(
        text.format(count="1 .. 2", T="T", js="js(T=T)", product="0.5 * (correct | through)",
                    cut="through")
    )  # fmt: skip
    assert names(plan) == ["node.c.count", "edge.b->a.loss", "let.T", "edge.b->a.gate",
                           "edge.b->a.gate.1", "edge.b->a.gate.2"]  # fmt: skip
    count = 0
    for chosen in points(plan):
        T = (1, 2)[int(chosen["let.T"])]
        loss = (f"kl(T={T})", f"js(T={T})")[int(chosen["edge.b->a.loss"])]
        inner = ("correct", "through")[int(chosen["edge.b->a.gate.1"])]
        gate = ("linear", f"0.5 * {inner}")[int(chosen["edge.b->a.gate"])]
        further = ("0.5", "cutoff")[int(chosen["edge.b->a.gate.2"])]
        body = f"""
            node a, b = resnet8
            node c[{int(chosen["node.c.count"])}] = resnet8
            target a
            edge label -> *
            edge b -> a : {loss} via {gate}, mse via {further}
            edge c -> b
        """
        assert same(plan_at(plan, chosen), closed(body))
        count += 1
    assert count == 2**6
