"""Random specs of every word and setting of the vocabulary; a good part of them is sound."""

import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from random import Random
from typing import Any, get_args

from pydantic import ValidationError

from ktgdsl.vocabulary.entry import Entry, Parameters, Percentage, alternatives
from ktgdsl.vocabulary.losses import Loss
from ktgdsl.vocabulary.networks import Derived
from ktgdsl.vocabulary.refs import NodeRef, PhaseRef, Tap
from ktgdsl.vocabulary.registry import entries, settings_of

TARGET, AUXILIARY, PHASES = "t", ("n1", "n2", "n3"), ("p1", "p2")
STAGES = ("stem", "stage1", "stage2", "stage3", "features")
_NODES = (TARGET, *AUXILIARY)
_VALUES: list[tuple[Any, str]] = [
    *((number, str(number)) for number in (0, 1, 2, 3, 8, 20, 0.0, 0.1, 0.5, 0.9, 1.5, 1e-3)),
    *((Percentage(percent), f"{percent:g}%") for percent in (10.0, 30.0, 62.5)),
    *((value, str(value).lower()) for value in (True, False)),
    *((text, f'"{text}"') for text in ("resnet18", "m:f", "IMAGENET1K_V1", "cpu", "data")),
    *((NodeRef(name), name) for name in _NODES),
    *((Tap(stage), stage) for stage in STAGES),
    *((Tap("stage2", NodeRef(name)), f"{name}.stage2") for name in _NODES),
    *((PhaseRef(name), name) for name in PHASES),
]
_RARE = {"python", "timm", "torchvision", "folder"}


@cache
def _written_values(model: type[Parameters], name: str) -> tuple[str, ...]:
    """The texts of values that a parameter may have."""
    words = (each for option in alternatives(model.model_fields[name].annotation)
             for each in get_args(option) if isinstance(each, str))  # fmt: skip
    values = [*_VALUES, *((word, word) for word in words)]
    lists = [([value], f"[{text}]") for value, text in values]
    lists += [([one[0], other[0]], f"[{one[1]}, {other[1]}]")
              for one, other in pairwise(values)]  # fmt: skip
    return tuple(text for value, text in (*values, *lists) if _may_be(model, name, value))


def _may_be(model: type[Parameters], name: str, value: Any) -> bool:
    try:
        model.model_validate({name: value})
    except ValidationError as error:
        return all(each["loc"][:1] != (name,) for each in error.errors())
    return True


def spec(random: Random) -> str:
    """A graph of up to four networks and two derived nodes, and some of all blocks."""
    return _Writer(random).spec()


