"""Lowering: what a spec means, from the language reference, statement by statement."""

import hashlib
from pathlib import Path

import pytest

from ktgdsl.plan.model import Call, Constant, Node
from tests.specs import codes, compiled, edge, graph, of, pairs, said, sound, text_of

SPECS = Path(__file__).parents[1] / "specs"
KL = "kl(T=1, scale=1)"
CE = "ce(smoothing=0)"


def terms(body: str, source: str, destination: str) -> str:
    return text_of(edge(of(body), source, destination))


def gate(written: str, source: str = "b") -> str:
    """A gate on an edge, folded and printed."""
    body = f"node a, b = resnet8 target a edge label -> b edge {source} -> a via {written}"
    return str(edge(of(body), source, "a").terms[0].gate)


def loss(written: str, source: str = "b") -> str:
    body = f"node a, b = resnet8 target a edge label -> b edge {source} -> a : {written}"
    return " + ".join(str(part) for part in edge(of(body), source, "a").terms[0].parts)


class TestFreezing:
    """The table of the reference, row by row."""

    def node(self, body: str, name: str = "t") -> Node:
        base = "node a = resnet8 target a edge label -> a edge t -> a"
        return of(f"{base} {body}").graph.node(name)

    def test_no_live_incoming_edge(self) -> None:
        node = self.node("node t = resnet8")
        assert node.frozen == "no live edge enters it"
        assert (node.learns, node.pretrained) == (False, True)

    def test_an_edge_that_folds_to_cutoff_is_not_live(self) -> None:
        node = self.node("node t = resnet8 edge label -> t via 0 * correct * linear")
        assert node.frozen == "no live edge enters it"

    def test_frozen_by_its_setting(self) -> None:
        node = self.node("node t = resnet8 { frozen = true }")
        assert node.frozen == "frozen = true"
        assert node.pretrained

    def test_a_live_edge_makes_it_learn(self) -> None:
        node = self.node("node t = resnet8 edge label -> t via 0.001")
        assert node.frozen is None
        assert (node.learns, node.pretrained) == (True, False)

    def test_batch_norm_mode(self) -> None:
        assert self.node("node t = resnet8").mode == "eval"
        assert self.node("node t = resnet8 { mode = train }").mode == "train"

    def test_an_edge_into_a_frozen_node_by_name(self) -> None:
        body = "node t = resnet8 { frozen = true } node a = resnet8 target a edge label -> a, t"
        assert codes(graph(body)) == ["E403"]

    def test_a_cut_edge_into_a_frozen_node_is_no_edge(self) -> None:
        assert self.node("node t = resnet8 { frozen = true } edge a -> t via cutoff").frozen

    def test_a_star_skips_frozen_nodes_as_destinations_only(self) -> None:
        plan = of("node a, b = resnet8 node t = resnet8 { frozen = true } target a edge * -> *")
        assert pairs(plan) == ["a -> b", "b -> a", "t -> a", "t -> b"]

    @pytest.mark.parametrize("into", ["", "edge label -> a via 0", "edge b -> a via cutoff"])
    def test_a_target_that_learns_nothing(self, into: str) -> None:
        assert codes(graph(f"node a, b = resnet8 target a edge a -> b {into}")) == ["E402"]

    def test_only_targets_that_learn_nothing_are_named(self) -> None:
        found = said(graph("node a, b = resnet8 target a, b edge label -> a"))
        assert found == ["E402 the target `b` learns nothing: no live edge enters it"]

    def test_a_warning_about_drops_waits_for_the_target(self) -> None:
        assert codes(graph("node a, b = resnet8 target a edge label -> b")) == ["E402"]


