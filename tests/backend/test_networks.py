"""The built-in networks: sizes, stages, shortcuts, initial values and dropout's own stream."""

import copy
import math
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, fx, nn

import ktgdsl
from ktgdsl.backend.graph import build
from ktgdsl.backend.networks import Dropout, ResNet, WideResNet, make, option_a
from ktgdsl.vocabulary.foreign_networks import PythonNetwork, Torchvision
from ktgdsl.vocabulary.networks import STAGES, Network, Resnet, Wrn

RESNET8: Mapping[str, object] = {"depth": 8}
WRN10_2: Mapping[str, object] = {"depth": 10, "widen": 2, "dropout": 0.0}
WRN28_2: Mapping[str, object] = {"depth": 28, "widen": 2, "dropout": 0.0}
SMALL = [("resnet", RESNET8), ("wrn", WRN10_2)]


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(
    ("name", "arguments", "classes", "expected"),
    [
        ("resnet", {"depth": 32}, 10, 464_154),
        ("resnet", {"depth": 32}, 100, 470_004),
        ("resnet", {"depth": 110}, 10, 1_727_962),
        ("resnet", {"depth": 110}, 100, 1_733_812),
        ("wrn", WRN28_2, 10, 1_467_610),
        ("wrn", WRN28_2, 100, 1_479_220),
    ],
)
def test_parameter_counts_are_the_papers(
    name: str, arguments: Mapping[str, object], classes: int, expected: int
) -> None:
    assert parameters(make(name, arguments, channels=3, classes=classes)) == expected


@pytest.mark.parametrize(
    ("text", "classes", "expected"),
    [
        ("resnet32", 10, 464_154),
        ("resnet32", 100, 470_004),
        ("resnet110", 10, 1_727_962),
        ("resnet110", 100, 1_733_812),
        ("wrn28_2", 10, 1_467_610),
        ("wrn28_2", 100, 1_479_220),
        # A stride changes no weight, and 200 classes are 100 more columns of 64 or 128 and 1.
        ("resnet(32, stride=2)", 200, 470_004 + 100 * 65),
        ("resnet(110, stride=2)", 200, 1_733_812 + 100 * 65),
        ("wrn(28, 2, stride=2)", 200, 1_479_220 + 100 * 129),
        # By hand: 9 weights a pair of channels, 2 a channel for batch norm, stages of 32, 64, 128.
        ("resnet(20, width=32)", 10, 928 + 55_680 + 203_520 + 812_544 + 1_290),
        ("resnet(depth=32, width=16)", 10, 464_154),
    ],
)
def test_a_spec_has_the_papers_networks(text: str, classes: int, expected: int) -> None:
    data = {10: "cifar10", 100: "cifar100", 200: "tiny_imagenet"}[classes]
    body = f"graph g {{ node a = {text} target a edge label -> a }}"
    plan = ktgdsl.loads(f'{body} data {data} {{ root = "images" }}')
    assert parameters(build(plan).networks["a"]) == expected


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("classes", "channels"), [(10, 3), (100, 3), (2, 1), (200, 4)])
@pytest.mark.parametrize("blocks", [1, 2, 5, 18])
def test_the_vocabulary_counts_the_parameters_without_torch(
    blocks: int, classes: int, channels: int, stride: int
) -> None:
    sizes = [{}, {"width": 24}]
    entries: list[Network] = [Resnet(depth=6 * blocks + 2, stride=stride, **w) for w in sizes]
    entries += [Wrn(depth=6 * blocks + 4, widen=widen, stride=stride) for widen in (1, 2, 10)]
    for entry in entries:
        call = entry.call()
        with torch.device("meta"):
            network = make(call.name, call.arguments, channels, classes)
        assert entry.parameters(classes, channels) == parameters(network)


def test_the_parameters_of_other_networks_are_unknown_before_they_are_built() -> None:
    assert Torchvision(name="resnet18").parameters(10, 3) is None
    assert PythonNetwork(function="nets:mlp").parameters(10, 3) is None


@pytest.mark.parametrize("text", ["resnet(8, stride={})", "wrn(10, 1, stride={})"])
def test_the_first_convolution_of_tiny_imagenet_both_ways(text: str) -> None:
    """With stride 2 the last stage has the 8 by 8 pixels that it has for CIFAR, else 16 by 16."""
    image = torch.rand(2, 3, 64, 64)
    for stride, pixels in ((1, [64, 64, 32, 16]), (2, [32, 32, 16, 8])):
        body = f"graph g {{ node a = {text.format(stride)} target a edge label -> a }}"
        plan = ktgdsl.loads(f'{body} data tiny_imagenet {{ root = "images" }}')
        network, x, seen = build(plan).networks["a"], image, []
        for stage in STAGES[:4]:
            x = network.get_submodule(stage)(x)
            seen.append(x.shape[-1])
        assert seen == pixels
        assert network(image).shape == (2, 200)


