"""The rest of the vocabulary: its words, defaults, ranges, documentation and plain data."""

import json
import re
from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import ValidationError

from ktgdsl.vocabulary import (
    derived,
    feature_losses,
    images,
    logit_losses,
    networks,
    predicates,
    search,
    settings,
)
from ktgdsl.vocabulary.call import Call
from ktgdsl.vocabulary.entry import Entry, Parameters, Share
from ktgdsl.vocabulary.gates import Gate
from ktgdsl.vocabulary.losses import Loss
from ktgdsl.vocabulary.optimizers import Sgd
from ktgdsl.vocabulary.places import NodeRef, PhaseRef, Pointing, Tap

A = NodeRef("a")
H0 = NodeRef("h", 0)
STAGE1, STAGE2 = Tap("stage1"), Tap("stage2")

ENTRIES: dict[str, Sequence[type[Entry]]] = {
    "loss": [*logit_losses.ENTRIES, *feature_losses.ENTRIES],
    "gate": predicates.ENTRIES,
    "network": [networks.Torchvision, networks.Timm, *derived.ENTRIES],
    "combine": derived.COMBINES,
    "dataset": images.ENTRIES,
    "sampler": search.SAMPLERS,
    "pruner": search.PRUNERS,
    "objective": search.OBJECTIVES,
}
WORDS = {
    "loss": [
        "dkd", "dist", "standardized_kl", "entropy", "python", "hint", "attention", "fsp",
        "overhaul", "similarity", "irg", "metric", "rkd",
    ],
    "gate": ["during", "confident", "agree", "stable", "shard", "python"],
    "network": ["torchvision", "timm", "ensemble", "ema", "copy", "constant"],
    "combine": ["mean", "sum", "minimum", "gated", "attention", "concat", "linear"],
    "dataset": [
        "mnist", "fashion_mnist", "cifar10", "cifar100", "svhn", "tiny_imagenet", "folder",
        "python",
    ],
    "sampler": ["random", "tpe", "all"],
    "pruner": ["asha", "none"],
    "objective": ["accuracy"],
}  # fmt: skip
REQUIRED: dict[str, dict[str, Any]] = {
    "loss python": {"function": "m:f"},
    "loss fsp": {"with": STAGE2},
    "loss irg": {"taps": [STAGE1, STAGE2]},
    "gate during": {"phases": [PhaseRef("hints")]},
    "gate shard": {"index": 0, "count": 2},
    "gate python": {"function": "m:f"},
    "network torchvision": {"name": "resnet18"},
    "network timm": {"name": "resnet18"},
    "network ensemble": {"members": [NodeRef("h")]},
    "network ema": {"of": A},
    "network copy": {"of": A},
    "combine gated": {"by": Tap("stage2", H0)},
    "dataset folder": {"path": "flowers"},
    "dataset python": {"function": "m:f"},
    "objective accuracy": {"of": A},
}
ALL = [entry for kind in ENTRIES for entry in ENTRIES[kind]]
BLOCKS: list[type[Parameters]] = [
    search.SearchSettings,
    settings.PhaseSettings,
    settings.ShareSettings,
    settings.DataSettings,
    settings.TrainSettings,
    settings.NodeSettings,
]


def required(entry: type[Entry]) -> dict[str, Any]:
    return REQUIRED.get(f"{entry.kind} {entry.word}", {})


def find(kind: str, word: str) -> type[Entry]:
    return next(entry for entry in ENTRIES[kind] if entry.word == word)


@pytest.mark.parametrize("kind", ENTRIES)
def test_the_words_of_the_reference(kind: str) -> None:
    assert [entry.word for entry in ENTRIES[kind]] == WORDS[kind]
    assert {entry.kind for entry in ENTRIES[kind]} == {kind}


