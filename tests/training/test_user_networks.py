"""Networks of the user's code in a run: checked before training, imported from anywhere."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import ktgdsl
from ktgdsl.backend.random_streams import ForwardStream
from ktgdsl.cli import main as cli
from ktgdsl.errors import NodeError
from ktgdsl.training import pretrain
from ktgdsl.training.events import EpochDone, Event, RunDiscarded

NETS = """\
import random
import numpy as np
import torch
from torch import nn

def of(classes=10):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, classes))

class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = of()
    def forward(self, image):
        return self.net(image), image

class Greedy(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = of()
    def forward(self, image):
        torch.empty(2**46 if len(image) > 2 else 1)
        return self.net(image)

def larger():
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 10))

ONE = of()

def shared():
    return ONE

def fixed():
    return nn.Sequential(nn.Flatten(), nn.AdaptiveAvgPool1d(10))

def one_by_one():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.BatchNorm1d(10))

def scripted():
    return torch.jit.script(nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(64, 10)))

def meta():
    return nn.Linear(64, 10, device="meta")

def lazy():
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(10), nn.LazyBatchNorm1d())

class Extra(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = of()
    def forward(self, image):
        return self.net(image)
    def get_extra_state(self):
        return {"seen": 3}

class Own(nn.Module):
    def __init__(self, how):
        super().__init__()
        self.net, self.how = of(), how
        self.dropout = nn.Dropout(0.4)
    def forward(self, image):
        match self.how:
            case "no parameters":
                return image.flatten(1)[:, :10]
            case "training":
                return self.net(image) * (float("nan") if self.training and len(image) > 2 else 1)
            case "fails":
                return self.net(image) if not self.training else self.net.missing
            case "batch":
                return self.net(image.view(2 if len(image) == 2 else 64, 1, 8, 8))
            case "squeezed":
                return self.net(image).squeeze()
            case "backward":
                hidden = self.net(image).exp()
                hidden.add_(1)
                return hidden
            case "in place":
                return self.net(image.sub_(0.5))
            case "a new tensor":
                return self.net(image - 0.5)
            case "dictionary":
                return {"logits": self.net(image), "features": image}
            case "attribute":
                return Answer(image, self.net(image))
            case "random":
                factor = (random.random() < 0.8) * float(np.random.rand())
                return factor * self.net(self.dropout(image))

class Answer:
    def __init__(self, features, logits):
        self.features, self.logits = features, logits
"""
SPEC = """\
graph own {{ node a = python("{module}:{name}"{more}) target a edge label -> a }}
train {{ epochs = 1 }}
"""
TWO = """\
graph own {{
    node a = python("{module}:Own", how="{how}")
    node b = {other}
    target a
    edge label -> *
    edge b -> a
}}
data digits {{ batch = {batch} }}
train {{ epochs = {epochs} optimizer = sgd(lr=0.01) }}
"""


def write(folder: Path, module: str, name: str, more: str = "") -> Path:
    # A module name of its own for each test: Python imports a name once.
    (folder / f"{module}.py").write_text(NETS)
    path = folder / "own.ktg"
    path.write_text(SPEC.format(module=module, name=name, more=more))
    return path


@pytest.mark.parametrize(
    ("module", "name", "more", "problem"),
    [
        ("nets_seven", "of", ", classes=7", "gives (2, 7) of torch.float32, and logits of these"),
        ("nets_pair", "Pair", "", "gives a tuple, not a tensor of logits"),
        ("nets_larger", "larger", "", "fails on images (2, 1, 8, 8): RuntimeError: "),
    ],
)
def test_a_network_that_does_not_fit_the_data(
    tmp_path: Path, module: str, name: str, more: str, problem: str
) -> None:
    plan = ktgdsl.load(write(tmp_path, module, name, more))
    heard: list[Event] = []
    with pytest.raises(ktgdsl.RunError) as error:
        ktgdsl.run(plan, out=tmp_path / "r", device="cpu", listener=heard.append)
    (diagnostic,) = error.value.diagnostics
    assert diagnostic.code == "E505"
    assert diagnostic.message.startswith(f"the network of node `a` {problem}")
    assert not (tmp_path / "r").exists()
    assert heard == [RunDiscarded(tmp_path / "r")]


def two(folder: Path, module: str, how: str, **fields: object) -> ktgdsl.Plan:
    """A graph with a network `Own` and another."""
    path = write(folder, module, "of")
    given = {"other": "resnet8", "batch": 256, "epochs": 1, **fields}
    path.write_text(TWO.format(module=module, how=how, **given))
    return ktgdsl.load(path)


@pytest.mark.parametrize(
    ("how", "batch", "problem"),
    [
        ("no parameters", 64, "gives logits that depend on none of its parameters"),
        ("training", 64, "gives NaN as logits of images (64, 1, 8, 8)"),
        ("fails", 64, "fails on images (64, 1, 8, 8) while it trains: AttributeError: "),
        ("batch", 64, "fails on images (244, 1, 8, 8): RuntimeError: "),
        ("batch", 65, "fails on images"),
        ("squeezed", 499, "gives (10,) of torch.float32, and logits of these data are (1, 10)"),
        ("backward", 64, "fails in the backward pass of 64 images: RuntimeError: "),
    ],
)
def test_what_would_fail_later_fails_before_a_teacher_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, batch: int, problem: str
) -> None:
    """In the batch of the training, and in the last and smaller ones of the evaluation."""
    monkeypatch.setattr(pretrain, "_train", None)
    plan = two(
        tmp_path,
        f"nets_{how.replace(' ', '_')}_{batch}",
        how,
        batch=batch,
        other="resnet8 { frozen = true }",
    )
    before = torch.get_rng_state()
    with pytest.raises(NodeError) as error:
        ktgdsl.stepper(plan, "cpu")
    assert error.value.node == "a"
    (diagnostic,) = error.value.diagnostics
    assert diagnostic.code == "E505"
    assert diagnostic.message.startswith(f"the network of node `a` {problem}")
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("module", "name", "batch", "problem", "help"),
    [
        ("nets_shared", "shared", 64, "shares its `1.weight` with the network of node `a`", "new"),
        ("nets_extra", "Extra", 64, "has a dict in its state dict, `_extra_state`", "elsewhere"),
        ("nets_meta", "meta", 64, "has weights on the device `meta`", "on the CPU"),
        ("nets_fixed", "fixed", 64, "has no parameters that can learn", "frozen"),
        (
            "nets_one",
            "one_by_one",
            1,
            "fails on images (1, 1, 8, 8) while",
            "`batch = 2`",
        ),
        # 1,297 digits are 81 batches of 16, and one more.
        (
            "nets_rest",
            "one_by_one",
            "16  drop_last = false",
            "fails on images (1, 1, 8, 8) while",
            "leave the last one out by `drop_last = true`",
        ),
    ],
)
def test_networks_that_cannot_learn_here(
    tmp_path: Path, module: str, name: str, batch: int | str, problem: str, help: str
) -> None:
    path = write(tmp_path, module, name)
    path.write_text(f"""
        graph own {{ node a, b = python("{module}:{name}") target a edge label -> *  edge b -> a }}
        data digits {{ batch = {batch} }}
    """)
    with pytest.raises(NodeError) as error:
        ktgdsl.stepper(ktgdsl.load(path), "cpu")
    (diagnostic,) = error.value.diagnostics
    assert f"`{error.value.node}` {problem}" in diagnostic.message
    assert diagnostic.help is not None
    assert help in diagnostic.help


def test_the_place_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, "nets_place", "fixed")
    assert cli.main(["run", str(path), "--out", str(tmp_path / "r"), "--device", "cpu"]) == 1
    output = capsys.readouterr().err
    assert f"{path}:1:22" in output
    assert 'python("nets_place:fixed")' in output


def test_a_lazy_network_gets_its_shapes_and_weights_from_the_nodes_stream(tmp_path: Path) -> None:
    plan = ktgdsl.load(write(tmp_path, "nets_lazy", "lazy"))
    weights = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        state = ktgdsl.build(plan, seed=0).networks["a"].state_dict()
        assert state["1.weight"].shape == (10, 64)
        assert state["2.num_batches_tracked"] == 0
        weights.append(state["1.weight"])
    assert torch.equal(*weights)
    assert ktgdsl.run(plan, out=tmp_path / "r", device="cpu").nodes["a"].accuracy.mean > 20
    assert ktgdsl.load_network(tmp_path / "r", "a")(torch.rand(1, 1, 8, 8)).shape == (1, 10)


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_a_network_may_be_torchscript(tmp_path: Path) -> None:
    plan = ktgdsl.load(write(tmp_path, "nets_scripted", "scripted"))
    result = ktgdsl.run(plan, out=tmp_path / "r", device="cpu")
    assert result.nodes["a"].accuracy.mean > 20
    network = ktgdsl.load_network(tmp_path / "r", "a")
    assert network.state_dict().keys() == {"2.weight", "2.bias"}
    assert network(torch.rand(3, 1, 8, 8)).shape == (3, 10)


@pytest.mark.parametrize("how", ["dictionary", "attribute"])
def test_logits_may_be_part_of_an_answer(tmp_path: Path, how: str) -> None:
    plan = two(tmp_path, f"nets_{how}", how)
    image, label = torch.rand(8, 1, 8, 8), torch.arange(8)
    assert ktgdsl.stepper(plan, "cpu")(image, label).logits["a"].shape == (8, 10)


def test_a_network_that_changes_its_images_changes_no_others(tmp_path: Path) -> None:
    """In place or not, both nodes are trained and evaluated to the same bits."""
    results = []
    for how in ("in place", "a new tensor"):
        out = tmp_path / how
        result = ktgdsl.run(two(tmp_path, "nets_place_two", how), out=out, device="cpu")
        weights = [(out / "nodes" / f"{node}.safetensors").read_bytes() for node in "ab"]
        results.append(([result.nodes[node].accuracy for node in "ab"], weights))
    assert results[0] == results[1]


def test_random_numbers_of_a_forward_are_those_of_the_seed(tmp_path: Path) -> None:
    """Two runs give the same bits, and so does one that was interrupted and resumed."""
    plain = 'python("nets_drawn:of")'
    plan = two(tmp_path, "nets_drawn", "random", other=plain, batch=650, epochs=2)

    def interrupt(event: object) -> None:
        if isinstance(event, EpochDone) and event.epoch == 1:
            raise KeyboardInterrupt

    found: list[bytes] = []
    for out in (tmp_path / "one", tmp_path / "other", tmp_path / "cut"):
        torch.manual_seed(len(found))
        np.random.seed(len(found))
        random.seed(len(found))
        if out.name == "cut":
            with pytest.raises(KeyboardInterrupt):
                ktgdsl.run(plan, out=out, device="cpu", listener=interrupt)
            ktgdsl.resume(out)
        else:
            ktgdsl.run(plan, out=out, device="cpu")
        found.append((out / "nodes" / "a.safetensors").read_bytes())
    assert found[0] == found[1] == found[2]
    other = plan.model_copy(update={"train": plan.train.model_copy(update={"seed": 1})})
    ktgdsl.run(other, out=tmp_path / "seed", device="cpu")
    assert (tmp_path / "seed" / "nodes" / "a.safetensors").read_bytes() != found[0]


def test_a_stream_is_drawn_anew_in_each_step_and_each_call() -> None:
    network = nn.Dropout(0.5)
    stream, image = ForwardStream(network, seed=3), torch.ones(64)
    outside = torch.get_rng_state(), random.getstate()
    drawn: dict[int, list[tuple[Tensor, Tensor]]] = {}
    for step in (1, 2, 1):
        stream.begin(step)
        drawn.setdefault(step, []).append((network(image), network(image)))
    (first, second), again = drawn[1]
    assert not torch.equal(first, second)
    assert all(map(torch.equal, (first, second), again))
    assert not torch.equal(first, drawn[2][0][0])
    assert torch.equal(torch.get_rng_state(), outside[0])
    assert random.getstate() == outside[1]


def test_networks_of_a_run_load_from_another_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "specs").mkdir()
    (tmp_path / "elsewhere").mkdir()
    write(tmp_path / "specs", "nets_found", "of")
    monkeypatch.chdir(tmp_path)
    assert cli.main(["run", "specs/own.ktg", "--out", "r", "--quiet"]) == 0
    monkeypatch.chdir(tmp_path / "elsewhere")
    network = ktgdsl.load_network("../r", "a")
    assert not network.training


def test_a_module_that_is_not_there_names_the_node_and_the_folder(tmp_path: Path) -> None:
    path = tmp_path / "own.ktg"
    path.write_text(SPEC.format(module="nets_nowhere", name="of", more=""))
    with pytest.raises(ktgdsl.RunError) as error:
        ktgdsl.build(ktgdsl.load(path))
    (diagnostic,) = error.value.diagnostics
    assert "of node `a` cannot be imported" in diagnostic.message
    assert diagnostic.help is not None
    assert str(tmp_path) in diagnostic.help


def test_out_of_memory_is_an_error_with_advice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, "nets_greedy", "Greedy")
    assert cli.main(["run", str(path), "--out", str(tmp_path / "r"), "--device", "cpu"]) == 1
    output = capsys.readouterr().err
    assert "error[E504]: the memory of cpu is too small for this training: " in output
    assert "you tried to allocate 281474976710656 bytes" in output
    assert "`batch`" in output
