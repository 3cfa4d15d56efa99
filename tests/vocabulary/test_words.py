"""Particular words and settings: their ranges, facts and what the front end asks of them."""

from typing import Any

import pytest
from pydantic import ValidationError

from ktgdsl.lowering.resolve import Resolver
from ktgdsl.syntax.boundaries import RESERVED
from ktgdsl.vocabulary import (
    combines,
    derived,
    feature_losses,
    foreign_networks,
    gates,
    logit_losses,
    networks,
    predicates,
    rare_settings,
    search,
    settings,
    timed_gates,
)
from ktgdsl.vocabulary.call import Call
from ktgdsl.vocabulary.entry import Parameters, Percentage
from ktgdsl.vocabulary.optimizers import Sgd
from ktgdsl.vocabulary.refs import NodeRef, PhaseRef, ReferringEntry, Tap
from ktgdsl.vocabulary.registry import entries
from tests.words import H0, STAGE1, STAGE2, A, found, named, required, resolved

BLOCKS: list[type[Parameters]] = [
    search.SearchSettings,
    rare_settings.PhaseSettings,
    rare_settings.ShareSettings,
    settings.DataSettings,
    settings.TrainSettings,
    settings.NodeSettings,
]


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("loss dkd", {"alpha": -1.0}),
        ("loss dkd", {"beta": -0.1}),
        ("loss dkd", {"T": 0.0}),
        ("loss dkd", {"warmup": Percentage(101)}),
        ("loss dist", {"gamma": -1.0}),
        ("loss standardized_kl", {"T": -2.0}),
        ("loss python", {"function": "no colon"}),
        ("loss fsp", {"with": Tap("stage2", A)}),
        ("loss fsp", {"with": "stage2"}),
        ("loss irg", {"taps": []}),
        ("loss irg", {"taps": [NodeRef("stage1")]}),
        ("loss metric", {"on": "logits"}),
        ("loss rkd", {"angle": -1.0}),
        ("gate during", {"phases": []}),
        ("gate during", {"phases": ["hints"]}),
        ("gate confident", {"threshold": 1.0}),
        ("gate confident", {"threshold": -0.1}),
        ("gate stable", {"threshold": 1.0}),
        ("gate shard", {"index": 2}),
        ("gate shard", {"index": -1}),
        ("gate shard", {"count": 0}),
        ("network torchvision", {"name": "not a name"}),
        ("network timm", {"name": ""}),
        ("network timm", {"num_classes": 5}),
        ("network timm", {"in_chans": 1}),
        ("network ensemble", {"members": []}),
        ("network ensemble", {"members": [STAGE1]}),
        ("network ensemble", {"combine": combines.SumMix(), "on": "probabilities"}),
        ("network ensemble", {"combine": combines.Minimum(), "on": "probabilities"}),
        ("network ensemble", {"combine": combines.Concat(), "on": "probabilities"}),
        ("network ensemble", {"combine": combines.Concat(), "others": True}),
        ("network ensemble", {"combine": "mean"}),
        ("network ema", {"decay": 1.0}),
        ("network ema", {"decay": -0.1}),
        ("network copy", {"every": 0}),
        ("network constant", {"correct": 0.0}),
        ("network constant", {"correct": 1.0}),
        ("combine gated", {"by": STAGE2}),
        ("combine attention", {"factor": 0}),
        ("dataset folder", {"path": ""}),
        ("dataset python", {"function": "m"}),
        ("sampler random", {"seed": -1}),
        ("pruner asha", {"min": 0}),
        ("pruner asha", {"reduction": 1}),
        ("objective accuracy", {"on": "train"}),
        ("objective accuracy", {"of": STAGE1}),
    ],
)
def test_ranges(name: str, wrong: dict[str, Any]) -> None:
    entry = named(name)
    entry.model_validate(required(entry))
    with pytest.raises(ValidationError):
        entry.model_validate({**required(entry), **wrong})


