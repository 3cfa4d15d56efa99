"""Settings, `let`s and files of weights: what reaches the plan, defaults written out."""

import hashlib
import re
from pathlib import Path
from typing import Any

import pytest

from ktgdsl.lowering import weight_files
from ktgdsl.plan.model import Call, Plan
from ktgdsl.space.size import size
from ktgdsl.space.unparse_plan import unparse_plan
from tests.specs import codes, compiled, graph, of, said, sound


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
        plain = sound(re.sub(r"\bx\b", group, graph(body, more)))
        assert named == plain


class TestLetsThatCannotBeUsed:
    def test_defined_by_itself(self) -> None:
        body = graph("node a = resnet8 target a edge label -> a via x")
        assert said(f"let x = 2 * y\nlet y = x\nlet z = x\n{body}") == [
            "E306 `x` is defined by itself through `y`",
            "E306 `y` is defined by itself through `x`",
        ]

    def test_through_many(self) -> None:
        lets = "\n".join(f"let x{i} = x{(i + 1) % 9}" for i in range(9))
        found = said(f"{lets}\n{graph('node a = resnet8 target a edge label -> a')}")
        assert (
            found[0] == "E306 `x0` is defined by itself through `x1` and `x2` and `x3` and 5 more"
        )

    @pytest.mark.parametrize("start", ["1", "linear"])
    def test_too_deep(self, start: str) -> None:
        lets = "\n".join(f"let x{i + 1} = 1 + x{i}" for i in range(100))
        body = graph("node a = resnet8 target a edge label -> a via x100")
        assert codes(f"let x0 = {start}\n{lets}\n{body}")[0] == "E003"
        shallow = graph("node a = resnet8 target a edge label -> a via x64")
        assert "E003" not in codes(f"let x0 = {start}\n{lets.partition('let x65')[0]}\n{shallow}")

    def test_twice_as_large_each_time(self) -> None:
        lets = "\n".join(f"let x{i + 1} = x{i} + x{i}" for i in range(60))
        body = graph("node a = resnet8 target a edge label -> a", "train { epochs = x60 }")
        (first, *_) = said(f"let x0 = 1\n{lets}\n{body}")
        assert first == "E003 `x12`, with what it mentions, has more than 4096 parts"

    def test_a_long_chain_is_no_large_one(self) -> None:
        lets = "\n".join(f"let x{i + 1} = x{i}" for i in range(2000))
        text = f"let x0 = 7\n{lets}\n{graph('node a = resnet8 target a edge label -> a')}"
        assert sound(f"{text} train {{ epochs = x2000 }}").train.epochs == 7


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
            "facts": {
                "classes": 10,
                "shape": (1, 8, 8),
                "train_samples": 1297,
                "test_samples": 500,
                "train_labeled": None,
                "masks": False,
                "classes_by_label": (),
            },
            "batch": 64,
            "samples": None,
            "validation": 259,  # 20 % of 1,297
            "holdout": False,
            "augment": "none",
            "resize": None,
            "crop": None,
            "mean": None,
            "std": None,
            "root": None,
            "classes_expected": None,
            "labeled": None,
            "labeled_batch": None,
            "views": 1,
            "workers": 0,
            "drop_last": True,
            "evaluation_batch": None,
            "labels": (),
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
            "on_zero": "step",
            "clip": None,
            "sync_bn": False,
            "take": "last",
            "stop": None,
            "metrics": (),
            "checkpoint": 1,
        }
        (node,) = plan.graph.nodes
        assert node.network == Call(name="resnet", arguments={"depth": 8, "stride": 1})
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
            "node a = wrn(16, 2, dropout=0.3) node b = wrn16_2 node c = resnet(14, stride=2) "
            'node d = python("nets.small:make", width=8, act="relu", at=[10%, 2]) '
            "target a, b, c, d edge label -> *"
        )
        assert [str(node.network) for node in plan.graph.nodes] == [
            "wrn(depth=16, widen=2, dropout=0.3, stride=1)",
            "wrn(depth=16, widen=2, dropout=0, stride=1)",
            "resnet(depth=14, stride=2)",
            'python("nets.small:make", width=8, act="relu", at=[10%, 2])',
        ]


class TestJudges:
    """That the validation split has no more labels than there are to learn from."""

    BODY = "node a = resnet8 target a edge label -> a"

    @pytest.mark.parametrize(
        ("data", "more", "held"),
        [
            ("", "search { trials = 2 }", 259),
            ("holdout = true", "", 259),
            ("holdout = true validation = 4%", "", 52),
            ("holdout = true samples = 300", "", 60),
        ],
    )
    def test_a_share_of_all_samples_is_asked_about(self, data: str, more: str, held: int) -> None:
        assert said(graph(self.BODY, f"data digits {{ labeled = 50 {data} }} {more}"))[:1] == [
            f"W108 `labeled` leaves 50 labels to learn from, and the validation split has {held} "
            "others"
        ]

    @pytest.mark.parametrize(
        "data",
        ["", "holdout = true validation = 259", "holdout = true validation = 3%"],
    )
    def test_a_number_is_meant_and_fewer_are_fine(self, data: str) -> None:
        assert said(graph(self.BODY, f"data digits {{ labeled = 50 {data} }}")) == []