def test_depth_counts_the_convolutions_and_the_linear_layer() -> None:
    for depth in (8, 20):
        network = ResNet(depth, 3, 10)
        layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        assert len(layers) == depth
    # In a Wide ResNet the three 1x1 shortcuts are the three extra layers of 6n + 4: without
    # them there are 6n + 1 convolutions and the linear layer.
    wide = [m for m in WideResNet(16, 2, 0.0, 3, 10).modules() if isinstance(m, nn.Conv2d)]
    assert sum(m.kernel_size == (3, 3) for m in wide) == 13
    assert sum(m.kernel_size == (1, 1) for m in wide) == 3


@pytest.mark.parametrize(("name", "arguments"), SMALL)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("pixels", [8, 11, 28, 32, 64])
def test_shapes_at_every_stage(
    name: str, arguments: Mapping[str, object], channels: int, pixels: int
) -> None:
    network = make(name, arguments, channels, classes=7)
    half = math.ceil(pixels / 2)
    quarter = math.ceil(half / 2)
    k = 1 if name == "resnet" else 2
    expected = {
        "stem": (2, 16, pixels, pixels),
        "stage1": (2, 16 * k, pixels, pixels),
        "stage2": (2, 32 * k, half, half),
        "stage3": (2, 64 * k, quarter, quarter),
        "features": (2, 64 * k),
        "logits": (2, 7),
    }
    x = torch.rand(2, channels, pixels, pixels)
    for stage, shape in expected.items():
        x = network.get_submodule(stage)(x)
        assert x.shape == shape, stage


def test_images_need_not_be_square() -> None:
    assert ResNet(8, 1, 3)(torch.rand(2, 1, 9, 20)).shape == (2, 3)


@pytest.mark.parametrize(("name", "arguments"), SMALL)
def test_stages_are_the_children_and_compose_to_forward(
    name: str, arguments: Mapping[str, object]
) -> None:
    network = make(name, arguments, 3, 10).eval()
    image = torch.rand(2, 3, 8, 8)
    x = image
    for child in network.children():
        x = child(x)
    assert tuple(dict(network.named_children())) == STAGES
    assert torch.equal(network(image), x)


def test_option_a_subsamples_and_appends_zero_channels() -> None:
    x = torch.arange(1.0, 10.0).reshape(1, 1, 3, 3)
    corners = torch.tensor([[1.0, 3.0], [7.0, 9.0]])
    expected = torch.stack([corners, torch.zeros(2, 2)]).unsqueeze(0)
    assert torch.equal(option_a(x, 2), expected)


def test_a_block_with_zeroed_convolutions_is_its_shortcut() -> None:
    network = ResNet(14, 3, 10).eval()
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.zeros_(module.weight)
    x = torch.arange(-256.0, 256.0).reshape(2, 16, 4, 4)
    expected = torch.zeros(2, 32, 2, 2)
    expected[:, :16] = x[:, :, ::2, ::2].clamp(min=0)
    assert torch.equal(network.stage1(x), x.clamp(min=0))
    assert torch.equal(network.stage2(x), expected)


def test_a_wide_block_projects_its_activated_input_where_the_shape_changes() -> None:
    network = WideResNet(16, 1, 0.0, 3, 10).eval()
    narrow, wide = network.stage1, network.stage2
    first, rest = wide[0], wide[1]
    for block in (*narrow, first, rest):
        nn.init.zeros_(block.conv2.weight)
    x = torch.arange(-8.0, 8.0).reshape(1, 1, 4, 4).expand(1, 16, 4, 4)
    projection = first.get_parameter("shortcut.weight")
    assert projection.shape == (32, 16, 1, 1)
    assert rest.shortcut is None
    assert torch.equal(narrow(x), x)  # widen = 1: the shape never changes in stage 1
    # Batch norm in eval mode only divides by sqrt(1 + eps), so the projection sees relu(x).
    weight = projection[:, :, 0, 0].sum(1)
    subsampled = x[0, 0].clamp(min=0)[::2, ::2] / math.sqrt(1 + 1e-5)
    expected = weight[:, None, None] * subsampled
    torch.testing.assert_close(wide(x)[0], expected)


