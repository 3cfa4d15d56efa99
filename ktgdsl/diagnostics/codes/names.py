"""E2: names of nodes, words, settings and arguments."""

from ktgdsl.diagnostics.codes.explanation import Explanation

EXPLANATIONS = {
    "E201": Explanation(
        """Nothing of the kind that is needed here has this name: no word of the vocabulary, no
        node of the graph, no `let`. It is misspelt, or its declaration is missing. `ktgc
        explain` lists the words.""",
        """\
graph two {
    node a, b = resnet8
    target a
    edge label -> *
    edge b -> a : kl via lineer
}
""",
        """\
graph two {
    node a, b = resnet8
    target a
    edge label -> *
    edge b -> a : kl via linear
}
""",
    ),
    "E202": Explanation(
        """Two nodes, or two `let`s, have the same name, so that nobody could tell which one is
        meant. Several nodes of one network are declared as `node a, b = resnet8`, or as an
        array: `node p[4] = resnet8`.""",
        """\
graph two {
    node a = resnet8
    node a = resnet14
    target a
    edge label -> *
}
""",
        """\
graph two {
    node a = resnet8
    node b = resnet14
    target a
    edge label -> *
    edge b -> a
}
""",
    ),
    "E203": Explanation(
        """A `let` cannot take the name of a word of the vocabulary or of a node, since the word
        would mean two things in one file.""",
        """\
let cosine = 0.5 * linear

graph two {
    node a, b = resnet8
    target a
    edge label -> *
    edge b -> a : kl via cosine
}
""",
        """\
let gentle = 0.5 * linear

graph two {
    node a, b = resnet8
    target a
    edge label -> *
    edge b -> a : kl via gentle
}
""",
    ),
    "E204": Explanation(
        """The block or node has no setting of this name. It is misspelt, or belongs to another
        block. `ktgc explain train`, `data` and `node` list the settings.""",
        """\
graph one {
    node a = resnet8
    target a
    edge label -> a
}

train { epoch = 50 }
""",
        """\
graph one {
    node a = resnet8
    target a
    edge label -> a
}

train { epochs = 50 }
""",
    ),
    "E205": Explanation(
        """A block gives a setting twice. Neither of the values wins: leave one of them out. A
        value from a `use` needs no such care, as a file's own settings replace it.""",
        """\
graph one {
    node a = resnet8
    target a
    edge label -> a
}

train { epochs = 50  seed = 1  epochs = 20 }
""",
        """\
graph one {
    node a = resnet8
    target a
    edge label -> a
}

train { epochs = 50  seed = 1 }
""",
    ),
    "E206": Explanation(
        """A file has at most one each of the blocks `graph`, `data`, `train` and `search`, and
        phases have different names. Put all settings of a kind into one block.""",
        """\
graph one {
    node a = resnet8
    target a
    edge label -> a
}

train { epochs = 50 }
train { seed = 1 }
""",
        """\
graph one {
    node a = resnet8
    target a
    edge label -> a
}

train { epochs = 50  seed = 1 }
""",
    ),
    "E207": Explanation(
        """The word has no argument of this name, or takes fewer of them. Arguments are given in
        order or by name; `ktgc explain` with the word shows them. Short forms such as
        `resnet8` take none: write `resnet(depth=8)` to give more.""",
        """\
graph two {
    node a, b = resnet8
    target a
    edge label -> *
    edge b -> a : kl(temperature=4)
}
""",
        """\
graph two {
    node a, b = resnet8
    target a
    edge label -> *
    edge b -> a : kl(T=4)
}
""",
    ),
    "E208": Explanation(
        """The word, or the block, has an argument or setting without a default, and it is not
        given. `ktgc explain` with the word shows which ones it needs.""",
        """\
graph one {
    node a = wrn(depth=16)
    target a
    edge label -> a
}
""",
        """\
graph one {
    node a = wrn(depth=16, widen=2)
    target a
    edge label -> a
}
""",
    ),
    "E209": Explanation(
        """An argument is given twice: by name, or once by its place and once by name.""",
        """\
graph one {
    node a = resnet(8, depth=14)
    target a
    edge label -> a
}
""",
        """\
graph one {
    node a = resnet(depth=14)
    target a
    edge label -> a
}
""",
    ),
    "E210": Explanation(
        """An override on the command line, `--set PATH=VALUE`, names nothing in the spec. Its
        forms are a setting of a block (`train.epochs=2`), the data set (`data=digits`), a
        node's network or setting (`node.b=resnet14`, `node.b.frozen=true`) and a `let`
        (`let.T=4`).""",
        "ktgc check specs/kd.ktg --set let.T=2",
        "ktgc check specs/kd.ktg --set node.teacher=resnet14",
    ),
}
