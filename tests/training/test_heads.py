"""Networks with several heads, each for a label of its own: steps, runs and what they report."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, kl_div

import ktgdsl
from ktgdsl.cli import main as cli
from ktgdsl.errors import NodeError, RunError
from ktgdsl.exporting.trained_node import trained_node
from ktgdsl.plan.model import Plan
from ktgdsl.plan.validity import why_invalid
from ktgdsl.report.evaluation import evaluation_text
from ktgdsl.report.model_card import model_card
from ktgdsl.report.page.answers_section import answers_section
from ktgdsl.report.page.blocks import Folded, Table
from ktgdsl.report.pictures.picture import picture
from ktgdsl.report.run_text import run_result_text
from ktgdsl.space.unparse_plan import unparse_plan
from ktgdsl.training.events import EpochDone, Event
from ktgdsl.training.result import RunResult
from tests.paths import ROOT

NETS = """\
import numpy as np
import torch
from torch import nn


def images(split):
    draw = np.random.default_rng(len(split))
    n = 40 if split == "train" else 20
    size, tone = draw.integers(4, size=n), draw.integers(3, size=n)
    tone[0], size[1] = -1, -1
    image = draw.integers(256, size=(n, 1, 4, 4), dtype=np.uint8)
    return image, {"tone": tone, "size": size, "unread": tone}


class Net(nn.Module):
    def __init__(self, form="dict"):
        super().__init__()
        self.body = nn.Linear(16, 6)
        self.to_size, self.to_tone = nn.Linear(6, 4), nn.Linear(6, 3)
        self.form = form

    def forward(self, image):
        features = self.body(image.flatten(1))
        size, tone = self.to_size(features), self.to_tone(features)
        match self.form:
            case "tuple":
                return size, tone
            case "named":
                return Named(size, tone)
            case "one":
                return size
            case "three":
                return size, tone, size
            case "missing":
                return {"size": size, "colour": tone}
            case "swapped":
                return {"size": tone, "tone": size}
            case "numbers":
                return {"size": size, "tone": 3}
        return {"size": size, "tone": tone, "more": features}


class One(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(16, 3))


class Named:
    def __init__(self, size, tone):
        self.size, self.tone = size, tone