class TestDropping:
    def test_a_chain_stays_as_far_as_it_leads_to_the_target(self) -> None:
        plan = of(
            "node a, b, c, d = resnet8 target a edge label -> a, b edge c -> b edge b -> a "
            "edge a -> d"
        )
        assert [node.name for node in plan.graph.nodes] == ["a", "b", "c"]
        assert [(d.kind, d.name, d.reason) for d in plan.graph.dropped] == [
            ("node", "d", "no path of live edges leads from it to a target"),
            ("edge", "a -> d", "`d` is dropped"),
        ]

    def test_a_cut_edge_leads_nowhere(self) -> None:
        result = compiled(graph("node a, b = resnet8 target a edge label -> * edge b -> a via 0"))
        assert result.plan is not None
        assert pairs(result.plan) == ["label -> a"]
        assert [(d.name, d.reason) for d in result.plan.graph.dropped] == [
            ("b -> a", "its gate is cutoff"),
            ("b", "no path of live edges leads from it to a target"),
            ("label -> b", "`b` is dropped"),
        ]
        assert [(d.code, d.severity) for d in result.diagnostics] == [("W101", "warning")]

    def test_kept(self) -> None:
        text = "node a = resnet8 node b = resnet8 { keep = true } node c = resnet8 target a"
        plan = of(f"{text} edge label -> * edge c -> b")
        assert [node.name for node in plan.graph.nodes] == ["a", "b", "c"]
        assert [node.keep for node in plan.graph.nodes] == [False, True, False]
        assert plan.graph.dropped == ()

    def test_several_targets(self) -> None:
        plan = of("node a, b, c = resnet8 target c, a edge label -> *")
        assert plan.graph.targets == ("c", "a")
        assert [node.name for node in plan.graph.nodes] == ["a", "c"]

    def test_a_circle_without_a_way_out(self) -> None:
        plan = of("node a, b, c = resnet8 target a edge label -> a edge b <-> c edge a -> b")
        assert [node.name for node in plan.graph.nodes] == ["a"]

    def test_a_frozen_node_beside_the_graph(self) -> None:
        plan = of("node a, b = resnet8 target a edge label -> a")
        assert [(d.kind, d.name) for d in plan.graph.dropped] == [("node", "b")]


class TestPairs:
    @pytest.mark.parametrize(
        ("written", "expected"),
        [
            ("edge label -> *", ["label -> a", "label -> b", "label -> c"]),
            ("edge a -> *", ["a -> b", "a -> c"]),
            ("edge * -> a", ["b -> a", "c -> a"]),
            ("edge a, b -> b, c", ["a -> b", "a -> c", "b -> c"]),
            ("edge [a, b] -> [c]", ["a -> c", "b -> c"]),
            ("edge label, b -> a", ["label -> a", "b -> a"]),
            ("edge a <-> b, c", ["a -> b", "a -> c", "b -> a", "c -> a"]),
            ("edge a, * -> c", ["a -> c", "b -> c"]),
            ("edge a.logits -> b", ["a -> b"]),
        ],
    )
    def test_product(self, written: str, expected: list[str]) -> None:
        keep = "{ keep = true }"
        body = f"node a, b, c = resnet8 {keep} target a, b, c"
        plan = compiled(graph(f"{body} {written} edge label -> *")).plan
        if plan is None:  # `edge label -> *` would replace what is named: leave it out
            plan = of(f"node a, b, c = resnet8 {keep} target a {written}")
        assert [pair for pair in pairs(plan) if pair in expected] == expected
        extra = {"label -> a", "label -> b", "label -> c"}
        assert set(pairs(plan)) - extra == set(expected) - extra

    def test_arrays(self) -> None:
        plan = of("node p[3] = resnet8 node a = wrn10_2 target a, p[1] edge label -> * edge p -> a")
        assert [node.name for node in plan.graph.nodes] == ["p[0]", "p[1]", "p[2]", "a"]
        assert plan.graph.targets == ("a", "p[1]")
        assert pairs(plan)[4:] == ["p[0] -> a", "p[1] -> a", "p[2] -> a"]

    def test_parts_of_arrays(self) -> None:
        plan = of("node p[3] = resnet8 target p edge p -> p[*] edge p[2] -> p[0] : mse")
        found = {edge.key: str(edge.terms[0].parts[0].loss.name) for edge in plan.graph.edges}
        names = ["p[0]", "p[1]", "p[2]"]
        expected = {(s, d): "kl" for s in names for d in names if s != d}
        assert found == {**expected, ("p[2]", "p[0]"): "mse"}
        assert plan.graph.targets == ("p[0]", "p[1]", "p[2]")

    def test_an_array_is_a_pattern_and_one_of_its_nodes_a_name(self) -> None:
        body = "node p[2] = resnet8 target p edge label -> *"
        assert codes(graph(f"{body} edge p[0] -> p[1] edge p -> p")) == ["E404"]
        assert codes(graph(f"{body} edge p -> p edge p[0] -> p[1]")) == []

    def test_the_size_of_an_array_is_a_value(self) -> None:
        plan = sound("let n = 2\ngraph g { node p[n * 2] = resnet8 target p edge label -> p }")
        assert len(plan.graph.nodes) == 4