class _Writer:
    """Writes one spec; three of ten are spaces."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._is_space = random.random() < 0.3

    def spec(self) -> str:
        """The whole text."""
        random = self._random
        nodes = [TARGET, *AUXILIARY[: random.randrange(1, 4)]]
        lines = [f"graph g {{  target {TARGET}", *map(self._node, nodes)]
        for name in ("d0", "d1")[: random.choice((0, 0, 1, 2))]:
            lines.append(f"    node {name} = {self._one_of(_networks(derived=True))}")
            nodes.append(name)
        lines.append("    edge label -> *")
        lines += [self._edge(random.choice(nodes)) for _ in range(random.randrange(5))]
        if random.random() < 0.1:
            lines.append(f"    share {TARGET}, n1 {{ layers = [stem, stage1] }}")
        text = "\n".join([*lines, "}", *self._blocks()]) + "\n"
        return re.sub(r"\bn[1-3]\b", lambda name: name[0] if name[0] in nodes else "n1", text)

    def _blocks(self) -> Iterator[str]:
        random = self._random
        sets = [each for each in entries("dataset") if each not in _RARE]
        if random.random() < 0.5:
            yield f"data {random.choice(('digits', random.choice(sets)))} {self._block('data', 3)}"
        for name in ("train", "pretrain"):
            if random.random() < 0.5:
                yield f"{name} {self._block(name, 3)}"
        if random.random() < 0.25:
            yield f"phase p1 {self._block('phase', 2, f'learn = [{TARGET}]')}"
            yield f"phase p2 {self._block('phase', 2, f'learn = [{TARGET}, n1]')}"
        if random.random() < (0.6 if self._is_space else 0.2):
            yield f"search {self._block('search', 3)}"

    def _block(self, name: str, most: int, *fixed: str) -> str:
        """The settings of a block: those that are `fixed`, and up to so many others."""
        model = settings_of(name)
        known = [each for each in model.model_fields if not "".join(fixed).startswith(each)]
        chosen = self._random.sample(known, self._random.randrange(most + 1))
        values = ((setting, self._value(model, setting)) for setting in chosen)
        settings = [f"{setting} = {value}" for setting, value in values if value is not None]
        return f"{{ {'  '.join([*fixed, *settings])} }}"

    def _node(self, name: str) -> str:
        random = self._random
        other = self._one_of(_networks(derived=False))
        network = random.choice(("resnet8", "resnet8", "wrn10_1", other))
        frozen = " { frozen = true }" if name != TARGET and random.random() < 0.15 else ""
        return f"    node {name} = {network}{frozen}"

    def _edge(self, source: str) -> str:
        random = self._random
        destination = random.choice([each for each in _NODES if each != source])
        if random.random() < 0.2 and source in _NODES:
            one, other = random.choices(STAGES[:4], k=2)
            loss = self._one_of(_losses(at_taps=True))
            return f"    edge {source}.{one} -> {destination}.{other} : {loss}"
        loss = self._arithmetic(_losses(at_taps=False), "+x")
        gates = [*entries("gate").values()]
        via = f" via {self._arithmetic(gates, '*+x')}" if random.random() < 0.6 else ""
        return f"    edge {source} -> {destination} : {loss}{via}"

    def _arithmetic(self, words: list[type[Entry]], signs: str) -> str:
        """A word, or a sum or product of some; the sign `x` is a product with a number."""
        text = self._one_of(words)
        while self._random.random() < 0.25:
            sign = self._random.choice(signs)
            if sign == "x":
                text = f"{self._random.choice(('0.5', '2'))} * ({text})"
            else:
                text = f"(({text}) {sign} ({self._one_of(words)}))"
        return text

    def _one_of(self, words: list[type[Entry]]) -> str:
        """A word with arguments; where values may be open, sometimes two to choose from."""
        rare = self._random.random() < 0.05
        usual = [each for each in words if rare or each.word not in _RARE]
        text = self._call(self._random.choice(usual or words))
        if self._is_space and self._random.random() < 0.2:
            return f"{text} | {self._call(self._random.choice(usual or words))}"
        return text

    def _call(self, word: type[Entry]) -> str:
        """A word with all the arguments that it needs, and a few others."""
        arguments: list[str] = []
        for name in word.positions():
            if not word.model_fields[name].is_required() and self._random.random() > 0.3:
                continue
            value = self._value(word, name)
            if value is not None and name == word.variadic:
                arguments.insert(0, value.split(" | ")[0].strip("[]"))
            elif value is not None:
                arguments.append(f"{name}={value}")
        return f"{word.word}({', '.join(arguments)})" if arguments else word.word

    def _value(self, model: type[Parameters], name: str) -> str | None:
        """A value of a parameter or setting; None where there is none that is this simple."""
        random = self._random
        kinds = [each.kind for each in alternatives(model.model_fields[name].annotation)
                 if isinstance(each, type) and issubclass(each, Entry)]  # fmt: skip
        if kinds and kinds[0] in ("network", "objective"):
            return None
        texts = _written_values(model, name)
        if kinds and (not texts or random.random() < 0.7):
            return self._call(random.choice([*entries(kinds[0]).values()]))
        if texts and self._is_space and random.random() < 0.15:
            return " | ".join(random.sample(texts, min(len(texts), random.choice((2, 2, 3)))))
        return random.choice(texts) if texts else None


def _networks(*, derived: bool) -> list[type[Entry]]:
    return [each for each in entries("network").values() if issubclass(each, Derived) == derived]


def _losses(*, at_taps: bool) -> list[type[Entry]]:
    found = [each for each in entries("loss").values() if issubclass(each, Loss)]
    return [each for each in found if each.at_taps == at_taps and "node" in each.sources]


def renamed(text: str) -> str:
    """The spec with other names of its auxiliary nodes."""
    return re.sub(r"\b(n[1-3]|d[01])\b", r"other_\1", text)