def scramble_batch_norms(network: nn.Module) -> None:
    """Give every batch norm weights and statistics at which none is the identity."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values in (module.weight, module.bias, module.running_mean, module.running_var):
                assert values is not None
                nn.init.uniform_(values, 0.5, 2.0)


def weight(block: nn.Module, name: str) -> Tensor:
    return block.get_parameter(f"{name}.weight")


def test_the_order_inside_a_basic_block() -> None:
    network = ResNet(8, 3, 10).eval()
    scramble_batch_norms(network)
    block = network.stage1.get_submodule("0")
    bn1, bn2 = block.get_submodule("bn1"), block.get_submodule("bn2")
    x = torch.randn(2, 16, 5, 5)
    y = torch.conv2d(x, weight(block, "conv1"), padding=1)
    y = torch.conv2d(bn1(y).clamp(min=0), weight(block, "conv2"), padding=1)
    torch.testing.assert_close(block(x), (x + bn2(y)).clamp(min=0))


def test_the_order_inside_a_wide_block() -> None:
    network = WideResNet(10, 2, 0.5, 3, 10).eval()
    scramble_batch_norms(network)
    block = network.stage2.get_submodule("0")
    bn1, bn2 = block.get_submodule("bn1"), block.get_submodule("bn2")
    dropout = block.get_submodule("dropout").train()
    assert isinstance(dropout, Dropout)
    x = torch.randn(2, 32, 5, 5)
    dropout.seed(4)
    got = block(x)
    dropout.seed(4)
    activated = bn1(x).clamp(min=0)
    y = torch.conv2d(activated, weight(block, "conv1"), stride=2, padding=1)
    y = torch.conv2d(dropout(bn2(y).clamp(min=0)), weight(block, "conv2"), padding=1)
    torch.testing.assert_close(
        got, y + torch.conv2d(activated, weight(block, "shortcut"), stride=2)
    )


def test_features_end_in_a_mean_over_the_pixels() -> None:
    x = torch.randn(2, 64, 3, 3)
    torch.testing.assert_close(ResNet(8, 3, 10).features(x), x.mean((2, 3)))
    wide = WideResNet(10, 1, 0.0, 3, 10).eval()
    scramble_batch_norms(wide)
    norm = wide.features.get_submodule("0")
    torch.testing.assert_close(wide.features(x), norm(x).clamp(min=0).mean((2, 3)))


@pytest.mark.parametrize("name", ["resnet", "wrn"])
def test_initial_values(name: str) -> None:
    torch.manual_seed(0)
    arguments = {"depth": 20} if name == "resnet" else WRN28_2
    network = make(name, arguments, 3, 10)
    pooled = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            k, out = module.kernel_size[0], module.out_channels
            assert module.bias is None
            pooled.append(module.weight.flatten() / math.sqrt(2 / (k * k * out)))
        elif isinstance(module, nn.BatchNorm2d):
            assert (module.weight == 1).all()
            assert (module.bias == 0).all()
        elif isinstance(module, nn.Linear):
            assert (module.bias == 0).all()
            assert module.weight.abs().max() <= 1 / math.sqrt(module.in_features)
    # Standard normal once scaled: five standard errors, and a tail that a uniform lacks.
    unit = torch.cat(pooled).double()
    assert abs(unit.mean()) < 5 / math.sqrt(len(unit))
    assert abs(unit.std() - 1) < 5 / math.sqrt(2 * len(unit))
    assert abs((unit.abs() > 2).double().mean() - 0.0455) < 0.002


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("resnet", {"depth": 2}, r"6n \+ 2 \(8, 14, 20, \.\.\.\), not 2$"),
        ("resnet", {"depth": 30}, "not 30"),
        (
            "wrn",
            {"depth": 4, "widen": 1, "dropout": 0.0},
            r"6n \+ 4 \(10, 16, 22, \.\.\.\), not 4$",
        ),
        ("wrn", {"depth": 27, "widen": 1, "dropout": 0.0}, "not 27"),
        ("wrn", {"depth": 10, "widen": 0, "dropout": 0.0}, "1 or more, not 0"),
        ("wrn", {"depth": 10, "widen": 1, "dropout": 1.0}, "below 1, not 1.0"),
        ("wrn", {"depth": 10, "widen": 1, "dropout": -0.1}, "at least 0 and below 1, not -0.1"),
        ("vgg", {}, "no built-in network 'vgg'; known are resnet, wrn"),
    ],
)
def test_values_out_of_range_are_refused(
    name: str, arguments: Mapping[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make(name, arguments, 3, 10)


@pytest.mark.parametrize(("name", "arguments"), SMALL)
def test_state_dict_round_trip(name: str, arguments: Mapping[str, object]) -> None:
    a, b = (make(name, arguments, 3, 10) for _ in range(2))
    image = torch.rand(4, 3, 8, 8)
    a(image)  # moves the batch norm statistics away from their initial values
    assert not torch.equal(a.eval()(image), b.eval()(image))
    b.load_state_dict(a.state_dict())
    assert torch.equal(a(image), b(image))


def test_networks_are_leaves_of_an_fx_graph_and_stages_can_be_called() -> None:
    root = nn.Module()
    root.add_module("node_a", WideResNet(10, 1, 0.5, 1, 3).eval())
    graph = fx.Graph()
    image = graph.placeholder("image")
    whole = graph.call_module("node_a", (image,))
    stem = graph.call_module("node_a.stem", (image,))
    graph.output((whole, stem))
    module = fx.GraphModule(root, graph)
    x = torch.rand(2, 1, 8, 8)
    logits, tap = module(x)
    network = root.get_submodule("node_a")
    assert torch.equal(logits, network(x))
    assert torch.equal(tap, network.get_submodule("stem")(x))


@pytest.mark.parametrize(("name", "arguments"), SMALL)
def test_compiles_without_a_graph_break(name: str, arguments: Mapping[str, object]) -> None:
    network = make(name, arguments, 1, 3)
    x = torch.rand(2, 1, 8, 8)
    compiled = torch.compile(network, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x), network(x))


def dropped(network: nn.Module) -> list[Dropout]:
    return [m for m in network.modules() if isinstance(m, Dropout)]


def test_a_network_has_one_dropout_or_none() -> None:
    assert dropped(WideResNet(10, 1, 0.0, 3, 10)) == []
    network = WideResNet(16, 1, 0.3, 3, 10)
    (only,) = dropped(network)
    assert all(block.dropout is only for block in network.stage2)
    assert WideResNet(10, 1, 0.0, 3, 10).state_dict().keys() == (
        WideResNet(10, 1, 0.3, 3, 10).state_dict().keys()
    )


def test_dropout_zeroes_a_share_and_keeps_the_mean() -> None:
    dropout = Dropout(0.25)
    dropout.seed(0)
    y = dropout(torch.ones(100_000))
    torch.testing.assert_close(y.unique(), torch.tensor([0.0, 1 / 0.75]))
    assert abs((y == 0).double().mean() - 0.25) < 5 * math.sqrt(0.25 * 0.75 / 100_000)
    x = torch.rand(5)
    assert dropout.eval()(x) is x


def test_dropout_gradient_is_its_mask() -> None:
    dropout = Dropout(0.5)
    x = torch.full((1000,), 3.0, requires_grad=True)
    y = dropout(x)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert torch.equal(gradient * 3, y)


def test_dropout_neither_moves_nor_follows_the_global_stream() -> None:
    dropout = Dropout(0.5)
    x = torch.ones(64)
    dropout.seed(7)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = dropout(x)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    dropout.seed(7)
    assert torch.equal(dropout(x), first)
    assert not torch.equal(dropout(x), first)  # the stream goes on
    dropout.seed(8)
    assert not torch.equal(dropout(x), first)


def test_the_initial_dropout_seed_follows_the_seed_of_the_weights() -> None:
    def draw(seed: int) -> Tensor:
        torch.manual_seed(seed)
        y: Tensor = Dropout(0.5)(torch.ones(64))
        return y

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))


def test_dropout_state_resumes_in_the_same_and_in_a_fresh_module() -> None:
    x = torch.ones(64)
    dropout = Dropout(0.5)
    dropout.seed(3)
    start = dropout.state()
    first = dropout(x)
    saved = dropout.state()
    second = dropout(x)

    dropout.set_state(saved)
    assert torch.equal(dropout(x), second)
    dropout.set_state(start)  # from before the first draw: what a warm-up has to undo
    assert torch.equal(dropout(x), first)

    fresh = Dropout(0.5)
    fresh.set_state(saved)
    assert saved is not None
    kept = fresh.state()
    assert kept is not None
    assert torch.equal(kept, saved)
    assert torch.equal(fresh(x), second)


def test_a_deep_copy_has_its_own_stream_from_the_same_point() -> None:
    dropout = Dropout(0.5)
    x = torch.ones(64)
    dropout(x)
    twin = copy.deepcopy(dropout)
    expected = dropout(x)
    dropout(x)
    assert torch.equal(twin(x), expected)
