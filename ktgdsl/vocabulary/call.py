"""A word with its arguments, as plain data: what plans are made of."""

import re
from decimal import Decimal

from pydantic import BaseModel, ConfigDict, JsonValue

# What no place inside of a network can be called in a spec, unless in quotes.
# fmt: off
_KEYWORDS = frozenset((
    "graph", "node", "target", "edge", "share", "data", "train", "pretrain", "search",
    "phase", "let", "each", "use", "via", "true", "false", "label",
))
# fmt: on
BEFORE_RELU = ".pre"
"""After the name of a stage or the path of a module: the input of its last ReLU."""
_ONE_OF_SEVERAL_WORDS = frozenset(
    {"on", "by", "std", "connector", "margin", "norm", "buffers", "labels"}
)
"""The arguments called so take a word such as `logits`; all others that are text, a string."""
_WRITTEN_BARE = {"python": "function", "torchvision": "name", "timm": "name"}
"""The argument of a word that people write without its name: `python("nets:small", width=8)`."""
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n", "\t": r"\t"})


class Data(BaseModel):
    """Base of all plain data behind the front end: frozen, and strict about its fields.

    Validated when it is read from JSON. The front end, whose values are checked already,
    uses `model_construct`, because building a validator costs start-up.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Call(Data):
    """A word of the vocabulary with all its arguments, e.g. `kl` with `{"T": 1.0}`.

    Moments and shares are `{"percent": 30}`; a bare number there is a count of epochs.
    """

    name: str
    arguments: dict[str, JsonValue] = {}

    def __str__(self) -> str:
        bare = _WRITTEN_BARE.get(self.name)
        arguments = ", ".join(
            self._argument(name, value) if name == bare else f"{name}={self._argument(name, value)}"
            for name, value in self.arguments.items()
            if value is not None
        )
        return f"{self.name}({arguments})" if arguments else self.name

    def _argument(self, name: str, value: JsonValue) -> str:
        # What a function of the user's is called with may have any name.
        is_word = name in _ONE_OF_SEVERAL_WORDS and self.name != "python"
        return value if is_word and isinstance(value, str) else _show(value)


def format_number(number: float) -> str:
    """A number as people write it: every digit, but `4` for 4.0."""
    return repr(number).removesuffix(".0")


def format_path(path: str) -> str:
    """A place in a network as people write it: `stage2`, `stage2.pre`, but `"layer1.0.conv1"`."""
    stage = path.removesuffix(BEFORE_RELU)
    return path if stable_path(stage) == stage else _quoted(path)


def stable_path(path: str) -> str:
    """A place in a network as it is in the names of draws and random streams, which stay."""
    bare = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", path) and path not in _KEYWORDS
    return path if bare else _quoted(path)


def _show(value: JsonValue) -> str:
    if isinstance(value, dict):
        return _show_tagged(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, list):
        return "[" + ", ".join(_show(item) for item in value) + "]"
    return format_number(value) if isinstance(value, float) else str(value)


def _show_tagged(value: dict[str, JsonValue]) -> str:
    match value:
        case {"percent": percent}:
            # A percentage has no exponent in a spec.
            return f"{Decimal(_show(percent)):f}%"
        case {"node": str(node), "tap": str(tap)}:
            return f"{node}.{format_path(tap)}"
        case {"node": str(name)} | {"phase": str(name)}:
            return name
        case {"tap": str(tap)}:
            return format_path(tap)
        case {"name": str(name), "arguments": dict(arguments)}:
            return str(Call(name=name, arguments=arguments))
    raise ValueError(f"no argument of a plan is {value}")


def _quoted(text: str) -> str:
    return f'"{text.translate(_ESCAPES)}"'