class TestNetworks:
    @pytest.mark.parametrize(
        ("word", "full"),
        [
            ("resnet8", ("resnet", {"depth": 8})),
            ("resnet110", ("resnet", {"depth": 110})),
            ("wrn28_2", ("wrn", {"depth": 28, "widen": 2})),
            ("resnet", None),
            ("resnet_8", None),
            ("wrn28", None),
            ("wrn28_2_1", None),
            ("Resnet8", None),
            ("resnet1234567", None),
        ],
    )
    def test_spelled_out(self, word: str, full: tuple[str, dict[str, int]] | None) -> None:
        assert networks.expand_shorthand(word) == full

    @pytest.mark.parametrize(
        ("call", "short"),
        [
            (networks.Resnet(depth=32).call(), "resnet32"),
            (networks.Wrn(depth=28, widen=2).call(), "wrn28_2"),
            (networks.Resnet(depth=32, stride=2).call(), "resnet(depth=32, stride=2)"),
            (networks.Wrn(depth=28, widen=2, stride=2).call(),
             "wrn(depth=28, widen=2, dropout=0, stride=2)"),
            (networks.Wrn(depth=28, widen=2, dropout=0.3).call(),
             "wrn(depth=28, widen=2, dropout=0.3, stride=1)"),
            (foreign_networks.PythonNetwork(function="m:f").call(), 'python("m:f")'),
        ],
    )  # fmt: skip
    def test_shortest(self, call: Call, short: str) -> None:
        assert networks.shorthand(call) == short

    @pytest.mark.parametrize(
        ("word", "meant"),
        [
            ("resnt32", "resnet32"),
            ("ResNet8", "resnet8"),
            ("resnet_20", "resnet20"),
            ("wnr28_2", "wrn28_2"),
            ("wrn28", None),
            ("vgg16", None),
            ("teacher", None),
        ],
    )
    def test_respelled(self, word: str, meant: str | None) -> None:
        assert networks.suggest_shorthand(word) == meant

    @pytest.mark.parametrize("depth", [8, 14, 20, 32, 44, 56, 110])
    def test_depths_of_resnet(self, depth: int) -> None:
        assert networks.Resnet(depth=depth).depth == depth

    @pytest.mark.parametrize("depth", [-4, 0, 2, 7, 9, 18, 34])
    def test_no_depths_of_resnet(self, depth: int) -> None:
        with pytest.raises(ValidationError):
            networks.Resnet(depth=depth)

    @pytest.mark.parametrize("depth", [10, 16, 28, 40])
    def test_depths_of_wrn(self, depth: int) -> None:
        assert networks.Wrn(depth=depth, widen=1).depth == depth

    @pytest.mark.parametrize("depth", [4, 8, 12, 20])
    def test_no_depths_of_wrn(self, depth: int) -> None:
        with pytest.raises(ValidationError):
            networks.Wrn(depth=depth, widen=1)

    @pytest.mark.parametrize("factory", ["m", "m:", ":f", "m:f:g", "m f:g", "1m:f", "m:f()"])
    def test_no_factories(self, factory: str) -> None:
        with pytest.raises(ValidationError):
            foreign_networks.PythonNetwork(function=factory)


class TestLosses:
    @pytest.mark.parametrize("word", ["kl", "js", "dkd", "dist", "standardized_kl"])
    def test_a_temperature_may_move(self, word: str) -> None:
        loss = found("loss", f"{word}(T=linear(1, 4))")
        moving = {"name": "linear", "arguments": {"start": 1.0, "stop": 4.0}}
        assert loss.call().arguments["T"] == moving
        assert type(loss).from_call(loss.call()) == loss

    @pytest.mark.parametrize(
        ("T", "said"),
        [
            ("linear", "`T` of `kl` must stay greater than 0 and at most 10000, "
             "and its `start` is 0"),
            ("cosine(1, 20000)", "`T` of `kl` must stay greater than 0 and at most 10000, "
             "and its `stop` is 20000"),
            ("correct", "`T` of `kl` must be a number or `linear(1, 4)`, "
             "not `correct`"),
            ("until(30%)", "`T` of `kl` must be a number or `linear(1, 4)`, "
             "not `until(moment=30%)`"),
            ("0", "`T` of `kl` must be greater than 0, not 0"),
            ("20000", "`T` of `kl` must be at most 10000, not 20000"),
            ('"1"', '`T` of `kl` must be a number, not "1"'),
            ("lnear(1, 4)", "nothing that has a value is called `lnear`"),
        ],
    )  # fmt: skip
    def test_a_temperature_out_of_range(self, T: str, said: str) -> None:
        resolver = Resolver({})
        assert resolved("loss", f"kl(T={T})", resolver) is None
        assert [each.message for each in resolver.diagnostics] == [said]

    def test_the_scale_of_a_standardised_divergence(self) -> None:
        loss = logit_losses.StandardizedKl(T=3.0, scale=1.0)
        assert loss.call().arguments == {"T": 3.0, "std": "unbiased", "scale": 1.0}


