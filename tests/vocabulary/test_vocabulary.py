"""The words of the language: what the reference promises, and that each is documented."""

import json
import re
import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from ktgdsl.syntax.boundaries import RESERVED
from ktgdsl.vocabulary.call import Call
from ktgdsl.vocabulary.entry import Entry
from ktgdsl.vocabulary.networks import Derived
from ktgdsl.vocabulary.registry import KINDS, entries, entry, kinds_of
from ktgdsl.vocabulary.spelling import closest
from tests.paths import ROOT
from tests.words import ALL, name_of, named, required

KEYWORDS = {keyword.lower() for keyword in RESERVED}


@pytest.mark.parametrize("kind", KINDS)
def test_a_word_is_found_without_the_others(kind: str) -> None:
    assert all(entry(kind, word) is found for word, found in entries(kind).items())
    assert entry(kind, "nothing") is None


@pytest.mark.parametrize("entry", ALL, ids=name_of)
class TestEntry:
    def test_says_what_it_means(self, entry: type[Entry]) -> None:
        text = vars(entry)["__doc__"]
        assert entry.kind in KINDS
        if entry.kind == "combine" or issubclass(entry, Derived):
            assert re.search(r"\S = \S", text)
        if "Source:" in text:
            assert re.search(r"Source: .*((19|20)\d\d|`)", text, re.DOTALL)

    def test_every_parameter_is_described(self, entry: type[Entry]) -> None:
        assert all(field.description for field in entry.model_fields.values())

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

    def test_no_parameter_is_called_like_a_keyword(self, entry: type[Entry]) -> None:
        assert not KEYWORDS & set(entry.positions())

    def test_its_call_survives_json(self, entry: type[Entry]) -> None:
        call = entry.model_validate(required(entry)).call()
        assert call.name == entry.word
        assert list(call.arguments) == [n for n in entry.positions() if n not in entry.later]
        assert Call.model_validate_json(call.model_dump_json()) == call
        assert json.loads(json.dumps(call.arguments)) == call.arguments

    def test_refuses_what_it_does_not_know(self, entry: type[Entry]) -> None:
        given = {**required(entry), "no_such_argument": 1}
        if entry.word in ("python", "timm"):
            assert entry.model_validate(given).call().arguments["no_such_argument"] == 1
        else:
            with pytest.raises(ValidationError):
                entry.model_validate(given)


@pytest.mark.parametrize(
    ("entry", "positions"),
    [
        ("network wrn", ["depth", "widen", "dropout", "stride"]),
        ("loss kl", ["T", "scale"]),
        ("gate linear", ["start", "stop"]),
        ("optimizer sgd", ["lr", "momentum", "nesterov", "weight_decay"]),
        ("optimizer adamw", ["lr", "betas", "eps", "weight_decay"]),
        ("schedule step", ["every", "gamma", "warmup"]),
        ("schedule multistep", ["at", "gamma", "warmup"]),
        ("schedule cosine", ["minimum", "warmup", "by"]),
        ("schedule exponential", ["gamma", "warmup"]),
        ("optimizer adam", ["lr", "betas", "eps", "weight_decay"]),
        ("schedule constant", ["warmup"]),
    ],
)
def test_the_order_of_arguments(entry: str, positions: list[str]) -> None:
    kind, word = entry.split()
    assert entries(kind)[word].positions() == positions


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("loss standardized_kl", {"T": 2.0, "std": "unbiased", "scale": 4.0}),
        ("loss fsp", {"with": {"tap": "stage2"}}),
        ("loss irg", {"taps": [{"tap": "stage2"}], "logits": 0.1,
                      "distances": 5.0, "transforms": 5.0}),
        ("gate during", {"phases": [{"phase": "hints"}]}),
        ("network torchvision", {"name": "resnet18", "weights": None}),
        ("network ensemble", {"members": [{"node": "a"}],
                              "combine": {"name": "mean", "arguments": {}},
                              "on": "logits", "others": False, "detach": True}),
        ("combine gated", {"by": {"node": "h[0]", "tap": "stage2"}}),
        ("objective accuracy", {"of": {"node": "a"}, "on": "validation"}),
    ],
)  # fmt: skip
def test_a_call_has_every_argument_in_order_and_references_as_tagged_data(
    name: str, arguments: dict[str, Any]
) -> None:
    entry = named(name)
    call = entry.model_validate(required(entry)).call()
    assert list(call.arguments.items()) == list(arguments.items())


@pytest.mark.parametrize("entry", [each for each in ALL if each.later], ids=name_of)
def test_what_came_later_is_named_where_it_is_not_usual(entry: type[Entry]) -> None:
    """So a plan without it has the digest that it had before."""
    for name in entry.later:
        usual = entry.model_fields[name].default
        assert name not in entry.model_validate({**required(entry), name: usual}).call().arguments
    other = {"by": "epoch", "width": 24, "labels": "masks"}
    call = entry.model_validate({**required(entry), **{n: other[n] for n in entry.later}}).call()
    assert {name: call.arguments[name] for name in entry.later} == {
        n: other[n] for n in entry.later
    }
    assert entry.from_call(call).call() == call


def test_which_take_any_number_of_arguments() -> None:
    variadic = {name_of(e): e.variadic for e in ALL if e.variadic is not None}
    assert variadic == {"gate during": "phases", "network ensemble": "members"}
    assert all(named(name).positions()[0] == first for name, first in variadic.items())


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


def test_words_that_a_spec_does_not_have_are_not_loaded() -> None:
    spec = ROOT / "specs" / "dml3.ktg"
    code = (
        f"import sys; from ktgdsl.cli import main as cli; cli.main(['check', {str(spec)!r}]); "
        "print(*(m for m in sys.modules if m.startswith('ktgdsl.vocabulary.')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    loaded = {name.rpartition(".")[2] for name in done.stdout.splitlines()[-1].split()}
    assert {"losses", "gates", "networks", "datasets"} <= loaded
    assert not loaded & {"logit_losses", "feature_losses", "predicates", "images"}
