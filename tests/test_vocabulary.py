"""The words of the language: what the reference promises, and that each is documented."""

import pytest
from pydantic import ValidationError

from ktgdsl.language.outline import RESERVED
from ktgdsl.vocabulary import gates, networks, settings
from ktgdsl.vocabulary.call import Call
from ktgdsl.vocabulary.entry import Entry, Parameters, Share
from ktgdsl.vocabulary.registry import KINDS, closest, entries, entry, kinds_of

ALL = [(kind, each) for kind in KINDS for each in entries(kind).values()]
BLOCKS: list[type[Parameters]] = [
    settings.NodeSettings,
    settings.DataSettings,
    settings.TrainSettings,
]
WORDS = {
    "network": "resnet wrn python torchvision timm ensemble ema copy constant",
    "loss": "ce kl reverse_kl js mse cosine_distance dkd dist standardized_kl entropy python hint "
    "attention fsp overhaul similarity irg metric rkd",
    "gate": "through cutoff linear correct until after rampup cosine during confident agree "
    "stable shard python",
    "optimizer": "sgd adamw",
    "schedule": "constant step multistep cosine",
    "dataset": "digits mnist fashion_mnist cifar10 cifar100 svhn tiny_imagenet folder python",
    "combine": "mean sum minimum gated attention concat linear",
    "sampler": "random tpe all",
    "pruner": "asha none",
    "objective": "accuracy",
}


def test_the_kinds_of_the_reference() -> None:
    assert set(KINDS) == set(WORDS)


@pytest.mark.parametrize("kind", KINDS)
def test_the_words_of_the_reference(kind: str) -> None:
    assert sorted(entries(kind)) == sorted(WORDS[kind].split())


@pytest.mark.parametrize("kind", KINDS)
def test_a_word_is_found_without_the_others(kind: str) -> None:
    assert all(entry(kind, word) is entries(kind)[word] for word in WORDS[kind].split())
    assert entry(kind, "nothing") is None


@pytest.mark.parametrize(("kind", "entry"), ALL, ids=lambda part: getattr(part, "word", part))
class TestEntry:
    def test_says_what_it_means(self, kind: str, entry: type[Entry]) -> None:
        assert entry.kind == kind
        assert entry.__doc__
        assert all(field.description for field in entry.model_fields.values())

    def test_its_defaults_are_sound(self, kind: str, entry: type[Entry]) -> None:
        """Where nothing is given the front end takes the defaults without validating them."""
        if not any(field.is_required() for field in entry.model_fields.values()):
            assert entry.model_validate({}) == entry.model_construct()

    def test_refuses_what_it_does_not_know(self, kind: str, entry: type[Entry]) -> None:
        if entry.model_config.get("extra") == "allow":
            return
        with pytest.raises(ValidationError):
            entry.model_validate({"no_such_argument": 1})


@pytest.mark.parametrize("block", BLOCKS)
class TestSettings:
    def test_are_documented(self, block: type[Parameters]) -> None:
        described = {n for n, f in block.model_fields.items() if f.description}
        assert set(block.model_fields) - described <= {"optimizer", "schedule"}

    def test_defaults_are_sound(self, block: type[Parameters]) -> None:
        given = {n: f.get_default(call_default_factory=True) for n, f in block.model_fields.items()}
        assert block.model_validate(given) == block.model_construct()

    def test_none_is_named_like_a_keyword(self, block: type[Parameters]) -> None:
        keywords = {keyword.lower() for keyword in RESERVED}
        assert not keywords & set(block.model_fields)