@pytest.mark.parametrize("entry", ALL, ids=lambda entry: f"{entry.kind}-{entry.word}")
class TestEntry:
    def test_needs_what_has_no_default(self, entry: type[Entry]) -> None:
        needed = {name for name, field in entry.model_fields.items() if field.is_required()}
        assert needed == set(required(entry))

    def test_its_defaults_are_sound(self, entry: type[Entry]) -> None:
        """Where nothing is given the front end takes the defaults without validating them."""
        given = {
            name: field.get_default(call_default_factory=True)
            for name, field in entry.model_fields.items()
            if not field.is_required()
        }
        made = entry.model_validate({**required(entry), **given})
        assert made == entry.model_validate(required(entry))
        assert made == entry.model_construct(**required(entry))

    def test_every_parameter_is_described(self, entry: type[Entry]) -> None:
        assert all(field.description for field in entry.model_fields.values())

    def test_says_what_it_means(self, entry: type[Entry]) -> None:
        text = entry.__doc__ or ""
        if entry.kind in ("loss", "gate", "combine") or issubclass(entry, derived.Derived):
            assert re.search(r"\S = \S|KL\(\S|mean\(\(", text)
        if entry.word not in ("python", "folder", "torchvision", "timm", "all", "none"):
            assert re.search(r"Source: [^.]+(19|20)\d\d", text.replace("et al.", "et al"))

    def test_its_call_survives_json(self, entry: type[Entry]) -> None:
        call = entry.model_validate(required(entry)).call()
        assert call.name == entry.word
        assert list(call.arguments) == entry.positions()
        assert Call.model_validate_json(call.model_dump_json()) == call
        assert json.loads(json.dumps(call.arguments)) == call.arguments

    def test_refuses_what_it_does_not_know(self, entry: type[Entry]) -> None:
        given = {**required(entry), "no_such_argument": 1}
        if entry.word == "python":
            assert entry.model_validate(given).call().arguments["no_such_argument"] == 1
        else:
            with pytest.raises(ValidationError):
                entry.model_validate(given)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("loss dkd", {"alpha": 1.0, "beta": 8.0, "T": 4.0, "warmup": 20.0}),
        ("loss dist", {"beta": 1.0, "gamma": 1.0, "T": 1.0}),
        ("loss standardized_kl", {"T": 2.0, "scale": 4.0}),
        ("loss fsp", {"with": {"tap": "stage2"}}),
        ("loss irg", {"taps": [{"tap": "stage1"}, {"tap": "stage2"}], "logits": 0.1,
                      "distances": 5.0, "transforms": 5.0}),
        ("loss rkd", {"distance": 25.0, "angle": 50.0}),
        ("loss metric", {"on": "distances"}),
        ("gate during", {"phases": [{"phase": "hints"}]}),
        ("gate confident", {"threshold": 0.8}),
        ("gate shard", {"index": 0, "count": 2}),
        ("network torchvision", {"name": "resnet18", "weights": None}),
        ("network ensemble", {"members": [{"node": "h"}],
                              "combine": {"name": "mean", "arguments": {}},
                              "on": "logits", "others": False, "detach": True}),
        ("network ema", {"of": {"node": "a"}, "decay": 0.999}),
        ("network copy", {"of": {"node": "a"}, "every": 50}),
        ("network constant", {"correct": 0.99}),
        ("combine gated", {"by": {"node": "h[0]", "tap": "stage2"}}),
        ("sampler tpe", {"seed": 0}),
        ("pruner asha", {"min": 1, "reduction": 2}),
        ("objective accuracy", {"of": {"node": "a"}, "on": "validation"}),
    ],
)  # fmt: skip
def test_defaults_in_the_order_of_positions(name: str, arguments: dict[str, Any]) -> None:
    entry = find(*name.split())
    call = entry.model_validate(required(entry)).call()
    assert list(call.arguments.items()) == list(arguments.items())


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("loss dkd", {"alpha": -1.0}),
        ("loss dkd", {"beta": -0.1}),
        ("loss dkd", {"T": 0.0}),
        ("loss dkd", {"warmup": Share(101)}),
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
        ("network ensemble", {"members": []}),
        ("network ensemble", {"members": [STAGE1]}),
        ("network ensemble", {"combine": derived.Sum(), "on": "probabilities"}),
        ("network ensemble", {"combine": derived.Minimum(), "on": "probabilities"}),
        ("network ensemble", {"combine": derived.Concat(), "on": "probabilities"}),
        ("network ensemble", {"combine": derived.Concat(), "others": True}),
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
    entry = find(*name.split())
    entry.model_validate(required(entry))
    with pytest.raises(ValidationError):
        entry.model_validate({**required(entry), **wrong})


class TestLosses:
    def test_where_they_may_come_from(self) -> None:
        losses = [entry for entry in ENTRIES["loss"] if issubclass(entry, Loss)]
        assert len(losses) == len(WORDS["loss"])
        other = {loss.word: set(loss.sources) for loss in losses if loss.sources != {"node"}}
        assert other == {"entropy": {"nothing"}, "python": {"node", "label", "nothing"}}

    def test_what_they_need(self) -> None:
        features = [e for e in feature_losses.ENTRIES if issubclass(e, feature_losses.FeatureLoss)]
        assert len(features) == len(feature_losses.ENTRIES)
        assert {e.word for e in features if e.connector} == {"hint", "overhaul"}
        assert {e.word for e in features if e.maps} == {"attention", "fsp", "overhaul"}
        assert {e.word for e in features if not e.inside} == {"irg"}

    def test_the_scale_of_a_standardised_divergence(self) -> None:
        loss = logit_losses.StandardizedKl(T=3.0, scale=1.0)
        assert loss.call().arguments == {"T": 3.0, "scale": 1.0}