class TestReplacing:
    body = "node a, b, c = resnet8 target a edge label -> * : ce via 0.5"

    def test_an_exception_replaces_the_rule_as_a_whole(self) -> None:
        body = f"{self.body} edge * -> a : kl via 0.5, mse via linear edge b -> a via correct"
        assert terms(body, "b", "a") == f"{KL} via correct"
        assert (
            terms(body, "c", "a") == f'{KL} via 0.5, mse(on="logits") via linear(start=0, stop=1)'
        )

    def test_a_rule_replaces_a_rule(self) -> None:
        assert codes(graph(f"{self.body} edge * -> * edge * -> * : mse edge label -> *")) == []
        assert terms(f"{self.body} edge * -> * edge * -> a : js edge label -> *", "label", "a") == (
            f"{CE} via through"
        )

    def test_an_edge_keeps_the_place_of_its_first_mention(self) -> None:
        body = f"{self.body} edge * -> a edge label -> a : ce"
        assert pairs(of(body))[0] == "label -> a"

    def test_a_rule_after_its_exception(self) -> None:
        assert codes(graph(f"{self.body} edge b -> a edge * -> a")) == ["E404"]

    def test_a_name_after_a_name(self) -> None:
        result = compiled(graph(f"{self.body} edge b -> a, c edge b <-> a : mse edge c -> b"))
        assert [d.code for d in result.diagnostics] == ["W102"]
        assert result.plan is not None
        assert edge(result.plan, "b", "a").terms[0].parts[0].loss.name == "mse"

    def test_one_statement_does_not_replace_itself(self) -> None:
        assert codes(graph(f"{self.body} edge b, b -> a edge a <-> c edge c -> b")) == []

    def test_a_replaced_edge_that_was_cut(self) -> None:
        plan = of(f"{self.body} edge * -> a via cutoff edge b -> a via through")
        assert "b -> a" in pairs(plan)
        assert "c -> a" not in pairs(plan)


class TestGates:
    @pytest.mark.parametrize(
        ("written", "folded"),
        [
            ("through", "through"),
            ("1", "through"),
            ("0.5", "0.5"),
            ("correct", "correct"),
            ("linear", "linear(start=0, stop=1)"),
            ("linear(1, 0)", "linear(start=1, stop=0)"),
            ("cosine(0, 2)", "cosine(start=0, stop=2)"),
            ("until(60%)", "until(moment=60%)"),
            ("after(5)", "after(moment=5)"),
            ("rampup(80)", "rampup(length=80)"),
            ("through * correct", "correct"),
            ("2 * correct * 3 * linear", "6 * correct * linear(start=0, stop=1)"),
            ("correct * (linear * 2)", "2 * correct * linear(start=0, stop=1)"),
            ("1 - correct", "1 - correct"),
            ("correct + 0.25 + linear * 0 + 0.25", "0.5 + correct"),
            ("correct / 4", "0.25 * correct"),
            ("0.5 * (1 - correct)", "0.5 * (1 - correct)"),
            ("2 - 0.5 * correct - linear", "2 - 0.5 * correct - linear(start=0, stop=1)"),
            ("linear(3, 3)", "3"),
            ("linear(1, 1)", "through"),
            ("until(100%)", "through"),
            ("after(0)", "through"),
            ("after(0%)", "through"),
            (
                "0.3 - 0.2 * correct - 0.1 * linear",
                "0.3 - 0.2 * correct - 0.1 * linear(start=0, stop=1)",
            ),
            ("-(-correct)", "correct"),
        ],
    )
    def test_folded(self, written: str, folded: str) -> None:
        assert gate(written) == folded

    @pytest.mark.parametrize(
        "written",
        [
            "cutoff",
            "0",
            "0 * correct",
            "correct * cutoff",
            "linear(0, 0)",
            "until(0%)",
            "until(0)",
            "after(100%)",
            "correct * 0 + cutoff",
            "0.3 - 0.2 - 0.1",
            "(1 - through) * linear",
        ],
    )
    def test_folded_to_nothing(self, written: str) -> None:
        plan = of(f"node a, b = resnet8 target a edge label -> * edge b -> a via {written}")
        assert "b -> a" not in pairs(plan)

    def test_correct_from_the_labels_is_through(self) -> None:
        assert gate("correct", "label") == "through"
        assert gate("0.5 * correct * linear", "label") == "0.5 * linear(start=0, stop=1)"
        assert gate("1 - correct + 0.25", "label") == "0.25"

    def test_only_predicates_differ_from_sample_to_sample(self) -> None:
        body = "node a, b = resnet8 target a edge label -> b"
        plan = of(f"{body} edge b -> a via correct edge label -> a via linear")
        by_pair = {e.key: e.terms[0].gate for e in plan.graph.edges}
        assert getattr(by_pair["b", "a"], "per_sample", None) is True
        assert getattr(by_pair["label", "a"], "per_sample", None) is False

    @pytest.mark.parametrize(
        "written",
        [
            "correct - linear",
            "-0.5",
            "0.5 - linear",
            "linear - 0.1",
            "-correct",
            "1 - 2 * correct",
            "(correct - 1) * linear",
            "cosine(0, 2) - 1",
        ],
    )
    def test_could_be_negative(self, written: str) -> None:
        body = f"node a, b = resnet8 target a edge label -> b edge b -> a via {written}"
        assert codes(graph(body)) == ["E304"]

    @pytest.mark.parametrize("written", ["(1 - correct) * (1 - linear)", "(-correct) * (-linear)"])
    def test_never_negative(self, written: str) -> None:
        assert gate(written)

    def test_a_term_without_a_gate_vanishes_alone(self) -> None:
        body = "node a, b = resnet8 target a edge label -> * edge b -> a : kl via 0, mse, js via 0"
        assert terms(body, "b", "a") == 'mse(on="logits") via through'