@pytest.mark.parametrize(
    ("entry", "positions"),
    [
        ("network wrn", ["depth", "widen", "dropout"]),
        ("loss kl", ["T", "scale"]),
        ("gate linear", ["start", "stop"]),
        ("optimizer sgd", ["lr", "momentum", "nesterov", "weight_decay"]),
        ("optimizer adamw", ["lr", "betas", "eps", "weight_decay"]),
        ("schedule step", ["every", "gamma", "warmup"]),
        ("schedule multistep", ["at", "gamma", "warmup"]),
        ("schedule cosine", ["minimum", "warmup"]),
        ("schedule constant", ["warmup"]),
    ],
)
def test_the_order_of_arguments(entry: str, positions: list[str]) -> None:
    kind, word = entry.split()
    assert entries(kind)[word].positions() == positions


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
        assert networks.spelled_out(word) == full

    @pytest.mark.parametrize(
        ("call", "short"),
        [
            (networks.Resnet(depth=32).call(), "resnet32"),
            (networks.Wrn(depth=28, widen=2).call(), "wrn28_2"),
            (networks.Wrn(depth=28, widen=2, dropout=0.3).call(),
             "wrn(depth=28, widen=2, dropout=0.3)"),
            (networks.PythonNetwork(function="m:f").call(), 'python(function="m:f")'),
        ],
    )  # fmt: skip
    def test_shortest(self, call: Call, short: str) -> None:
        assert networks.shortest(call) == short

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
        assert networks.respelled(word) == meant

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
            networks.PythonNetwork(function=factory)


@pytest.mark.parametrize(
    ("gate", "bounds"),
    [
        (gates.Through(), (1, 1)),
        (gates.Cutoff(), (0, 0)),
        (gates.Correct(), (0, 1)),
        (gates.Linear(), (0, 1)),
        (gates.Linear(start=3, stop=0.5), (0.5, 3)),
        (gates.Cosine(start=0, stop=2), (0, 2)),
        (gates.Rampup(length=80), (0, 1)),
        (gates.Until(moment=Share(60)), (0, 1)),
        (gates.Until(moment=Share(100)), (1, 1)),
        (gates.Until(moment=0), (0, 0)),
        (gates.Until(moment=100), (0, 1)),
        (gates.After(moment=Share(0)), (1, 1)),
        (gates.After(moment=Share(100)), (0, 0)),
        (gates.After(moment=5), (0, 1)),
    ],
)
def test_bounds(gate: gates.Gate, bounds: tuple[float, float]) -> None:
    assert gate.bounds == bounds


def test_which_gates_tell_samples_apart() -> None:
    told = {w for w, e in entries("gate").items() if getattr(e, "per_sample", None)}
    assert told == {"correct", "confident", "agree", "stable", "shard", "python"}


def test_which_gates_look_at_the_source() -> None:
    told = {w for w, e in entries("gate").items() if getattr(e, "of_source", None)}
    assert told == {"correct", "confident", "agree", "stable"}


@pytest.mark.parametrize(
    ("word", "kinds"),
    [
        ("kl", ["loss"]),
        ("cosine", ["gate", "schedule"]),
        ("constant", ["network", "schedule"]),
        ("sum", ["combine"]),
        ("linear", ["gate", "combine"]),
        ("attention", ["loss", "combine"]),
        ("python", ["network", "loss", "gate", "dataset"]),
        ("resnet56", ["network"]),
        ("confident", ["gate"]),
        ("a", []),
    ],
)
def test_kinds(word: str, kinds: list[str]) -> None:
    assert kinds_of(word) == kinds


@pytest.mark.parametrize(
    ("word", "candidates", "expected"),
    [
        ("corect", ["correct", "linear"], "correct"),
        ("LINEAR", ["correct", "linear"], "linear"),
        ("t", ["T", "a"], "T"),
        ("xyz", ["correct", "linear"], None),
        ("a", [], None),
    ],
)
def test_closest(word: str, candidates: list[str], expected: str | None) -> None:
    assert closest(word, candidates) == expected


def test_the_facts_about_digits() -> None:
    digits = entries("dataset")["digits"]
    facts = {name: getattr(digits, name) for name in ("classes", "shape", "train_samples")}
    assert facts == {"classes": 10, "shape": (1, 8, 8), "train_samples": 1297}
    assert getattr(digits, "test_samples", None) == 500
