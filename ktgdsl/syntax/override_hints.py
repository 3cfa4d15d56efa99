"""What to write instead of an override that names nothing."""

from collections.abc import Collection, Sequence

from ktgdsl.vocabulary.registry import settings_of
from ktgdsl.vocabulary.spelling import closest
from ktgdsl.vocabulary.synonyms import arguments_of_synonym

PATHS = ["data", "train", "pretrain", "search", "phase", "let", "node"]
"""What the paths of overrides begin with."""

FORMS = "write train.epochs=2, data=digits, data.batch=32, node.a=resnet14 or let.T=4"

_IN_THE_FILE = ("edge", "gate", "loss", "target", "share", "graph")
_OWNERS = ("train", "data", "search", "pretrain", "node")


def fix_of_path(
    path: Sequence[str], value: str, lets: Collection[str], nodes: Collection[str]
) -> str:
    """A help text for a path that no override has.

    Args:
        path: its parts, such as ("epochs",).
        value: the text behind the equals sign, "" where there is none.
        lets: the names of the spec's `let`s.
        nodes: the names of its nodes.
    """
    first, *others = path
    if first in _IN_THE_FILE or any("->" in part for part in path):
        name = min(lets, default="T")
        change = f"let.{name}=VALUE"
        declared = f"`{change}`" if lets else f"`let {name} = 4`, which {change} changes"
        return (
            "edges, gates, targets and shares are changed in the file; a value in them can be "
            f"that of {declared}"
        )
    if not others and (meant := _full_paths(first, lets, nodes)):
        behind = f"={value.strip()}" if value.strip() else "=VALUE"
        return f"did you mean {' or '.join(f'`{each}{behind}`' for each in meant)}?"
    guess = closest(first, PATHS)
    if guess and guess != first:
        return f"did you mean `{'.'.join((guess, *others))}`?"
    return FORMS


def _full_paths(name: str, lets: Collection[str], nodes: Collection[str]) -> list[str]:
    """The paths that a name alone may be short for: of a `let`, a node or a setting."""
    if name in lets:
        return [f"let.{name}"]
    if name in nodes:
        return [f"node.{name}"]
    settings = {owner: settings_of(owner).model_fields for owner in _OWNERS}
    every = [each for fields in settings.values() for each in fields]
    known = [each for each in (name, *arguments_of_synonym(name)) if each in every]
    guess = None if name in PATHS else closest(name, every, cutoff=0.75)
    setting = known[0] if known else guess
    owners = [owner for owner in _OWNERS if setting in settings[owner]]
    # What `train` has is meant for the whole training, more often than for one of its parts.
    meant = owners[:1] if "train" in owners else owners
    return [
        f"{owner}.NAME.{setting}" if owner == "node" else f"{owner}.{setting}" for owner in meant
    ]