class TestLosses:
    @pytest.mark.parametrize(
        ("written", "expected"),
        [
            ("kl", KL),
            ("kl(T=4)", "kl(T=4, scale=16)"),
            ("kl(T=4, scale=1)", "kl(T=4, scale=1)"),
            ("kl(4)", "kl(T=4, scale=16)"),
            ("reverse_kl(T=2)", "reverse_kl(T=2, scale=4)"),
            ("js(0.5)", "js(T=0.5, scale=0.25)"),
            ("mse", 'mse(on="logits")'),
            ("mse(on=probabilities)", 'mse(on="probabilities")'),
            ("cosine_distance", "cosine_distance"),
            ("0.5 * kl", f"0.5 * {KL}"),
            ("kl * 0.5 * 4", f"2 * {KL}"),
            ("kl / 4", f"0.25 * {KL}"),
            ("-kl", f"-1 * {KL}"),
            ("kl - 0.5 * mse", f'{KL} + -0.5 * mse(on="logits")'),
            ("0.9 * (kl + 2 * js)", f"0.9 * {KL} + 1.8 * js(T=1, scale=1)"),
            ("kl + kl(T=2) + kl", f"2 * {KL} + kl(T=2, scale=4)"),
        ],
    )
    def test_combination(self, written: str, expected: str) -> None:
        assert loss(written) == expected

    @pytest.mark.parametrize("written", ["ce(smoothing=0.1)", "kl", "mse(on=probabilities)"])
    def test_from_the_labels(self, written: str) -> None:
        assert loss(written, "label").startswith(written.split("(")[0])

    def test_defaults(self) -> None:
        body = "node a, b = resnet8 target a edge label, b -> a edge label -> b via 0.5"
        assert terms(body, "label", "a") == f"{CE} via through"
        assert terms(body, "label", "b") == f"{CE} via 0.5"
        assert terms(body, "b", "a") == f"{KL} via through"


class TestAggregate:
    body = "node a, b, c, d = resnet8 target a edge label -> * edge * -> a"

    def test_sum_leaves_all_as_they_are(self) -> None:
        assert {e.scale for e in of(self.body).graph.edges} == {1.0}

    def test_mean_divides_the_transfer_by_its_live_sources(self) -> None:
        plan = of(f"{self.body} edge d -> a via cutoff edge b <-> c", "train { aggregate = mean }")
        scales = {e.key: e.scale for e in plan.graph.edges}
        assert scales == {
            ("label", "a"): 1.0,
            ("label", "b"): 1.0,
            ("label", "c"): 1.0,
            ("b", "a"): 0.5,
            ("c", "a"): 0.5,
            ("b", "c"): 1.0,
            ("c", "b"): 1.0,
        }


