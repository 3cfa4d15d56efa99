"""E4 and W1: the graph."""

from ktgdsl.diagnostics.codes.explanation import Explanation

EXPLANATIONS = {
    "E401": Explanation(
        """A graph is for something: `target` names the node or nodes whose accuracy it is
        about. What does not lead to a target is not trained, so that without one nothing would
        be. A graph without nodes has nothing to name.""",
        """\
graph two {
    node a, b = resnet8
    edge label -> *
    edge b -> a
}
""",
        """\
graph two {
    node a, b = resnet8
    target a
    edge label -> *
    edge b -> a
}
""",
    ),
    "E402": Explanation(
        """A target has to learn, so an edge with a gate other than 0 enters it, and it does not
        say `frozen = true`. A node that no live edge enters is pre-trained on the labels and
        frozen (Minami et al., ACCV 2020, Sec. 3.4): a teacher, and no target. The same goes for
        an ensemble that learns how to combine, and for a target that is an ensemble: one of its
        members has to learn.""",
        """\
graph two {
    node a, b = resnet8
    target a
    edge label -> b
    edge b -> a : kl via cutoff
}
""",
        """\
graph two {
    node a, b = resnet8
    target a
    edge label -> *
    edge b -> a
}
""",
    ),
    "E403": Explanation(
        """A node with `frozen = true` is never trained by this graph, and this edge names it as
        a destination. Leave out one of them. `*` as a destination skips frozen nodes.""",
        """\
graph two {
    node a = resnet8
    node b = resnet14 { frozen = true }
    target a
    edge label -> a
    edge a <-> b
}
""",
        """\
graph two {
    node a = resnet8
    node b = resnet14 { frozen = true }
    target a
    edge label -> a
    edge b -> a
}
""",
    ),
    "E404": Explanation(
        """A later edge replaces an earlier one for the same pair of nodes. Here a pattern (`*`
        or an array) comes after an edge that was written out by name, and would take it away
        in silence. Put the general rule first and its exceptions after it.""",
        """\
graph three {
    node a, b, c = resnet8
    target a
    edge label -> *
    edge b -> a : kl via correct
    edge * -> a : kl
}
""",
        """\
graph three {
    node a, b, c = resnet8
    target a
    edge label -> *
    edge * -> a : kl
    edge b -> a : kl via correct
}
""",
    ),
    "E405": Explanation(
        """No such edge can be: the labels cannot learn and cannot be a target, and a node
        learns nothing from itself. Knowledge flows along the arrow, so the labels stand on its
        left.""",
        """\
graph one {
    node a = resnet8
    target a
    edge a -> label
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
    "E406": Explanation(
        """A file of weights is not there, lies outside of the folder tree of the spec, cannot
        be read, or does not fit: it has to hold exactly the tensors of the node's network, in
        their shapes, as `.safetensors` or as a state dict in `.pt` or `.pth`. Paths are
        relative to the folder of the spec. Whether the tensors fit is known once the network
        is built.""",
        """\
graph two {
    node a = resnet8
    node b = resnet14 { weights = "no-such-file.safetensors" }
    target a
    edge label, b -> a
}
""",
        """\
graph two {
    node a = resnet8
    node b = resnet14
    target a
    edge label, b -> a
}
""",
    ),
    "E407": Explanation(
        """The loss or gate does not go with what its edge joins. `ce` compares a node with the
        labels, so its edge comes from `label`. Most other losses compare two nodes; from `label`
        come only those that take a distribution, since the labels have no logits. Losses on
        features stand on edges between taps, which have no loss unless they say one, and an edge
        without a source carries `entropy`, with no gate that looks at a source.""",
        """\
graph two {
    node a, b = resnet8
    target a
    edge label -> *
    edge b -> a : ce
}
""",
        """\
graph two {
    node a, b = resnet8
    target a
    edge label -> * : ce
    edge b -> a : kl
}
""",
    ),
    "W101": Explanation(
        """No path of live edges leads from this node to a target, so that whatever it learns
        changes no result. It is not trained, and neither it nor the edges into it appear in
        the report. `keep = true` trains and reports it all the same.""",
        """\
graph two {
    node a, b = resnet8
    target a
    edge label -> *
}
""",
        """\
graph two {
    node a = resnet8
    node b = resnet8 { keep = true }
    target a
    edge label -> *
}
""",
    ),
    "W102": Explanation(
        """Two edges are written out by name for the same pair of nodes. The later one replaces
        the earlier as a whole; it does not add to it. Several losses on one pair are the terms
        of one edge, with commas between them, each with a gate of its own.""",
        """\
graph two {
    node a, b = resnet8
    target a
    edge label -> *
    edge b -> a : kl via correct
    edge b -> a : mse via linear
}
""",
        """\
graph two {
    node a, b = resnet8
    target a
    edge label -> *
    edge b -> a : kl via correct, mse via linear
}
""",
    ),
    "W103": Explanation(
        """The edge stands for no pair of nodes, so the line does nothing. Lists and `*` give
        every pair of a source and a destination but that of a node with itself, and `*` as a
        destination skips nodes with `frozen = true`.""",
        """\
graph two {
    node a, b = resnet8
    target a
    edge label -> *
    edge b -> a
    edge a -> a, a
}
""",
        """\
graph two {
    node a, b = resnet8
    target a
    edge label -> *
    edge b -> a
}
""",
    ),
}