"""

DATA = """
data python("heads_of_tests:images") { batch = 10 }
train {
    epochs    = 2
    optimizer = sgd(lr=0.1, momentum=0, nesterov=false, weight_decay=0)
    schedule  = constant
}
"""

PAIR = """
graph pair {
    node a, b = python("heads_of_tests:Net") { heads = [size, tone] }
    target a
    edge label.size -> a.size
    edge label.tone -> *.tone : ce via 0.5
    edge b.tone -> a.tone : kl(T=2) via correct
    edge a.size -> b.size : mse
}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("heads")
    (path / "heads_of_tests.py").write_text(NETS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KTGDSL_CACHE", str(path / "cache"))
        yield path


def plan_of(folder: Path, graph: str, more: str = DATA) -> Plan:
    path = folder / "spec.ktg"
    path.write_text(graph + more)
    return ktgdsl.load(path)


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    tone = torch.tensor([0, 1, 2, -1, 0, 2])
    size = torch.tensor([3, -1, 0, 1, -1, 2])
    return torch.rand(6, 1, 4, 4, generator=generator), torch.stack([size, tone], dim=1)


class TestStep:
    def test_each_edge_is_of_the_logits_and_labels_of_its_head(self, folder: Path) -> None:
        """Against losses, and gradients, that are written out with torch."""
        step = ktgdsl.stepper(plan_of(folder, PAIR), "cpu")
        image, label = batch()
        a, b = (
            {name: p.detach().clone().requires_grad_() for name, p in network.named_parameters()}
            for network in step.networks.values()
        )
        names = list(a)
        out = step(image, label)

        def logits(weights: dict[str, Tensor]) -> dict[str, Tensor]:
            x = image.flatten(1) @ weights["body.weight"].T + weights["body.bias"]
            return {
                head: x @ weights[f"to_{head}.weight"].T + weights[f"to_{head}.bias"]
                for head in ("size", "tone")
            }

        z = {"a": logits(a), "b": logits(b)}
        size, tone = label.T
        right = (z["b"]["tone"].argmax(1) == tone).float()
        p, q = (z[node]["tone"] / 2 for node in "ba")
        transferred = 4 * kl_div(q.log_softmax(1), p.detach().softmax(1), reduction="none").sum(1)
        want = {
            ("label.size", "a.size"): cross_entropy(z["a"]["size"], size, ignore_index=-1),
            ("label.tone", "a.tone"): 0.5 * cross_entropy(z["a"]["tone"], tone, ignore_index=-1),
            ("label.tone", "b.tone"): 0.5 * cross_entropy(z["b"]["tone"], tone, ignore_index=-1),
            ("b.tone", "a.tone"): (right * transferred).mean(),
            ("a.size", "b.size"): (z["b"]["size"] - z["a"]["size"].detach()).square().mean(),
        }
        assert out.edges.keys() == want.keys()
        for key, value in want.items():
            torch.testing.assert_close(out.edges[key], value.detach())
        assert list(out.logits) == ["a.size", "a.tone", "b.size", "b.tone"]
        torch.testing.assert_close(out.logits["b.size"], z["b"]["size"].detach())
        into = {n: sum(v for (_, d), v in want.items() if d.startswith(n)) for n in "ab"}
        for node, weights in (("a", a), ("b", b)):
            torch.testing.assert_close(out.losses[node], torch.as_tensor(into[node]).detach())
            gradients = torch.autograd.grad(into[node], [weights[name] for name in names])
            after = dict(step.networks[node].named_parameters())
            for name, gradient in zip(names, gradients, strict=True):
                torch.testing.assert_close(after[name], weights[name] - 0.1 * gradient)

    def test_an_ensemble_combines_each_head_by_itself(self, folder: Path) -> None:
        """The smallest logits relative to the label's, and a mean of what it and a node answer."""
        graph = """
        graph g {
            node a, b, c = python("heads_of_tests:Net") { heads = [size, tone] }
            node low  = ensemble(a, b, combine=minimum)
            node mean = ensemble(low, c)
            target a, mean
            edge label.size -> *.size
            edge low.tone -> a.tone : kl
            edge mean.size -> a.size : kl via correct
        }
        """
        step = ktgdsl.stepper(plan_of(folder, graph), "cpu")
        image, label = batch()
        a, b, c = (step.networks[name](image) for name in "abc")
        out = step(image, label)
        low = {}
        for head, of in zip(("size", "tone"), label.T, strict=True):
            own = torch.where(of >= 0, of, (a[head] + b[head]).argmax(1))[:, None]
            relative = [z[head] - z[head].gather(1, own) for z in (a, b)]
            low[head] = torch.minimum(*relative)
        expected = kl_div(
            a["tone"].log_softmax(1), low["tone"].softmax(1), reduction="none"
        ).sum(1).mean()  # fmt: skip
        torch.testing.assert_close(out.edges["low.tone", "a.tone"], expected.detach())
        mean = (low["size"] + c["size"]) / 2
        right = (mean.argmax(1) == label[:, 0]).float()
        divergence = kl_div(a["size"].log_softmax(1), mean.softmax(1), reduction="none").sum(1)
        torch.testing.assert_close(
            out.edges["mean.size", "a.size"], (right * divergence).mean().detach()
        )
        answers = ("size", "tone")
        assert [*out.logits] == [f"{n}.{head}" for n in ("a", "b", "c", "low", "mean")
                                 for head in answers]  # fmt: skip

    @pytest.mark.parametrize("form", ["tuple", "named"])
    def test_other_forms_of_outputs(self, folder: Path, form: str) -> None:
        plan = plan_of(folder, PAIR.replace(":Net", f':Net", form="{form}'))
        out = ktgdsl.stepper(plan, "cpu")(*batch())
        expected = ktgdsl.stepper(plan_of(folder, PAIR), "cpu")(*batch())
        assert out.logits["a.tone"].equal(expected.logits["a.tone"])
        assert out.losses["a"].equal(expected.losses["a"])

    def test_networks_of_the_caller(self, folder: Path) -> None:
        class Own(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.net = nn.Linear(16, 7)

            def forward(self, image: Tensor) -> tuple[Tensor, ...]:
                logits: Tensor = self.net(image.flatten(1))
                return logits[:, :4], logits[:, 4:]

        own = Own()
        step = ktgdsl.stepper(plan_of(folder, PAIR), "cpu", networks={"a": own})
        image, label = batch()
        want = own.net(image.flatten(1)).detach()
        out = step(image, label)
        assert out.logits["a.size"].equal(want[:, :4])
        assert out.logits["a.tone"].equal(want[:, 4:])

    @pytest.mark.parametrize(
        ("form", "message"),
        [
            ("one", "gives a Tensor, and its heads are `size`, `tone`"),
            ("three", "gives a tuple of 3, and its heads are `size`, `tone`"),
            ("missing", "gives a dict with `size`, `colour`, and its heads are `size`, `tone`"),
            (
                "swapped",
                "gives (2, 3) of torch.float32, and logits of the head `size` of these data are "
                "(2, 4)",
            ),
            ("numbers", "gives a int, not a tensor of logits, as its head `tone`"),
        ],
    )
    def test_networks_without_these_heads(self, folder: Path, form: str, message: str) -> None:
        plan = plan_of(folder, PAIR.replace(":Net", f':Net", form="{form}'))
        with pytest.raises(NodeError) as caught:
            ktgdsl.stepper(plan, "cpu")
        (found,) = caught.value.diagnostics
        assert (found.code, found.message) == ("E505", f"the network of node `a` {message}")


def test_the_place_of_a_network_without_a_head(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "spec.ktg"
    path.write_text(PAIR.replace(":Net", ':Net", form="missing') + DATA)
    assert cli.main(["run", str(path), "--out", str(folder / "run")]) == 1
    shown = capsys.readouterr().err
    assert "spec.ktg:3:" in shown
    assert "{ heads = [" in shown
    assert "to a dict of the logits" in shown


FULL = """
graph full {
    node a, b = python("heads_of_tests:Net") { heads = [size, tone] }
    node t    = python("heads_of_tests:One") { heads = [tone]  cache = outputs }
    node u    = python("heads_of_tests:One") { heads = [tone]  keep = true }
    node m    = ema(a)
    node c    = constant
    node mix  = ensemble(t, u, combine=minimum)
    node both = ensemble(a, b, combine=sum)
    target a
    edge label.size  -> a.size, b.size
    edge label.tone  -> a.tone, b.tone, u
    edge t           -> a.tone : kl(T=4)
    edge m.size      -> b.size : kl via correct
    edge c           -> a.size : kl
    edge mix         -> b.tone : kl via correct
    edge both.tone   -> b.tone : kl(T=2)
    edge b.body      -> a.body : similarity
    edge b.tone      : -0.1 * entropy
}
"""
MORE = """
data python("heads_of_tests:images") { batch = 10  holdout = true }
train { epochs = 2  optimizer = adam(lr=0.01)  metrics = [f1]  update = sequential }
"""


@pytest.fixture(scope="module")
def finished(folder: Path) -> RunResult:
    plan = plan_of(folder, FULL, MORE)
    return ktgdsl.run(plan, out=folder / "whole", device="cpu", deterministic=True)


class TestRun:
    def test_the_accuracy_of_a_node_is_the_mean_over_its_heads(self, finished: RunResult) -> None:
        node = finished.nodes["a"]
        assert node.heads is not None
        assert list(node.heads) == ["size", "tone"]
        by_head = [head.accuracy.mean for head in node.heads.values()]
        assert node.accuracy.mean == pytest.approx(sum(by_head) / 2)
        held_out = [head.validation_accuracy for head in node.heads.values()]
        assert node.validation_accuracy is not None
        assert node.validation_accuracy.mean == pytest.approx(
            sum(each.mean for each in held_out if each) / 2
        )
        for name in ("t", "u", "mix"):
            assert finished.nodes[name].heads is None
        assert finished.nodes["m"].heads is not None
        assert finished.nodes["both"].heads is not None
        assert RunResult.from_json(finished.to_json(), finished.folder) == finished

    def test_each_line_of_the_metrics_has_all_heads(self, finished: RunResult) -> None:
        text = (finished.folder / "metrics.jsonl").read_text()
        lines = [json.loads(line) for line in text.splitlines()]
        last = {line["node"]: line for line in lines if line["epoch"] == 2}
        for name in ("a", "b"):
            for metric in ("accuracy", "validation_accuracy", "validation_f1"):
                by_head = [each[metric] for each in last[name]["heads"].values()]
                assert last[name][metric] == pytest.approx(sum(by_head) / 2)
        assert "heads" not in last["u"]
        assert set(last["a"]["edges"]) == {
            "label.size -> a.size", "label.tone -> a.tone", "t -> a.tone", "c -> a.size",
            "b.body -> a.body",
        }  # fmt: skip

    def test_networks_give_a_dict_of_logits(self, finished: RunResult, folder: Path) -> None:
        image, labels = images_of(folder, "test")
        network = ktgdsl.load_network(finished.folder, "a")
        with torch.no_grad():
            logits = network(image)
        assert list(logits) == ["size", "tone"]
        heads = finished.nodes["a"].heads
        assert heads is not None
        for head, label in labels.items():
            right = (logits[head].argmax(1) == label)[label >= 0].float()
            assert heads[head].accuracy.mean == pytest.approx(100 * right.mean().item())
        a, b, both = (ktgdsl.load_network(finished.folder, n)(image) for n in ("a", "b", "both"))
        assert list(both) == ["size", "tone"]
        for head in both:
            torch.testing.assert_close(both[head], a[head] + b[head])
        for name in ("t", "mix"):
            single = ktgdsl.load_network(finished.folder, name)(image)
            assert single.shape == (20, 3)

    def test_an_interrupted_run_ends_with_the_same_bits(
        self, finished: RunResult, folder: Path
    ) -> None:
        def interrupt(event: Event) -> None:
            if isinstance(event, EpochDone) and "u" in event.accuracy:
                raise KeyboardInterrupt

        out, plan = folder / "interrupted", plan_of(folder, FULL, MORE)
        with pytest.raises(KeyboardInterrupt):
            ktgdsl.run(plan, out=out, device="cpu", deterministic=True, listener=interrupt)
        again = ktgdsl.resume(out, device="cpu")
        for name, node in finished.nodes.items():
            assert again.nodes[name].accuracy == node.accuracy
            assert again.nodes[name].heads == node.heads
        for name in ("a", "b", "u", "m"):
            one, other = (ktgdsl.load_network(path, name) for path in (out, finished.folder))
            for p, q in zip(one.parameters(), other.parameters(), strict=True):
                assert torch.equal(p, q)

    def test_the_saved_spec_and_plan_mean_the_same(self, finished: RunResult, folder: Path) -> None:
        plan = ktgdsl.complete(plan_of(folder, FULL, MORE))
        assert plan.digest == finished.digest
        assert Plan.from_json(plan.to_json()) == plan
        text = unparse_plan(plan, folder)
        (folder / "again.ktg").write_text(text)
        assert ktgdsl.complete(ktgdsl.load(folder / "again.ktg")).digest == plan.digest

    def test_the_result_names_the_heads(self, finished: RunResult, folder: Path) -> None:
        heads = finished.nodes["b"].heads
        assert heads is not None
        expected = f"b by head: size {heads['size'].accuracy}, tone {heads['tone'].accuracy}"
        assert expected in run_result_text(plan_of(folder, FULL, MORE), finished).splitlines()

    def test_an_evaluation_is_of_each_head(
        self, finished: RunResult, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert cli.main(["eval", str(finished.folder), "--json"]) == 0
        facts = json.loads(capsys.readouterr().out)
        image, labels = images_of(folder, "test")
        known = {head: int((label >= 0).sum()) for head, label in labels.items()}
        assert facts["samples"] == known
        assert {head: len(names) for head, names in facts["classes"].items()} == {
            "size": 4, "tone": 3,
        }  # fmt: skip
        assert "heads" not in facts["nodes"]["t"]
        assert len(facts["nodes"]["t"]["confusion"]) == 3
        for name in ("a", "b", "m", "both"):
            heads, result = facts["nodes"][name]["heads"], finished.nodes[name]
            assert result.heads is not None
            with torch.no_grad():
                logits = ktgdsl.load_network(finished.folder, name)(image)
            for head, label in labels.items():
                expected = torch.zeros(2 * [logits[head].shape[1]], dtype=torch.int64)
                for right, answer in zip(label, logits[head].argmax(1), strict=True):
                    expected[right, answer] += right >= 0
                assert heads[head]["confusion"] == expected.tolist()
                accuracy = result.heads[head].accuracy
                assert heads[head]["accuracy"]["mean"] == pytest.approx(accuracy.mean)
            for measure in ("accuracy", "f1", "ece"):
                means = [heads[head][measure]["mean"] for head in heads]
                assert facts["nodes"][name][measure]["mean"] == pytest.approx(sum(means) / 2)

    def test_an_evaluation_as_text_and_on_the_page(self, finished: RunResult) -> None:
        evaluation = ktgdsl.evaluate(finished.folder, ["b", "u"], device="cpu")
        text = evaluation_text(evaluation, ["b"], 100)
        first, _, *lines = text.splitlines()
        assert first.startswith('full on the test split of python("heads_of_tests:images"): ')
        assert "19 samples of size, 19 samples of tone, seed 0" in first
        assert [line.split()[0] for line in lines[1:5]] == ["b", "b.size", "b.tone", "u"]
        assert "b.tone by class" in lines
        assert "confusion of b.size: a row for each label, a column for each answer" in lines
        blocks = answers_section(evaluation).blocks
        tables = [each for each in blocks if isinstance(each, Table)]
        assert [row[0] for row in tables[0].rows] == ["b", "b.size", "b.tone", "u"]
        folded = {each.title: each for each in blocks if isinstance(each, Folded)}
        assert [*folded] == ["classes of b.size", "classes of b.tone", "classes of u"]
        (by_class, _) = folded["classes of b.size"].blocks
        assert isinstance(by_class, Table)
        assert [row[0] for row in by_class.rows] == ["0", "1", "2", "3"]

    def test_data_of_one_label_are_refused(self, finished: RunResult) -> None:
        with pytest.raises(RunError, match="digits have one label, and those of the run have"):
            ktgdsl.evaluate(finished.folder, data="digits", device="cpu")
        same = ktgdsl.evaluate(
            finished.folder, ["u"], data='python("heads_of_tests:images")', device="cpu"
        )
        assert same.nodes["u"] == ktgdsl.evaluate(finished.folder, ["u"]).nodes["u"]

    @pytest.mark.parametrize("suffix", [pytest.param("onnx", marks=pytest.mark.slow), "pt2"])
    def test_an_export_has_an_output_for_each_head(
        self, finished: RunResult, tmp_path: Path, suffix: str
    ) -> None:
        path = tmp_path / f"x.{suffix}"
        image = torch.rand(3, 1, 4, 4, generator=torch.Generator().manual_seed(2))
        if suffix == "onnx":
            onnxruntime = pytest.importorskip("onnxruntime")
            pytest.importorskip("onnxscript")
            exported = ktgdsl.export(finished.folder, path)
            session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
            facts = session.get_modelmeta().custom_metadata_map
            names = [each.name for each in session.get_outputs()]
            got = dict(zip(names, session.run(None, {"image": image.numpy()}), strict=True))
        else:
            exported, extra = ktgdsl.export(finished.folder, path), {"facts.json": ""}
            got = torch.export.load(path, extra_files=extra).module()(image)
            facts = json.loads(extra["facts.json"])
        assert list(got) == ["size", "tone"]
        with torch.no_grad():
            expected = ktgdsl.load_network(finished.folder, "a")(image)
        for head, logits in expected.items():
            torch.testing.assert_close(torch.as_tensor(got[head]).detach(), logits)
        numbers = {"size": ["0", "1", "2", "3"], "tone": ["0", "1", "2"]}
        assert json.loads(facts["class_names"]) == numbers
        card = model_card(exported, path.name, None)
        assert "gives logits `size` (B, 4), logits `tone` (B, 3).\n" in card
        assert re.search(r"^classes of tone +0, 1, 2$", card, re.MULTILINE)
        if suffix == "onnx":
            assert '\noutputs = session.run(["size", "tone"], {"image": images})\n' in card

    def test_other_outputs_of_one_head_are_not_written(
        self, finished: RunResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = torch.export.load

        def damaged(file: Any) -> Any:
            program = real(file)
            program.state_dict["to_tone.bias"].add_(0.1)
            return program

        monkeypatch.setattr(torch.export, "load", damaged)
        with pytest.raises(RunError, match="something else: outputs of the head `tone` for 1 "):
            ktgdsl.export(finished.folder, tmp_path / "x.pt2")
        assert not [*tmp_path.iterdir()]

    def test_an_export_of_a_node_of_one_head_has_no_names(self, finished: RunResult) -> None:
        node = trained_node(finished.folder, "u", 1)
        assert node.class_names == ("0", "1", "2")
        assert node.outputs == {"logits": 3}


def images_of(folder: Path, split: str) -> tuple[Tensor, dict[str, Tensor]]:
    scope: dict[str, Any] = {}
    exec((folder / "heads_of_tests.py").read_text(), scope)
    image, labels = scope["images"](split)
    known = {head: torch.from_numpy(labels[head]) for head in ("size", "tone")}
    return torch.from_numpy(image) / 255, known


def test_the_example_learns_both_labels(tmp_path: Path) -> None:
    """`specs/heads/heads.ktg`, mutual learning head by head."""
    plan = ktgdsl.load(ROOT / "specs" / "heads" / "heads.ktg")
    result = ktgdsl.run(plan, out=tmp_path / "run", device="cpu")
    heads = result.nodes["a"].heads
    assert heads is not None
    assert heads["colour"].accuracy.mean > 80
    assert heads["shape"].accuracy.mean > 80
    names = ktgdsl.load_network(result.folder, "a").class_names
    assert names is None  # arrays have none


@pytest.mark.usefixtures("forked_workers")
def test_a_search_goes_by_the_mean_over_heads(folder: Path) -> None:
    graph = PAIR.replace("kl(T=2) via correct", "kl(T=2) via correct | cutoff")
    plan = plan_of(folder, graph, DATA + "search { trials = 2  epochs = 1  workers = 1 }")
    found = ktgdsl.search(plan, out=folder / "search", device="cpu")
    best = ktgdsl.load(found.result.folder / "best.ktg")
    assert best.graph.nodes == found.best.graph.nodes
    assert best.graph.nodes[0].heads == ("size", "tone")
    assert 0 < found.result.best.value <= 100


def test_a_picture_says_which_label_and_head(folder: Path) -> None:
    text = picture(plan_of(folder, PAIR), ".mmd").decode()
    assert "Label size" in text
    assert "Label tone" in text


def test_a_plan_from_a_file_answers_labels_that_are_read(folder: Path) -> None:
    plan = ktgdsl.complete(plan_of(folder, PAIR))
    assert why_invalid(plan) is None
    for labels, message in (
        (("size",), "`facts.classes_by_label` has 2 of 1 labels"),
        (("size", "more"), "`a` answers size, tone of the labels"),
    ):
        data = plan.data.model_copy(update={"labels": labels})
        assert why_invalid(plan.model_copy(update={"data": data})) == message