class TestLets:
    @pytest.mark.parametrize("each", ["let", "let each"])
    @pytest.mark.parametrize(
        ("value", "body", "more"),
        [
            ("wrn10_1", "node a = x target a edge label -> a", ""),
            ("true", "node a = resnet8 { keep = x } target a edge label -> a", ""),
            ("train", "node a = resnet8 { mode = x } target a edge label -> a", ""),
            ("sgd(lr=1)", "node a = resnet8 { optimizer = x } target a edge label -> a", ""),
            ("ce(smoothing=0.1)", "node a = resnet8 target a edge label -> a : x", ""),
            ("0.5 * ce", "node a = resnet8 target a edge label -> a : 2 * x", ""),
            ("linear", "node a = resnet8 target a edge label -> a via x * x", ""),
            ("0.5", "node a = resnet8 target a edge label -> a : ce via x", ""),
            ("0.5", "node a = resnet8 target a edge label -> a : ce(smoothing=x / 2)", ""),
            ("2", "node a[x] = resnet8 target a edge label -> a", ""),
            ("14", "node a = resnet(x) target a edge label -> a", ""),
            ("digits", "node a = resnet8 target a edge label -> a", "data x"),
            ("30%", "node a = resnet8 target a edge label -> a", "data digits { validation = x }"),
            ("3", "node a = resnet8 target a edge label -> a", "train { epochs = x + 1 }"),
            ("mean", "node a = resnet8 target a edge label -> a", "train { aggregate = x }"),
            ("cosine", "node a = resnet8 target a edge label -> a", "train { schedule = x }"),
            ("20%", "node a = resnet8 target a edge label -> a",
             "train { schedule = step(every=x) }"),
            ("[1, 2]", "node a = resnet8 target a edge label -> a",
             "train { schedule = multistep(at=x) }"),
            ("7", "node a = resnet8 target a edge label -> a",
             "train { schedule = multistep(at=[x, 8]) }"),
        ],
    )  # fmt: skip
    def test_stands_for_its_value_everywhere(
        self, each: str, value: str, body: str, more: str
    ) -> None:
        named = sound(f"{each} x = y\n{each} y = {value}\n{graph(body, more)}")
        group = f"({value})" if " " in value and "[" not in value else value
        plain = sound(graph(body.replace(" x", f" {group}").replace("=x", f"={group}")
                            .replace("[x", f"[{group}").replace("(x", f"({group}"),
                            more.replace(" x", f" {group}").replace("=x", f"={group}")
                            .replace("[x", f"[{group}")))  # fmt: skip
        assert named == plain
        assert "x" not in named.to_json().replace("expected", "").split('"')


