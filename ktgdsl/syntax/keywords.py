"""What each keyword is for, with an example that is a whole spec."""

from typing import NamedTuple


class Keyword(NamedTuple):
    """A paragraph on a keyword, and a spec that has it."""

    text: str
    example: str


_TWO = """\
graph two {
    node a = resnet8
    node b = resnet14
    target a
    edge label -> a
    edge b -> a : kl(T=4) via linear
}
"""
_LABEL = """`label` is the built-in source of knowledge: the labels as one-hot distributions. An
edge from it teaches a node what is right, by `ce` unless it says another loss. No edge leads to
it, and nothing can be named `label`."""
_BOOLEAN = "`true` and `false` are what a setting such as `frozen` takes. Nothing can be named so."
_FROZEN = _TWO.replace("resnet14", "resnet14 { frozen = true }")
_LET = """\
let T = 4

graph two {
    node a = resnet8
    node b = resnet14
    target a
    edge label -> a
    edge b -> a : kl(T=T)
}
"""

KEYWORDS = {
    "graph": Keyword(
        """A spec has one `graph NAME { ... }`. In it stand the nodes, which of them the graph is
        for, and the edges, along which they teach each other.""",
        _TWO,
    ),
    "node": Keyword(
        """`node NAMES = NETWORK { settings }` declares networks that take part. `node p[3]`
        declares three, `p[0]` to `p[2]`. A node with a live edge into it is trained; another
        is pre-trained on the labels first, then frozen.""",
        _FROZEN,
    ),
    "target": Keyword(
        """`target NAMES` says which nodes the graph is for. A node from which no path of live
        edges leads to a target is dropped.""",
        _TWO,
    ),
    "edge": Keyword(
        """`edge SOURCES -> DESTINATIONS : LOSS via GATE`. Knowledge flows along the arrow; the
        gradient goes to the destination only. `<->` is both directions, and `*` every network
        node. Without a loss it is `ce` from `label` and else `kl`; without a gate, `through`.
        Several losses of an edge have commas between them.""",
        _TWO,
    ),
    "share": Keyword(
        """`share NODES { layers = [...] }` makes these layers of the nodes one module, with one
        set of weights.""",
        """\
graph branches {
    node a, b = resnet8
    target a, b
    share a, b { layers = [stem, stage1] }
    edge label -> *
    edge a <-> b
}
""",
    ),
    "data": Keyword(
        "`data DATASET { settings }` says what is learned from; without it, the digits.",
        _TWO + "\ndata cifar10 { batch = 128 }\n",
    ),
    "train": Keyword(
        "`train { settings }` says how all nodes are trained.",
        _TWO + "\ntrain { epochs = 50 }\n",
    ),
    "search": Keyword(
        """`search { settings }` says how `ktgc search` looks for the best graph of a space: of a
        file in which values are left open, as `linear | correct` or `0.1 .. 0.9`.""",
        _TWO.replace("linear", "linear | correct")
        + "\nsearch { trials = 20  objective = accuracy(a) }\n",
    ),
    "phase": Keyword(
        """`phase NAME { settings }` is one part of the training after another; `learn` lists the
        nodes that learn in it.""",
        """\
graph assistant {
    node a, b = resnet8
    target a
    edge label -> *
    edge b -> a : kl(T=4)
}

phase prepare { learn = [b] }
phase distil { learn = [a] }
""",
    ),
    "let": Keyword(
        """`let NAME = VALUE` names any value, a loss or a gate, for use in the rest of the file.
        An open value of a `let` is drawn once for the file; that of a `let each` afresh at each
        place that says its name.""",
        _LET,
    ),
    "each": Keyword(
        """`let each NAME = VALUE` names an open value that is drawn afresh at each place that
        says its name; one of a `let` is drawn once for the file.""",
        """\
let each gate = through | linear | correct

graph two {
    node a, b = resnet8
    target a
    edge label -> *
    edge a <-> b : kl via gate
}
""",
    ),
    "use": Keyword(
        """`use "FILE"` takes the other file's blocks as defaults: a recipe with `data` and
        `train`, say. The file's own settings win, and a later `use` wins over an earlier one.
        The path is relative to the file that says it.""",
        """\
use "mine.ktg"

graph one {
    node a = resnet8
    target a
    edge label -> a
}
""",
    ),
    "via": Keyword(
        """`LOSS via GATE` weights a loss of an edge: for each sample, from 0 on. Without it the
        gate is `through`, which is 1. `ktgc explain gate` lists the gates; they multiply and
        add, as in `via 0.5 * correct`.""",
        _TWO,
    ),
    "label": Keyword(_LABEL, _TWO),
    "true": Keyword(_BOOLEAN, _FROZEN),
    "false": Keyword(_BOOLEAN, _FROZEN.replace("true", "false")),
}