class TestGates:
    @pytest.mark.parametrize(
        ("gate", "bounds"),
        [
            (gates.Through(), (1, 1)),
            (gates.Cutoff(), (0, 0)),
            (gates.Correct(), (0, 1)),
            (gates.Linear(), (0, 1)),
            (gates.Linear(start=3, stop=0.5), (0.5, 3)),
            (timed_gates.Cosine(start=0, stop=2), (0, 2)),
            (timed_gates.Rampup(length=80), (0, 1)),
            (timed_gates.Until(moment=Percentage(60)), (0, 1)),
            (timed_gates.Until(moment=Percentage(100)), (1, 1)),
            (timed_gates.Until(moment=0), (0, 0)),
            (timed_gates.Until(moment=100), (0, 1)),
            (timed_gates.After(moment=Percentage(0)), (1, 1)),
            (timed_gates.After(moment=Percentage(100)), (0, 0)),
            (timed_gates.After(moment=5), (0, 1)),
            (predicates.During(phases=[PhaseRef("a")]), (0, 1)),
            (predicates.Confident(), (0, 1)),
            (predicates.Confident(threshold=0.0), (1, 1)),
            (predicates.Agree(), (0, 1)),
            (predicates.Stable(threshold=0.0), (0, 1)),
            (predicates.Shard(index=1, count=2), (0, 1)),
            (predicates.Shard(index=0, count=1), (1, 1)),
            (predicates.PythonGate(function="m:f"), (0, 1)),
        ],
    )
    def test_bounds(self, gate: gates.Gate, bounds: tuple[float, float]) -> None:
        assert gate.bounds == bounds


class TestDerived:
    @pytest.mark.parametrize("word", ["mean", "attention", "linear"])
    def test_which_combine_probabilities(self, word: str) -> None:
        combine = entries("combine")[word]()
        assert isinstance(combine, combines.Combine)
        made = derived.Ensemble(members=[A], combine=combine, on="probabilities")
        assert made.combine == combine

    def test_the_entry_within_an_entry(self) -> None:
        gated = combines.Gated(by=Tap("stage2", H0))
        call = derived.Ensemble(members=[A, NodeRef("h", "*")], combine=gated).call()
        assert call.arguments["members"] == [{"node": "a"}, {"node": "h[*]"}]
        assert call.arguments["combine"] == {
            "name": "gated",
            "arguments": {"by": {"node": "h[0]", "tap": "stage2"}},
        }
        assert Call.model_validate_json(call.model_dump_json()) == call


@pytest.mark.parametrize(
    ("entry", "nodes"),
    [
        (derived.Ema(of=A), [A]),
        (derived.ConstantNode(), []),
        (derived.Ensemble(members=[A, H0]), [A, H0]),
        (derived.Ensemble(members=[A], combine=combines.Gated(by=Tap("stem", H0))), [A, H0]),
        (search.Accuracy(of=A), [A]),
        (feature_losses.Irg(taps=[STAGE1]), []),
        (predicates.During(phases=[PhaseRef("a")]), []),
    ],
)
def test_the_nodes_that_arguments_name(entry: ReferringEntry, nodes: list[NodeRef]) -> None:
    assert list(entry.named_nodes()) == nodes


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (A, "a"),
        (H0, "h[0]"),
        (NodeRef("h", "*"), "h[*]"),
        (STAGE1, "stage1"),
        (Tap("layer1.0.conv1", H0), "h[0].layer1.0.conv1"),
        (PhaseRef("distil"), "distil"),
    ],
)
def test_places_as_written(place: NodeRef | Tap | PhaseRef, text: str) -> None:
    assert str(place) == text


