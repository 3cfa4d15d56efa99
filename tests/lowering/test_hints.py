"""Help that can be followed: what it suggests, put in the place of the mistake, is sound."""

import re

import pytest

from ktgdsl.diagnostics.diagnostic import has_errors
from tests.specs import compiled, graph, said, sound

PAIR = "node a = resnet8 node b = resnet14 target a edge label -> a "
PUT = [
    # Numbers as other languages write them.
    (PAIR + "edge b -> a : kl(T=4) via 0,9", "", "0,9", "0.9"),
    (PAIR + "edge b -> a : kl(T=4) via 0,9, mse", "", "0,9", "0.9"),
    (PAIR + "edge b -> a : kl via 0,05 * correct", "", "0,05", "0.05"),
    (PAIR + "edge b -> a : 0,5 * kl + 0.5 * mse", "", "0,5", "0.5"),
    (PAIR + "edge b -> a : kl via until(62,5%)", "", "62,5%", "62.5%"),
    (PAIR + "edge b -> a : kl(T=4,5)", "", "4,5", "4.5"),
    (PAIR, "train { optimizer = sgd(lr=0,1) }", "0,1", "0.1"),
    (PAIR, "train { optimizer = sgd(0,1) }", "0,1", "0.1"),
    (PAIR, "train { clip = 0,5 }", "0,5", "0.5"),
    (PAIR, "data digits { batch = 1 000 }", "1 000", "1_000"),
    (PAIR, "data digits { batch = 1,000 }", "1,000", "1_000"),
    # Names and words.
    ("node a = resnet8 target a edge labels -> a", "", "labels", "label"),
    ("node a = resnet8 target a edge lable -> a", "", "lable", "label"),
    ("node 1t = resnet8 target t1 edge label -> t1", "", "1t", "t1"),
    ("node a = resnet8 target a edge label -> a : “ce” via linear", "", "“ce”", "ce"),
    (PAIR + "edge b -> a via 'correct'", "", "'correct'", "correct"),
    (PAIR + 'edge b -> a via "correct"', "", '"correct"', "correct"),
    (PAIR + 'edge b -> a : "kl"', "", '"kl"', "kl"),
    (PAIR, "data cifar-10", "cifar-10", "cifar10"),
    (PAIR, "data tiny-imagenet", "tiny-imagenet", "tiny_imagenet"),
    (PAIR, 'data "digits"', '"digits"', "digits"),
    (PAIR, "train { optimizer = ‘sgd’ }", "‘sgd’", "sgd"),
    ("node a = resnet18 target a edge label -> a", "", "resnet18", 'torchvision("resnet18")'),
    ("node a = ResNet18 target a edge label -> a", "", "ResNet18", 'torchvision("resnet18")'),
    ("node a = torchvision.resnet18 target a edge label -> a", "", "torchvision.resnet18",
     'torchvision("resnet18")'),
    ("node a = torchvision.models.resnet18 target a edge label -> a", "",
     "torchvision.models.resnet18", 'torchvision("resnet18")'),
    ("node a = nets.small.net target a edge label -> a", "", "nets.small.net",
     'python("nets.small:net")'),
    ('node a = python("nets.net") target a edge label -> a', "", '"nets.net"', '"nets:net"'),
    ("node a = wide_resnet28_10 target a edge label -> a", "", "wide_resnet28_10", "wrn28_10"),
    ("node a = resnet8x4 target a edge label -> a", "", "resnet8x4", "resnet(depth=8, width=64)"),
    # Words and settings as papers and other programs call them.
    (PAIR + "edge b -> a : kd", "", "kd", "kl(T=4)"),
    (PAIR + "edge b -> a : KLDivLoss", "", "KLDivLoss", "kl"),
    (PAIR + "edge b -> a : l2", "", "l2", "mse"),
    (PAIR + "edge b -> a : cosine", "", "cosine", "cosine_distance"),
    ("node a = resnet8 target a edge label -> a : cross_entropy", "", "cross_entropy", "ce"),
    ("node a = resnet8 target a edge label -> a : nll", "", "nll", "ce"),
    ("node a = resnet8 target a edge label -> a : label_smoothing", "", "label_smoothing",
     "ce(smoothing=0.1)"),
    (PAIR + "edge b -> a : kl(temperature=4)", "", "temperature", "T"),
    (PAIR + "edge b -> a via open", "", "open", "through"),
    (PAIR + "edge b -> a via none", "", "none", "cutoff"),
    (PAIR, "train { optimizer = sgd(learning_rate=0.1) }", "learning_rate", "lr"),
    (PAIR, "train { optimizer = adamw(wd=0.1) }", "wd", "weight_decay"),
    (PAIR, "train { optimizer = torch.optim.SGD(lr=0.1) }", "torch.optim.SGD", "sgd"),
    (PAIR, "train { schedule = CosineAnnealingLR }", "CosineAnnealingLR", "cosine(by=epoch)"),
    (PAIR, "train { schedule = ReduceLROnPlateau }", "ReduceLROnPlateau", "plateau"),
    (PAIR, "train { schedule = step(step_size=30) }", "step_size", "every"),
    (PAIR, "train { schedule = multistep(milestones=[30]) }", "milestones", "at"),
    (PAIR, "train { grad_clip = 1 }", "grad_clip", "clip"),
    (PAIR, "train { seeds = 5 }", "seeds", "repeats"),
    (PAIR, "data digits { batch_size = 32 }", "batch_size", "batch"),
    (PAIR, "data digits { val = 20% }", "val", "validation"),
    (PAIR, "data digits { holdout = True }", "True", "true"),
    (PAIR, "data digits { holdout = no }", "no", "false"),
    (PAIR, "data digits { holdout = 1 }", "1", "true"),
    (PAIR, 'train { epochs = "20" }', '"20"', "20"),
    ("node a = mobilenet_v2 target a edge label -> a", "", "mobilenet_v2", 'torchvision("vgg16")'),
]  # fmt: skip