class TestSettings:
    def test_arithmetic(self) -> None:
        plan = of(
            "node a = resnet8 target a edge label -> a",
            """
            let base = 0.1
            train {
                epochs = 40 / 2 - 3 * 4
                optimizer = sgd(lr=base / 4 * 2, momentum=1 - base)
                seed = 7 / 7
            }
            data digits { batch = 2 * (3 + 5) }
            """,
        )
        assert (plan.train.epochs, plan.train.seed, plan.data.batch) == (8, 1, 16)
        assert plan.train.optimizer.arguments["lr"] == 0.05
        assert plan.train.optimizer.arguments["momentum"] == 0.9

    @pytest.mark.parametrize(
        ("written", "size"),
        [("100", 100), ("20%", 259), ("12.5%", 162), ("1296", 1296), ("1", 1), ("0.1%", 1)],
    )
    def test_validation(self, written: str, size: int) -> None:
        more = f"data digits {{ validation = {written} }}"
        assert of("node a = resnet8 target a edge label -> a", more).data.validation == size

    @pytest.mark.parametrize("written", ["0", "1297", "0%", "100%", "0.01%", "-5", "2.5", "true"])
    def test_validation_that_leaves_nothing(self, written: str) -> None:
        more = f"data digits {{ validation = {written} }}"
        found = codes(graph("node a = resnet8 target a edge label -> a", more))
        assert found in (["E302"], ["E301"])

    def test_a_number_is_epochs_and_a_percentage_a_share(self) -> None:
        more = "train { schedule = multistep(at=[10, 60%], warmup=2.5) }"
        schedule = of("node a = resnet8 target a edge label -> a", more).train.schedule
        assert schedule == Call(
            name="multistep",
            arguments={"at": [10.0, {"percent": 60.0}], "gamma": 0.1, "warmup": 2.5},
        )

    def test_every_default_is_written_out(self) -> None:
        plan = of("node a = resnet8 target a edge label -> a")
        assert plan.data.model_dump() == {
            "source": {"name": "digits", "arguments": {}},
            "classes": 10,
            "shape": (1, 8, 8),
            "train_samples": 1297,
            "test_samples": 500,
            "batch": 64,
            "validation": 259,  # 20 % of 1,297
            "holdout": False,
            "augment": "none",
        }
        sgd = {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 5e-4}
        step = {"every": {"percent": 30.0}, "gamma": 0.1, "warmup": 0.0}
        assert plan.train.model_dump() == {
            "epochs": 20,
            "optimizer": {"name": "sgd", "arguments": sgd},
            "schedule": {"name": "step", "arguments": step},
            "precision": "fp32",
            "compile": "off",
            "seed": 0,
            "repeats": 1,
            "update": "simultaneous",
            "aggregate": "sum",
            "reduce": "mean",
            "clip": None,
            "checkpoint": 1,
        }
        (node,) = plan.graph.nodes
        assert node.network == Call(name="resnet", arguments={"depth": 8})
        assert (node.optimizer, node.schedule) == (plan.train.optimizer, plan.train.schedule)

    def test_empty_blocks_say_the_same_as_none(self) -> None:
        body = "node a = resnet8 target a edge label -> a"
        assert of(body, "data digits train { }") == of(body)

    def test_a_nodes_own_optimizer_and_schedule_win(self) -> None:
        body = "node a, b = resnet8 node c = resnet8 { optimizer = adamw  schedule = constant }"
        plan = of(f"{body} target a edge * -> *", "train { optimizer = sgd(lr=1) }")
        names = [(n.optimizer.name, n.schedule.name) for n in plan.graph.nodes]
        assert names == [("sgd", "step"), ("sgd", "step"), ("adamw", "constant")]

    def test_networks(self) -> None:
        plan = of(
            "node a = wrn(16, 2, dropout=0.3) node b = wrn16_2 node c = resnet(depth=14) "
            'node d = python("nets.small:make", width=8, act="relu", at=[10%, 2]) '
            "target a, b, c, d edge label -> *"
        )
        assert [str(node.network) for node in plan.graph.nodes] == [
            "wrn(depth=16, widen=2, dropout=0.3)",
            "wrn(depth=16, widen=2, dropout=0)",
            "resnet(depth=14)",
            'python(factory="nets.small:make", width=8, act="relu", at=[10%, 2])',
        ]


class TestWeights:
    body = 'node a = resnet8 {{ weights = "{path}" }} target a edge label -> a'

    def said(self, path: str, folder: Path) -> list[str]:
        return said(graph(self.body.format(path=path)), folder=folder)

    def test_known_by_their_content(self, tmp_path: Path) -> None:
        (tmp_path / "pyproject.toml").touch()
        own = tmp_path / "specs"
        own.mkdir()
        digests = []
        for name, content in (("t", b"one"), ("u", b"one"), ("t", b"two")):
            (tmp_path / name).write_bytes(content)
            plan = compiled(graph(self.body.format(path=f"../{name}")), folder=own).plan
            assert plan is not None
            weights = plan.graph.node("a").weights
            assert weights is not None
            assert weights.sha256 == hashlib.sha256(content).hexdigest()
            assert (weights.path, weights.file) == (f"../{name}", str(tmp_path / name))
            digests.append(plan.digest)
        assert digests[0] == digests[1] != digests[2]

    def test_a_frozen_node_with_weights_is_not_pretrained(self, tmp_path: Path) -> None:
        (tmp_path / "t").write_bytes(b"one")
        body = 'node a = resnet8 node t = resnet8 { weights = "t" } target a edge label, t -> a'
        plan = compiled(graph(body), folder=tmp_path).plan
        assert plan is not None
        assert not plan.graph.node("t").pretrained

    def test_missing(self, tmp_path: Path) -> None:
        assert self.said("t", tmp_path) == ['E406 there is no file "t" with weights']
        assert self.said("", tmp_path) == ['E406 there is no file "" with weights']

    @pytest.mark.parametrize("path", ["../t", "/etc/hostname", "inside/../../t", "link"])
    def test_outside_of_the_tree(self, path: str, tmp_path: Path) -> None:
        own = tmp_path / "own"
        own.mkdir()
        (tmp_path / "t").touch()
        (own / "link").symlink_to(tmp_path / "t")
        assert self.said(path, own) == [
            f'E406 the weights "{path}" lie outside of the folder tree of the spec'
        ]

    @pytest.mark.parametrize("path", ["x" * 5000, "a\0b"])
    def test_no_path_at_all(self, path: str, tmp_path: Path) -> None:
        (found,) = self.said(path, tmp_path)
        assert found.startswith("E406 ")

    def test_told_once_for_an_array(self, tmp_path: Path) -> None:
        body = 'node p[3] = resnet8 { weights = "t" } target p edge label -> p'
        assert len(said(graph(body), folder=tmp_path)) == 1