def test_a_node_is_no_tap_of_the_same_name() -> None:
    assert len({NodeRef("stem"), Tap("stem"), PhaseRef("stem")}) == 3


@pytest.mark.parametrize("block", BLOCKS)
class TestSettings:
    def test_are_described(self, block: type[Parameters]) -> None:
        assert block.__doc__
        assert all(field.description for field in block.model_fields.values())

    def test_defaults_are_sound(self, block: type[Parameters]) -> None:
        needed: dict[str, Any] = {"learn": [A], "layers": [STAGE1]}
        given = {
            name: needed[name] if field.is_required() else
            field.get_default(call_default_factory=True)
            for name, field in block.model_fields.items()
        }  # fmt: skip
        told = {name: value for name, value in given.items() if name in needed}
        assert block.model_validate(given) == block.model_construct(**told)

    def test_none_is_named_like_a_keyword(self, block: type[Parameters]) -> None:
        assert not {keyword.lower() for keyword in RESERVED} & set(block.model_fields)


@pytest.mark.parametrize(
    ("block", "good"),
    [
        (search.SearchSettings, {"sampler": search.All(), "pruner": search.NoPruner()}),
        (search.SearchSettings, {"objective": search.Accuracy(of=A, on="test"), "confirm": 5}),
        (rare_settings.PhaseSettings, {"learn": [A, H0], "epochs": 40, "take": "best"}),
        (rare_settings.PhaseSettings, {"learn": [A], "optimizer": Sgd()}),
        (rare_settings.ShareSettings, {"layers": [STAGE1, STAGE2], "grad": "mean"}),
        (settings.DataSettings, {"augment": "paper", "views": 2, "labeled": Percentage(10)}),
        (settings.TrainSettings, {"precision": "bf16", "update": "sequential"}),
        (settings.NodeSettings, {"device": "cuda:1"}),
    ],
)
def test_settings_accept(block: type[Parameters], good: dict[str, Any]) -> None:
    made = block.model_validate(good)
    assert {name: getattr(made, name) for name in good} == good


@pytest.mark.parametrize(
    ("block", "wrong"),
    [
        (search.SearchSettings, {"trials": 0}),
        (search.SearchSettings, {"sampler": "random"}),
        (search.SearchSettings, {"pruner": search.Random()}),
        (search.SearchSettings, {"epochs": 0}),
        (search.SearchSettings, {"confirm": -1}),
        (search.SearchSettings, {"workers": 0}),
        (rare_settings.PhaseSettings, {"learn": []}),
        (rare_settings.PhaseSettings, {"learn": ["a"]}),
        (rare_settings.PhaseSettings, {"learn": [A], "take": "first"}),
        (rare_settings.PhaseSettings, {"learn": [A], "epochs": 0}),
        (rare_settings.ShareSettings, {"layers": []}),
        (rare_settings.ShareSettings, {"layers": [Tap("stem", A)]}),
        (rare_settings.ShareSettings, {"layers": [STAGE1], "grad": "max"}),
        (settings.DataSettings, {"augment": "heavy"}),
        (settings.DataSettings, {"classes": 1}),
        (settings.DataSettings, {"labeled": 0}),
        (settings.DataSettings, {"labeled_batch": 0}),
        (settings.DataSettings, {"views": 3}),
        (settings.DataSettings, {"workers": -1}),
        (settings.TrainSettings, {"precision": "fp8"}),
        (settings.TrainSettings, {"on_zero": True}),
        (settings.NodeSettings, {"device": "gpu one"}),
    ],
)
def test_settings_refuse(block: type[Parameters], wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as failure:
        block.model_validate(wrong)
    assert {error["loc"][0] for error in failure.value.errors()} == {list(wrong)[-1]}
