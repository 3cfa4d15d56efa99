"""The words of the language: what the reference promises, and that each is documented."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal, get_origin

import pytest
from pydantic import ValidationError

from ktgdsl.language.outline import RESERVED
from ktgdsl.language.parse import parse_value
from ktgdsl.language.resolve import Resolver
from ktgdsl.language.source import Source
from ktgdsl.language.syntax import Reference
from ktgdsl.vocabulary import gates, networks, settings
from ktgdsl.vocabulary.call import Call, shown_path
from ktgdsl.vocabulary.entry import Entry, Parameters, Share
from ktgdsl.vocabulary.places import NodeRef, PhaseRef, Tap
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

    def test_a_parameter_called_like_a_keyword_can_be_given_by_its_place(
        self, kind: str, entry: type[Entry]
    ) -> None:
        keywords = {keyword.lower() for keyword in RESERVED}
        assert not keywords & set(entry.positions()[1:])

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


def resolved(kind: str, text: str, resolver: Resolver) -> Entry | None:
    """The entry that a text means where a word of the kind stands."""
    value, problems = parse_value(Source("spec.ktg", text))
    assert value is not None, problems
    return resolver.word(value, kind)


def found(kind: str, text: str) -> Entry:
    resolver = Resolver({})
    entry = resolved(kind, text, resolver)
    assert entry is not None, [each.message for each in resolver.diagnostics]
    return entry


H0 = NodeRef("h", 0)


class TestPlaces:
    @pytest.mark.parametrize(
        ("kind", "text", "name", "expected"),
        [
            ("objective", "accuracy(m1)", "of", NodeRef("m1")),
            ("objective", "accuracy(p[0])", "of", NodeRef("p", 0)),
            ("network", "ema(a, decay=0.9)", "of", NodeRef("a")),
            ("network", "ema(p[*])", "of", NodeRef("p", "*")),
            ("network", "copy(p[3 - 1])", "of", NodeRef("p", 2)),
            ("network", "ensemble(h)", "members", [NodeRef("h")]),
            ("network", "ensemble(a, h[0])", "members", [NodeRef("a"), H0]),
            ("network", "ensemble(a, h, combine=sum)", "members", [NodeRef("a"), NodeRef("h")]),
            ("network", "ensemble(members=[a, h[*]])", "members",
             [NodeRef("a"), NodeRef("h", "*")]),
            ("combine", "gated(by=h[0].stage2)", "by", Tap("stage2", H0)),
            ("combine", "gated(a.stem)", "by", Tap("stem", NodeRef("a"))),
            ("combine", 'gated(a."layer1.0.conv1")', "by", Tap("layer1.0.conv1", NodeRef("a"))),
            ("loss", "fsp(with=stage2)", "with", Tap("stage2")),
            ("loss", 'fsp("layer1.0.conv1")', "with", Tap("layer1.0.conv1")),
            ("loss", 'irg(taps=[stage1, "node"])', "taps", [Tap("stage1"), Tap("node")]),
            ("gate", "during(hints)", "phases", [PhaseRef("hints")]),
            ("gate", "during(hints, distil)", "phases", [PhaseRef("hints"), PhaseRef("distil")]),
            ("gate", "during(phases=[hints])", "phases", [PhaseRef("hints")]),
        ],
    )  # fmt: skip
    def test_what_arguments_point_at(self, kind: str, text: str, name: str, expected: Any) -> None:
        assert getattr(found(kind, text), name) == expected

    @pytest.mark.parametrize(
        ("kind", "text", "expected", "place"),
        [
            ("objective", "accuracy(1)", "E301 a node is needed here", "1"),
            ("objective", 'accuracy("a")', "E301 a node is needed here", '"a"'),
            ("objective", "accuracy(a.stem)", "E301 a node is needed here", "a.stem"),
            ("objective", "accuracy([a])", "E301 a node is needed here", "[a]"),
            ("objective", "accuracy(a(1))", "E301 a node is needed here", "a(1)"),
            ("objective", "accuracy(p[0.5])", "E301 a node is needed here", "p[0.5]"),
            ("objective", "accuracy(p[true])", "E301 a node is needed here", "p[true]"),
            ("objective", "accuracy(p[x])", "E201 nothing that has a value is called `x`", "x"),
            ("network", "ensemble(a, 2)", "E301 a node is needed here", "2"),
            ("network", "ensemble([a])", "E301 a node is needed here", "[a]"),
            ("network", "ensemble(members=a)", "E301 a list is needed here, even of one", "a"),
            ("network", "ensemble(members=[])",
             "E302 `members` of `ensemble` must have at least 1 item", "[]"),
            ("network", "ensemble(a, members=[b])",
             "E209 `members` of `ensemble` is given twice", "members"),
            ("network", "ensemble(combine=sum)", "E208 `ensemble` needs `members`",
             "ensemble(combine=sum)"),
            ("network", "ensemble(a, combine=kl)",
             "E301 `kl` is a loss, and a combine is needed here", "kl"),
            ("combine", "gated(by=stage2)", "E301 a place inside of a node is needed here",
             "stage2"),
            ("combine", "gated(by=h[0])", "E301 a place inside of a node is needed here", "h[0]"),
            ("combine", "gated(by=h[true].stem)", "E301 a place inside of a node is needed here",
             "h[true].stem"),
            ("combine", 'gated(by=h."")', "E301 a place inside of a node is needed here", 'h.""'),
            ("loss", "fsp(with=a.stage2)", "E301 a layer is needed here", "a.stage2"),
            ("loss", "fsp(with=2)", "E301 a layer is needed here", "2"),
            ("loss", 'fsp(with="")', "E301 a layer is needed here", '""'),
            ("loss", "irg(taps=stage1)", "E301 a list is needed here, even of one", "stage1"),
            ("gate", "during()", "E208 `during` needs `phases`", "during()"),
            ("gate", "during(hints, 1)", "E301 a phase is needed here", "1"),
            ("gate", 'during("hints")', "E301 a phase is needed here", '"hints"'),
        ],
    )  # fmt: skip
    def test_what_points_at_nothing(self, kind: str, text: str, expected: str, place: str) -> None:
        resolver = Resolver({})
        assert resolved(kind, text, resolver) is None
        (said,) = resolver.diagnostics
        assert f"{said.code} {said.message}" == expected
        assert said.span is not None
        assert text[said.span.start : said.span.end] == place

    def test_an_open_value_is_none_and_nothing_is_said(self) -> None:
        resolver = Resolver({})
        assert resolved("gate", "during(hints | distil)", resolver) is None
        assert resolver.diagnostics == []

    def test_each_node_is_shown_to_the_check(self) -> None:
        seen: list[Reference] = []
        resolver = Resolver({})
        resolver.node_check = seen.append
        text = "ensemble(a, h[*], combine=gated(by=h[0].stage2))"
        assert resolved("network", text, resolver) is not None
        assert sorted((node.name, node.index is None, node.tap) for node in seen) == [
            ("a", True, None), ("h", False, None), ("h", False, None),
        ]  # fmt: skip
        assert {text[node.span.start : node.span.end] for node in seen} >= {"a", "h[*]"}

    def test_what_the_check_complains_about_is_not_used(self) -> None:
        resolver = Resolver({})
        resolver.node_check = lambda node: resolver.complain("E201", "no such node", node.span)
        assert resolved("objective", "accuracy(zz)", resolver) is None
        assert [each.message for each in resolver.diagnostics] == ["no such node"]

    @pytest.mark.parametrize(
        ("text", "help_"),
        [
            ("during(distill)", "did you mean `distil`?"),
            ("during(hints, xyzzy)", "`phase xyzzy { learn = [a] }` declares it"),
        ],
    )
    def test_a_phase_that_there_is_not(self, text: str, help_: str) -> None:
        resolver = Resolver({})
        resolver.phases = ["hints", "distil"]
        assert resolved("gate", "during(hints, distil)", resolver) is not None
        assert resolved("gate", text, resolver) is None
        (said,) = resolver.diagnostics
        name = re.findall(r"\w+", text)[-1]
        assert (said.code, said.message) == ("E201", f"there is no phase called `{name}`")
        assert said.help == help_

    def test_a_phase_that_may_be_in_what_did_not_parse(self) -> None:
        resolver = Resolver({}, frozenset({"lost"}))
        resolver.phases = []
        assert resolved("gate", "during(lost)", resolver) is None
        assert resolver.diagnostics == []


EXAMPLES: dict[str, list[str]] = {
    "network": [
        "resnet(depth=8)", "wrn(depth=16, widen=2, dropout=0.3)", "timm(name=\"resnet18\")",
        'python("nets:make", width=8, act="relu", at=[10%, 2], deep=true, low=-1)',
        "ensemble(h[*])", "ensemble(a, h[0], combine=gated(h[0].stage2), others=true)",
        "ensemble(a, b, combine=attention(4), on=probabilities, detach=false)", "ema(p[1], 0.5)",
        "copy(a)", "constant(0.9)",
    ],
    "loss": [
        "ce(0.1)", "kl(T=4)", "kl(T=4, scale=1)", "reverse_kl", "js", "mse(on=probabilities)",
        "cosine_distance", "dkd(warmup=10%)", "dist(2, 2)", "standardized_kl", "entropy",
        r'python("losses:mine", name="a \"quoted\" \\ path\tand\nlines", none="")', "hint",
        "attention", 'fsp("layer1.0.conv1")', "overhaul", "similarity", "irg([stem, stage1])",
        'irg(taps=["data", "label", "stage1"], logits=0)', "metric(on=features)", "rkd",
    ],
    "gate": [
        "through", "cutoff", "linear(1, 0)", "correct", "until(60%)", "after(7)", "rampup(80)",
        "cosine", "during(hints)", "during(hints, distil)", "confident", "agree", "stable(0.9)",
        "shard(0, 2)", 'python("gates:mine", low=1e-7)',
    ],
    "optimizer": ["sgd(0.5, 0.9, nesterov=true)", "adamw(betas=[0.5, 0.75])"],
    "schedule": ["constant", "step(30%)", "multistep([40, 60.5, 90%])", "cosine(warmup=5)"],
    "dataset": [
        "digits", "mnist", "fashion_mnist", "cifar10", "cifar100", "svhn", "tiny_imagenet",
        'folder("flowers and trees")', 'python("data:mine")',
    ],
    "combine": ["mean", "sum", "minimum", "gated(a.stem)", "attention", "concat", "linear"],
    "sampler": ["random(7)", "tpe", "all"],
    "pruner": ["asha(2, 3)", "none"],
    "objective": ["accuracy(p[0])", "accuracy(a, on=test)"],
}  # fmt: skip


class TestShown:
    """What a plan shows of a word means the same where a spec has it."""

    def test_every_word_has_an_example(self) -> None:
        for kind in KINDS:
            told = {re.split(r"\W", text)[0] for text in EXAMPLES[kind]}
            # A plan shows `weights=none` for none at all, which no spec has to write.
            assert told == set(WORDS[kind].split()) - {"torchvision"}

    @pytest.mark.parametrize(
        ("kind", "text"), [(kind, text) for kind in KINDS for text in EXAMPLES[kind]]
    )
    def test_it_parses_back(self, kind: str, text: str) -> None:
        entry = found(kind, text)
        shown = str(entry.call())
        for name, field in type(entry).model_fields.items():
            if get_origin(field.annotation) is Literal:
                # One of several words stands in quotes in a plan, and without them in a spec.
                word = getattr(entry, name)
                assert f'{name}="{word}"' in shown
                shown = shown.replace(f'{name}="{word}"', f"{name}={word}")
        assert found(kind, shown).call() == entry.call()

    @pytest.mark.parametrize(
        ("kind", "text", "expected"),
        [
            ("combine", "gated(h[0].stage2)", "gated(by=h[0].stage2)"),
            ("combine", 'gated(h[0]."layer1.0")', 'gated(by=h[0]."layer1.0")'),
            ("loss", 'fsp("stage2")', "fsp(with=stage2)"),
            ("loss", 'fsp("share")', 'fsp(with="share")'),
            ("loss", 'fsp("a b")', 'fsp(with="a b")'),
            ("gate", "during(hints, distil)", "during(phases=[hints, distil])"),
            ("network", "ema(p[*])", "ema(of=p[*], decay=0.999)"),
            (
                "network",
                "ensemble(h, combine=gated(h[0].stem))",
                'ensemble(members=[h], combine=gated(by=h[0].stem), on="logits", others=false, '
                "detach=true)",
            ),
        ],
    )
    def test_places(self, kind: str, text: str, expected: str) -> None:
        assert str(found(kind, text).call()) == expected

    @pytest.mark.parametrize("keyword", sorted(RESERVED))
    def test_a_place_called_like_a_keyword_stands_in_quotes(self, keyword: str) -> None:
        assert shown_path(keyword.lower()) == f'"{keyword.lower()}"'
        assert shown_path(f"{keyword.lower()}1") == f"{keyword.lower()}1"


def test_words_that_a_spec_does_not_have_are_not_loaded() -> None:
    spec = Path(__file__).parents[1] / "specs" / "dml3.ktg"
    code = (
        f"import sys; from ktgdsl import cli; cli.main(['check', {str(spec)!r}]); "
        "print(*(m for m in sys.modules if m.startswith('ktgdsl.vocabulary.')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    loaded = {name.rpartition(".")[2] for name in done.stdout.splitlines()[-1].split()}
    assert {"losses", "gates", "networks", "datasets"} <= loaded
    assert not loaded & {
        "logit_losses",
        "feature_losses",
        "predicates",
        "images",
        "derived",
        "search",
    }