class TestLabeledBatch:
    """That each batch can have samples with a label and without."""

    BATCH = "samples = 100 labeled = 85 labeled_batch = 8"

    @pytest.mark.parametrize(
        ("gate", "data", "more"),
        [
            ("", "holdout = true", ""),
            ("", "", "search { trials = 2 }"),
            ("via 1 | 2", "", ""),
        ],
    )
    def test_what_is_held_out_leaves_none_without(self, gate: str, data: str, more: str) -> None:
        body = f"node a = resnet8 target a edge label -> a {gate}"
        assert said(graph(body, f"data digits {{ {self.BATCH} {data} }} {more}")) == [
            "E302 `labeled_batch` fills a batch with samples without a label, and all 80 to learn "
            "from have one"
        ]

    def test_that_is_fine_where_none_are_held_out(self) -> None:
        body = "node a = resnet8 target a edge label -> a"
        plan = of(body, f"data digits {{ {self.BATCH} batch = 12 }}")
        assert (plan.data.samples_per_pass, plan.data.steps_per_epoch) == (15, 3)
        assert plan.data.batch_sizes == (12, 0)

    def test_the_labels_of_ones_own_data_are_not_known_yet(self) -> None:
        body = "node a = resnet8 target a edge label -> a"
        assert of(body, 'data python("m:f") { labeled_batch = 4 }').data.labeled_batch == 4


