"""JSON texts that are almost those of our files: other types, keys, numbers, depths, bytes."""

import copy
import json
from random import Random
from typing import Any

from ktgdsl.files import sha256
from tests.mutate import MUTATIONS

_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**31, 2**63, -(2**63), 10**400, 0.5, -0.0, 1e308, 1e-320, 50,
    101.5, float("nan"), float("inf"), float("-inf"), "", "a", "b", "label", "*", "0", "1e999",
    "\ud800", "\0", "\x1b[31m", "\u202e", "é", "../../x", "/etc/passwd", "x" * 5000, [], {}, [[]],
    [None], {"": None}, {"percent": 30}, {"percent": "x"}, {"node": "a"}, {"name": "ce"},
    {"name": "python", "arguments": {"function": "evil:f"}}, "2026-01-01T00:00:00+00:00",
)  # fmt: skip


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if not isinstance(value, dict | list):
        return [path]
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    return [path, *(place for key, each in inner for place in _places(each, (*path, key)))]


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def _change(random: Random, content: Any) -> None:
    """One change somewhere below the top."""
    places = [path for path in _places(content) if path]
    if not places:
        return
    *above, key = random.choice(places)
    parent = _at(content, tuple(above))
    match random.randrange(8):
        case 0 if isinstance(parent, dict):
            parent[random.choice(("", "x", "\ud800", str(key).upper(), "sha256"))] = parent.pop(key)
        case 0 | 1:
            del parent[key]
        case 2:
            parent[key] = copy.deepcopy(_at(content, random.choice(places)))
        case 3:
            parent[key] = random.choice(([parent[key]], {"x": parent[key]}, [parent[key]] * 2))
        case 4 if isinstance(parent, list):
            parent.insert(key, copy.deepcopy(random.choice(parent)))
        case 5 if isinstance(parent[key], int | float) and abs(parent[key]) < 2**64:
            parent[key] *= random.choice((-1, 0, 2, 1.5, 10**30))
        case _:
            parent[key] = copy.deepcopy(random.choice(_VALUES))


def changed(random: Random, content: Any) -> str:
    """A JSON text that differs from the content in a few places."""
    content = copy.deepcopy(content)
    for _ in range(random.choice((1, 1, 1, 2, 5))):
        _change(random, content)
    text = json.dumps(content, indent=random.choice((None, 2)), ensure_ascii=random.random() < 0.5)
    if random.random() < 0.03:
        depth = random.choice((100, 990, 20_000))
        text = text.replace("1", "[" * depth + "1" + "]" * depth, 1)
    return text


def damaged(random: Random, text: str) -> str:
    """The text with other bytes, words or lines."""
    return random.choice(MUTATIONS)(random, text)


def sealed(text: str) -> str:
    """An object's text with a digest, as `ktgdsl.files.sealed_json` writes it."""
    body = text.rstrip().removesuffix("}").rstrip()
    digest = sha256(body.encode("utf-8", "replace"))
    return f'{body},\n  "sha256": "{digest}"\n}}\n'
