"""Random specs of every word and setting of the vocabulary; a good part of them is sound."""

import re
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


def _value(random: Random, model: type[Parameters], name: str, open_values: bool) -> str | None:
    """A value of a parameter or setting; None where there is none that is this simple."""
    kinds = [each.kind for each in alternatives(model.model_fields[name].annotation)
             if isinstance(each, type) and issubclass(each, Entry)]  # fmt: skip
    if kinds and kinds[0] in ("network", "objective"):
        return None
    texts = _written_values(model, name)
    if kinds and (not texts or random.random() < 0.7):
        return call(random, random.choice([*entries(kinds[0]).values()]), open_values)
    if not texts:
        return None
    if open_values and random.random() < 0.15:
        return " | ".join(random.sample(texts, min(len(texts), random.choice((2, 2, 3)))))
    return random.choice(texts)


def call(random: Random, word: type[Entry], open_values: bool) -> str:
    """A word with all the arguments that it needs, and a few others."""
    arguments: list[str] = []
    for name in word.positions():
        field = word.model_fields[name]
        if not field.is_required() and random.random() > 0.3:
            continue
        value = _value(random, word, name, open_values)
        if value is not None and name == word.variadic:
            arguments.insert(0, value.split(" | ")[0].strip("[]"))
        elif value is not None:
            arguments.append(f"{name}={value}")
    return f"{word.word}({', '.join(arguments)})" if arguments else word.word


def _word(random: Random, words: list[type[Entry]], open_values: bool) -> str:
    usual = [each for each in words if each.word not in _RARE or random.random() < 0.05]
    text = call(random, random.choice(usual or words), open_values)
    if open_values and random.random() < 0.2:
        text += f" | {call(random, random.choice(usual or words), open_values)}"
    return text


def _arithmetic(random: Random, words: list[type[Entry]], signs: str, open_values: bool) -> str:
    """A word, or a sum or product of some."""
    text = _word(random, words, open_values)
    while random.random() < 0.25:
        sign = random.choice(signs)
        left = f"({text})" if "|" in text else text
        text = f"{random.choice(('0.5', '2'))} * {left}" if sign == "n" else (
            f"({left} {sign} ({_word(random, words, open_values)}))"
        )  # fmt: skip
    return text


def _gate(random: Random, open_values: bool) -> str:
    words: list[type[Entry]] = [*entries("gate").values()]
    return _arithmetic(random, words, "*+n", open_values)


def _losses(*, at_taps: bool) -> list[type[Entry]]:
    found = [each for each in entries("loss").values() if issubclass(each, Loss)]
    return [each for each in found if each.at_taps == at_taps and "node" in each.sources]


def _edge(random: Random, source: str, open_values: bool) -> str:
    destination = random.choice([each for each in _NODES if each != source])
    if random.random() < 0.2 and source in _NODES:
        one, other = random.choices(STAGES[:4], k=2)
        loss = _word(random, _losses(at_taps=True), open_values)
        return f"edge {source}.{one} -> {destination}.{other} : {loss}"
    loss = _arithmetic(random, _losses(at_taps=False), "+n", open_values)
    via = f" via {_gate(random, open_values)}" if random.random() < 0.6 else ""
    return f"edge {source} -> {destination} : {loss}{via}"


def _block(random: Random, name: str, most: int, open_values: bool, *fixed: str) -> str:
    model = settings_of(name)
    known = [each for each in model.model_fields if not any(f.startswith(each) for f in fixed)]
    settings = list(fixed)
    for setting in random.sample(known, min(len(known), random.randrange(most + 1))):
        value = _value(random, model, setting, open_values)
        settings += [f"{setting} = {value}"] if value is not None else []
    return f"{{ {'  '.join(settings)} }}"


def spec(random: Random) -> str:
    """A graph of up to four networks and two derived nodes, and some of all blocks."""
    open_values = random.random() < 0.3
    networks = [each for each in entries("network").values() if not issubclass(each, Derived)]
    derived: list[type[Entry]] = [e for e in entries("network").values() if issubclass(e, Derived)]
    lines = [f"graph g{random.randrange(9)} {{"]
    for name in (TARGET, *AUXILIARY[: random.randrange(1, 4)]):
        network = random.choice(
            ("resnet8", "resnet8", "wrn10_1", _word(random, [*networks], open_values))
        )
        frozen = " { frozen = true }" if name != TARGET and random.random() < 0.15 else ""
        lines.append(f"    node {name} = {network}{frozen}")
    sources = [line.split()[1] for line in lines[1:]]
    for number in range(random.choice((0, 0, 1, 2))):
        lines.append(f"    node d{number} = {_word(random, derived, open_values)}")
        sources.append(f"d{number}")
    lines += [f"    target {TARGET}", "    edge label -> *"]
    lines += [
        f"    {_edge(random, random.choice(sources), open_values)}"
        for _ in range(random.randrange(5))
    ]
    if random.random() < 0.1:
        lines.append(f"    share {TARGET}, n1 {{ layers = [stem, stage1] }}")
    lines.append("}")
    sets = [each.word for each in entries("dataset").values() if each.word not in _RARE]
    if random.random() < 0.5:
        data_set = random.choice(("digits", random.choice(sets)))
        lines.append(f"data {data_set} {_block(random, 'data', 3, open_values)}")
    for name in ("train", "pretrain"):
        if random.random() < 0.5:
            lines.append(f"{name} {_block(random, name, 3, open_values)}")
    if random.random() < 0.25:
        lines.append(f"phase p1 {_block(random, 'phase', 2, open_values, f'learn = [{TARGET}]')}")
        lines.append(f"phase p2 {_block(random, 'phase', 2, open_values, 'learn = [t, n1]')}")
    if random.random() < 0.2 + 0.4 * open_values:
        lines.append(f"search {_block(random, 'search', 3, open_values)}")
    text = "\n".join(lines) + "\n"
    names = {*re.findall(r"\bn[1-3]\b", text)} - {*sources}
    return re.sub(r"\bn[1-3]\b", lambda m: "n1" if m[0] in names else m[0], text)


def renamed(text: str) -> str:
    """The spec with other names of its auxiliary nodes."""
    return re.sub(r"\b(n[1-3]|d[01])\b", r"other_\1", text)