class TestGates:
    @pytest.mark.parametrize(
        ("gate", "bounds"),
        [
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
    def test_bounds(self, gate: Gate, bounds: tuple[float, float]) -> None:
        assert gate.bounds == bounds

    def test_which_tell_samples_apart(self) -> None:
        schedules = {e.word for e in predicates.ENTRIES if not getattr(e, "per_sample", False)}
        assert schedules == {"during"}

    def test_which_are_through_from_the_labels(self) -> None:
        certain = {e.word for e in predicates.ENTRIES if getattr(e, "certain", False)}
        assert certain == {"confident", "stable"}

    def test_which_need_two_views(self) -> None:
        assert {e.word for e in predicates.ENTRIES if getattr(e, "views", 1) > 1} == {"stable"}


class TestDerived:
    def test_which_combines_learn(self) -> None:
        learned = {e.word for e in derived.COMBINES if getattr(e, "learned", False)}
        assert learned == {"gated", "attention", "concat", "linear"}

    @pytest.mark.parametrize("word", ["mean", "attention", "linear"])
    def test_which_combine_probabilities(self, word: str) -> None:
        combine = find("combine", word)()
        assert isinstance(combine, derived.Combine)
        made = derived.Ensemble(members=[A], combine=combine, on="probabilities")
        assert made.combine == combine

    def test_the_entry_within_an_entry(self) -> None:
        gated = derived.Gated(by=Tap("stage2", H0))
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
        (derived.Ensemble(members=[A], combine=derived.Gated(by=Tap("stem", H0))), [A, H0]),
        (search.Accuracy(of=A), [A]),
        (feature_losses.Irg(taps=[STAGE1]), []),
        (predicates.During(phases=[PhaseRef("a")]), []),
    ],
)
def test_the_nodes_that_arguments_name(entry: Pointing, nodes: list[NodeRef]) -> None:
    assert list(entry.mentions()) == nodes


def test_which_take_any_number_of_arguments() -> None:
    variadic = {e.word: v for e in ALL if (v := getattr(e, "variadic", None)) is not None}
    assert variadic == {"during": "phases", "ensemble": "members"}
    assert all(find(k, w).positions()[0] == variadic[w] for k, w in
               [("gate", "during"), ("network", "ensemble")])  # fmt: skip


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


@pytest.mark.parametrize(
    ("word", "facts"),
    [
        ("mnist", (10, (1, 28, 28), 60_000, 10_000)),
        ("fashion_mnist", (10, (1, 28, 28), 60_000, 10_000)),
        ("cifar10", (10, (3, 32, 32), 50_000, 10_000)),
        ("cifar100", (100, (3, 32, 32), 50_000, 10_000)),
        ("svhn", (10, (3, 32, 32), 73_257, 26_032)),
        ("tiny_imagenet", (200, (3, 64, 64), 100_000, 10_000)),
        ("folder", (None, None, None, None)),
        ("python", (None, None, None, None)),
    ],
)
def test_the_facts_about_data(word: str, facts: tuple[Any, ...]) -> None:
    entry = find("dataset", word)
    names = ("classes", "shape", "train_samples", "test_samples")
    assert tuple(getattr(entry, name) for name in names) == facts


def test_augmentations_of_images() -> None:
    found = [e for e in images.ENTRIES if issubclass(e, images.Images)]
    assert {e.word: (e.pad, e.flips) for e in found if e.pad or e.flips} == {
        "cifar10": (4, True),
        "cifar100": (4, True),
        "svhn": (4, False),
        "tiny_imagenet": (4, True),
    }


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


@pytest.mark.parametrize(
    ("block", "names"),
    [
        (search.SearchSettings,
         "trials sampler pruner objective epochs confirm dedupe workers"),
        (settings.PhaseSettings, "learn epochs optimizer schedule take"),
        (settings.ShareSettings, "layers grad"),
        (settings.DataSettings,
         "batch validation holdout augment root classes labeled "
         "views workers"),
        (settings.TrainSettings,
         "epochs optimizer schedule precision compile seed repeats update aggregate reduce "
         "on_zero clip checkpoint"),
        (settings.NodeSettings, "weights frozen optimizer schedule mode keep device"),
    ],
)  # fmt: skip
def test_the_names_of_settings(block: type[Parameters], names: str) -> None:
    assert list(block.model_fields) == names.split()


@pytest.mark.parametrize(
    ("block", "good"),
    [
        (search.SearchSettings, {"sampler": search.All(), "pruner": search.NoPruner()}),
        (search.SearchSettings, {"objective": search.Accuracy(of=A, on="test"), "confirm": 5}),
        (settings.PhaseSettings, {"learn": [A, H0], "epochs": 40, "take": "best"}),
        (settings.PhaseSettings, {"learn": [A], "optimizer": Sgd()}),
        (settings.ShareSettings, {"layers": [STAGE1, STAGE2], "grad": "mean"}),
        (settings.DataSettings, {"augment": "paper", "views": 2, "labeled": Share(10)}),
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
        (settings.PhaseSettings, {"learn": []}),
        (settings.PhaseSettings, {"learn": ["a"]}),
        (settings.PhaseSettings, {"learn": [A], "take": "first"}),
        (settings.PhaseSettings, {"learn": [A], "epochs": 0}),
        (settings.ShareSettings, {"layers": []}),
        (settings.ShareSettings, {"layers": [Tap("stem", A)]}),
        (settings.ShareSettings, {"layers": [STAGE1], "grad": "max"}),
        (settings.DataSettings, {"augment": "heavy"}),
        (settings.DataSettings, {"classes": 1}),
        (settings.DataSettings, {"labeled": 0}),
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