class TestLimits:
    def test_256_nodes_and_all_their_edges(self) -> None:
        plan = of("node p[256] = resnet8 target p edge label -> * edge * -> *")
        assert (len(plan.graph.nodes), len(plan.graph.edges)) == (256, 65_536)

    @pytest.mark.parametrize("nodes", ["p[257]", "p[256], q", "p[200], q[56], r"])
    def test_one_node_more(self, nodes: str) -> None:
        found = codes(graph(f"node {nodes} = resnet8 target p edge label -> * edge p -> p"))
        assert found in (["E003"], ["E302"])  # E302: one array alone is too large

    def test_a_thousand_nodes_are_told_once(self) -> None:
        names = ", ".join(f"n{i}" for i in range(1000))
        assert codes(graph(f"node {names} = resnet8 target n0 edge * -> * edge n999 -> n1")) == [
            "E003"
        ]

    def test_the_same_edges_over_and_over(self) -> None:
        body = "node p[256] = resnet8 target p" + " edge * -> *" * 10_000
        assert codes(graph(body)) == ["E003"]
        stars = ", ".join("*" * 10_000)
        assert codes(graph(f"node p[256] = resnet8 target p edge {stars} -> *")) == ["E003"]


class TestShippedSpecs:
    """What their comments say."""

    def plan_of(self, name: str) -> list[str]:
        result = compiled((SPECS / f"{name}.ktg").read_text(encoding="utf-8"))
        assert result.plan is not None
        assert result.diagnostics == ()
        plan = result.plan
        assert plan.graph.name == name
        return [
            f"{pair} {text_of(e)}" for pair, e in zip(pairs(plan), plan.graph.edges, strict=True)
        ]

    def test_dml3(self) -> None:
        assert self.plan_of("dml3") == [
            *(f"label -> {n} {CE} via through" for n in "abc"),
            *(f"{s} -> {d} {KL} via through" for s in "abc" for d in "abc" if s != d),
        ]
        plan = sound((SPECS / "dml3.ktg").read_text(encoding="utf-8"))
        assert {e.scale for e in plan.graph.edges if not e.from_label} == {0.5}

    def test_vanilla(self) -> None:
        assert self.plan_of("vanilla") == [f"label -> a {CE} via through"]

    def test_kd(self) -> None:
        assert self.plan_of("kd") == [
            f"label -> student {CE} via 0.1",
            "teacher -> student kl(T=4, scale=16) via 0.9",
        ]
        plan = sound((SPECS / "kd.ktg").read_text(encoding="utf-8"))
        assert plan.graph.node("teacher").pretrained

    def test_gates(self) -> None:
        linear = "linear(start=0, stop=1)"
        assert self.plan_of("gates") == [
            *(f"label -> {n} {CE} via through" for n in "abc"),
            f"b -> a {KL} via correct",
            f"c -> a {KL} via {linear}",
            f"a -> b {KL} via 0.5 * correct * {linear}",
            f"c -> b {KL} via 0.5 * correct * {linear}",
        ]
        plan = sound((SPECS / "gates.ktg").read_text(encoding="utf-8"))
        assert [(d.kind, d.name) for d in plan.graph.dropped] == [("edge", "b -> c")]


def test_constants_are_floats() -> None:
    plan = of("node a = resnet8 target a edge label -> a via 2")
    assert edge(plan, "label", "a").terms[0].gate == Constant(value=2.0)