@pytest.mark.parametrize(("body", "more", "wrong", "right"), PUT, ids=[each[2] for each in PUT])
def test_what_is_suggested_is_sound(body: str, more: str, wrong: str, right: str) -> None:
    text = graph(body, more)
    found = next(d for d in compiled(text).diagnostics if d.severity == "error")
    assert found.span is not None
    assert text[found.span.start : found.span.end] == wrong
    suggested = re.findall(r"`([^`]*)`", found.help or "")
    assert right in suggested
    fixed = text[: found.span.start] + right + text[found.span.end :]
    assert not has_errors(compiled(fixed).diagnostics), said(fixed)


SETTINGS = [
    ("data digits { validation = 0.2 }", "validation = 20%"),
    ("data digits { labeled = 0.125 }", "labeled = 12.5%"),
    ("data digits { samples = 1.0 }", "samples = 50%"),
    ("data digits { labeled = 2 * 0.5 }", "labeled = 50%"),
    ("data digits { validation = 1e0 }", "validation = 1"),
    ("train { seed = [3, 4, 5] }", "seed = 3  repeats = 3"),
    ("train { epochs = 20% }", "epochs = 20"),
    ("train { clip = 50% }", "clip = 0.5"),
    ("train { learning_rate = 0.1 }", "optimizer = sgd(lr=0.1)"),
]


@pytest.mark.parametrize(("block", "right"), SETTINGS, ids=[each[1] for each in SETTINGS])
def test_what_is_suggested_for_a_setting_is_sound(block: str, right: str) -> None:
    found = next(d for d in compiled(graph(PAIR, block)).diagnostics if d.severity == "error")
    assert f"`{right}`" in (found.help or "")
    fixed = graph(PAIR, f"{block.partition('{')[0]} {{ {right} }}")
    assert not has_errors(compiled(fixed).diagnostics), said(fixed)


@pytest.mark.parametrize(
    ("block", "help"),
    [
        ("train { batch_size = 64 }", "it belongs to the data: `data digits { batch = 64 }`"),
        ("train { clip = None }", "leave a setting out to have its default"),
    ],
)
def test_what_to_do_about_a_setting(block: str, help: str) -> None:
    found = next(d for d in compiled(graph(PAIR, block)).diagnostics if d.severity == "error")
    assert found.help == help