class TestPretrain:
    body = "node s = resnet8 node t = resnet14 {} target s edge label, t -> s"

    def plan(self, blocks: str, teacher: str = "") -> Plan:
        plan = compiled(f"{graph(self.body.format(teacher))} train {{ epochs = 5 }} {blocks}").plan
        assert plan is not None
        return plan

    def test_it_completes_what_it_says_from_train(self) -> None:
        plan = self.plan("pretrain { epochs = 40 optimizer = adamw(lr=0.01) clip = 2 }")
        assert plan.pretrain is not None
        assert (plan.pretraining_epochs, plan.train.epochs) == (40, 5)
        assert plan.pretrain.schedule == plan.train.schedule
        assert (plan.pretrain.clip, plan.train.clip) == (2, None)
        student, teacher = plan.graph.nodes
        assert student.optimizer == plan.train.optimizer
        assert teacher.optimizer == plan.pretrain.optimizer
        assert teacher.optimizer.arguments["lr"] == 0.01

    def test_a_nodes_own_optimizer_wins(self) -> None:
        plan = self.plan("pretrain { optimizer = adamw }", "{ optimizer = sgd(lr=3) }")
        assert plan.graph.node("t").optimizer.arguments["lr"] == 3

    def test_without_it_pre_training_is_as_the_training(self) -> None:
        plan = self.plan("")
        assert plan.pretrain is None
        assert plan.pretraining_epochs == 5
        assert plan.digest == self.plan("pretrain { epochs = 5 }").digest

    def test_it_counts_where_something_is_pre_trained(self) -> None:
        blocks = "", "pretrain { epochs = 40 }", "pretrain { optimizer = sgd(lr=0.2) }"
        taught = [self.plan(block) for block in blocks]
        assert len({plan.digest for plan in taught}) == 3
        assert len({plan.canonical_digest for plan in taught}) == 3
        own = [self.plan(block, "{ weights = own }") for block in blocks]
        assert len({plan.digest for plan in own}) == 1
        assert len({plan.canonical_digest for plan in own}) == 1

    @pytest.mark.parametrize(
        "block",
        ["pretrain { epochs = 40 optimizer = adamw schedule = constant clip = 1 }", "pretrain { }"],
    )
    def test_it_is_written_back(self, tmp_path: Path, block: str) -> None:
        plan = self.plan(block)
        again = compiled(unparse_plan(plan, tmp_path)).plan
        assert again is not None
        assert (again.digest, again.pretrain) == (plan.digest, plan.pretrain)

    def test_its_open_values_are_distinct_graphs_where_they_count(self) -> None:
        space = self.plan("pretrain { epochs = 10 | 20 | 30 }")
        assert size(space).distinct == 3
        unused = self.plan("pretrain { epochs = 10 | 20 | 30 }", "{ weights = own }")
        assert size(unused).distinct == 1

    def test_settings_of_the_graph_are_none_of_its_own(self) -> None:
        found = said(graph(self.body.format("")) + "pretrain { repeats = 2 }")
        assert found == ["E204 `pretrain` has no setting `repeats`"]


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
            weights = plan.graph.node("a").weights_file
            assert weights is not None
            assert weights.sha256 == hashlib.sha256(content).hexdigest()
            assert (weights.path, weights.file) == (f"../{name}", str(tmp_path / name))
            digests.append(plan.digest)
        assert digests[0] == digests[1] != digests[2]

    @pytest.mark.parametrize(
        ("network", "settings", "weights"),
        [
            ("resnet8", "", None),
            ("resnet8", "{ weights = own }", "own"),
            ('torchvision("resnet18")', "", None),
            ('torchvision("resnet18", weights="DEFAULT")', "", "own"),
            ('timm("resnet18")', "", None),
            ('timm("resnet18", pretrained=true)', "", "own"),
            ('python("nets:net")', "{ weights = own }", "own"),
        ],
    )
    def test_a_frozen_node_may_keep_its_own_weights(
        self, tmp_path: Path, network: str, settings: str, weights: str | None
    ) -> None:
        body = "node a = resnet8 node t = {} {} target a edge label, t -> a {}"
        plan = compiled(graph(body.format(network, settings, "")), folder=tmp_path).plan
        assert plan is not None
        teacher = plan.graph.node("t")
        assert (teacher.weights, teacher.pretrained) == (weights, weights is None)
        again = compiled(unparse_plan(plan, tmp_path), folder=tmp_path).plan
        assert again is not None
        assert again.digest == plan.digest
        # A node that learns begins with them in any case.
        taught = compiled(graph(body.format(network, settings, "edge label -> t")), folder=tmp_path)
        assert taught.plan is not None
        assert taught.plan.graph.node("t").weights is None

    @pytest.mark.parametrize(
        ("network", "random"),
        [
            ("resnet8", True),
            ('torchvision("resnet18")', True),
            ('torchvision("resnet18", weights="DEFAULT")', False),
            ('timm("resnet18")', True),
            ('timm("resnet18", checkpoint_path="x.pth")', False),
            ('python("nets:net")', False),
        ],
    )
    def test_random_weights_of_a_frozen_node(self, network: str, random: bool) -> None:
        body = (
            f"node a = resnet8 node t = {network} {{ weights = own }} target a edge label, t -> a"
        )
        assert codes(graph(body)) == ["W109"] * random
        assert codes(graph(f"{body} edge label -> t")) == []  # it learns

    @pytest.mark.parametrize("written", ['"own"', "mine", "7"])
    def test_weights_are_a_file_or_a_word(self, tmp_path: Path, written: str) -> None:
        body = f"node a = resnet8 {{ weights = {written} }} target a edge label -> a"
        (found,) = compiled(graph(body), folder=tmp_path).diagnostics
        assert (found.code, found.message) == ("E301", "`weights` must be `own` or a string")

    def test_a_frozen_node_with_weights_is_not_pretrained(self, tmp_path: Path) -> None:
        (tmp_path / "t").write_bytes(b"one")
        body = 'node a = resnet8 node t = resnet8 { weights = "t" } target a edge label, t -> a'
        plan = compiled(graph(body), folder=tmp_path).plan
        assert plan is not None
        assert not plan.graph.node("t").pretrained

    def test_a_file_is_hashed_again_when_it_has_changed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hashed: list[object] = []
        monkeypatch.setattr(weight_files, "_SETTLED", -1.0)  # as if it had lain there for long
        digest = hashlib.file_digest

        def counted(content: Any, name: str) -> Any:
            hashed.append(content)
            return digest(content, name)

        monkeypatch.setattr(hashlib, "file_digest", counted)
        body = 'node a = resnet8 node t = resnet8 { weights = "t" } target a edge label, t -> a'
        digests = []
        for content in (b"one", None, b"two"):
            if content is not None:
                (tmp_path / "t").write_bytes(content)
            plan = compiled(graph(body), folder=tmp_path).plan
            assert plan is not None
            weights = plan.graph.node("t").weights_file
            assert weights is not None
            digests.append(weights.sha256)
        one, two = (hashlib.sha256(content).hexdigest() for content in (b"one", b"two"))
        assert digests == [one, one, two]
        assert len(hashed) == 2

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

    @pytest.mark.parametrize(("path", "code"), [("x" * 5000, "E406"), ("a\0b", "E002")])
    def test_no_path_at_all(self, path: str, code: str, tmp_path: Path) -> None:
        (found,) = self.said(path, tmp_path)
        assert found.startswith(f"{code} ")

    def test_told_once_for_an_array(self, tmp_path: Path) -> None:
        body = 'node p[3] = resnet8 { weights = "t" } target p edge label -> p'
        assert len(said(graph(body), folder=tmp_path)) == 1
