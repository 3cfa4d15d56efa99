"""E1: syntax, and files that make no spec."""

from ktgdsl.diagnostics.codes.explanation import Explanation

EXPLANATIONS = {
    "E101": Explanation(
        """The character has no meaning in a spec, outside of strings and comments. Common are
        typographic quotes and arrows from a word processor, an arrow of another form, and
        comments of other languages: here a comment begins with `#`.""",
        """\
graph one {
    node a = resnet8
    target a
    edge label → a
}
""",
        """\
graph one {
    node a = resnet8
    target a
    edge label -> a
}
""",
    ),
    "E102": Explanation(
        """The word or sign is one of the language, but cannot stand here: a keyword is
        misspelt, a sign is missing before it or stands twice, or a statement is outside of
        the block that it belongs to. The rest of the file is checked all the same.""",
        """\
graph one {
    node a = = resnet8
    target a
    edge label -> a
}
""",
        """\
graph one {
    node a = resnet8
    target a
    edge label -> a
}
""",
    ),
    "E103": Explanation(
        """A statement ends before it is complete, or a bracket, block or string is opened and
        never closed. Strings end on the line that they begin on.""",
        """\
graph one {
    node a = resnet8
    target a
    edge label -> a : kl(T=4
}
""",
        """\
graph one {
    node a = resnet8
    target a
    edge label -> a : kl(T=4)
}
""",
    ),
    "E104": Explanation(
        """A number has a point and no comma, digits on both sides of its point, underscores
        between digits only, and no letter after it: `0.5`, `5e-4`, `10_000`, `30%`. The largest
        is about 1.8e308.""",
        """\
graph one {
    node a = resnet8
    target a
    edge label -> a : ce(smoothing=.1)
}
""",
        """\
graph one {
    node a = resnet8
    target a
    edge label -> a : ce(smoothing=0.1)
}
""",
    ),
    "E105": Explanation(
        """Keywords cannot name anything: graph, node, target, edge, share, data, train, search,
        phase, let, each, use and via, and neither can true, false and label, which stands for
        the labels. Choose another name.""",
        """\
graph one {
    node a, data = resnet8
    target a
    edge label -> *
    edge * -> a : kl(T=4)
}
""",
        """\
graph one {
    node a, b = resnet8
    target a
    edge label -> *
    edge * -> a : kl(T=4)
}
""",
    ),
    "E106": Explanation(
        """A spec has one `graph` block: the nodes, who teaches whom, and which node it is for.
        A file without a graph is a recipe, which holds settings that other files take over
        with `use`; it cannot be trained by itself.""",
        """\
train { epochs = 50 }
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
    "E107": Explanation(
        """A `use` names a file that exists but cannot be taken over: it uses itself, straight
        or through others, or it lies outside of the folder tree of the spec. The tree is the
        nearest folder above with `.git` or `pyproject.toml` in it, else the spec's own;
        `--root` sets another.""",
        """\
use "../../../mine.ktg"

graph one {
    node a = resnet8
    target a
    edge label -> a
}
""",
        """\
use "mine.ktg"

graph one {
    node a = resnet8
    target a
    edge label -> a
}
""",
    ),
}