def test_a_comma_between_two_terms_is_one() -> None:
    terms = sound(graph(PAIR + "edge b -> a : kl via 1,2 * mse via 0.5,cosine_distance via 1"))
    assert len(terms.graph.edges[-1].terms) == 3


@pytest.mark.parametrize("gate", ["linear(1,0)", "linear(1,0 | 2)", "linear(0,1) * (until(5) | 1)"])
def test_a_comma_between_two_arguments_is_one(gate: str) -> None:
    assert said(graph(PAIR + f"edge b -> a : kl via {gate}")) == []


def test_a_comma_hides_no_other_mistake() -> None:
    text = graph(PAIR, "train { optimizer = sgd(0,1, bogus=3) }")
    errors = [each for each in said(text) if each[0] == "E"]
    assert errors == [
        "E104 `0,1` is not a number",
        "E207 `sgd` has no argument `bogus`",
    ]


def test_a_number_without_a_loss_keeps_its_help() -> None:
    (found,) = compiled(graph(PAIR + "edge b -> a : kl via 0, 9")).diagnostics
    assert found.code == "E303"
    assert found.help == "write `0.5 * kl`, or put the number behind `via`: `kl via 0.5`"


def test_labels_that_a_node_may_be() -> None:
    """No edge leads to the labels, so nobody is told to write one."""
    (found,) = compiled(
        graph("node a = resnet8 target a edge a -> labels edge label -> a")
    ).diagnostics
    assert found.help == "`node labels = resnet8` declares it; there is `a`"


def test_of_many_nodes_the_first_are_named() -> None:
    names = [f"n{i}" for i in range(11)]
    nodes = f"node {', '.join(names)} = resnet8 target n0 edge label -> * edge n0 -> xyzzy : kl"
    (found,) = compiled(graph(nodes)).diagnostics
    known = ", ".join(f"`{name}`" for name in names[:8])
    assert found.help == f"`node xyzzy = resnet8` declares it; there are {known} and 3 more"


@pytest.mark.parametrize(
    ("setting", "moved"),
    [
        ("lr = 0.1", "optimizer = sgd(lr=0.1)"),
        ("momentum = 0.9", "optimizer = sgd(momentum=0.9)"),
        ("warmup = 5%", "schedule = constant(warmup=5%)"),
        ("betas = [0.9, 0.99]", "optimizer = adamw(betas=[0.9, 0.99])"),
    ],
)
def test_arguments_that_stand_for_settings(setting: str, moved: str) -> None:
    (found,) = (d for d in compiled(graph(PAIR, f"train {{ {setting} }}")).diagnostics
                if d.severity == "error")  # fmt: skip
    assert found.code == "E204"
    assert f"`{moved}`" in str(found.help)
    assert sound(graph(PAIR, f"train {{ {moved} }}"))


def test_a_percentage_with_a_space() -> None:
    (found,) = compiled(graph(PAIR + "edge b -> a : kl via until(60 %)")).diagnostics
    assert found.help == "write a percentage as one word: `60%`"


@pytest.mark.parametrize(
    ("written", "meant"), [("3e0", 3), ("1e1", 10), ("4.0", 4), ("10 / 4 * 2", 5)]
)
def test_a_whole_number_is_one_however_it_is_written(written: str, meant: int) -> None:
    plan = sound(graph(PAIR, f"train {{ epochs = {written} }} data digits {{ samples = 1e2 }}"))
    assert plan.train.epochs == meant
    assert isinstance(plan.train.epochs, int)
    assert plan == sound(
        graph(PAIR, f"train {{ epochs = {meant} }} data digits {{ samples = 100 }}")
    )


@pytest.mark.parametrize("written", ["3.5", "1e300"])
def test_others_are_not(written: str) -> None:
    assert (
        "E301 `epochs` must be a whole number"
        in said(graph(PAIR, f"train {{ epochs = {written} }}"))[-1].partition(",")[0]
    )


def test_the_size_of_an_array_and_its_index() -> None:
    plan = sound(graph("node p[2e0] = resnet8 target p[1.0] edge label -> p"))
    assert plan.graph.targets == ("p[1]",)
