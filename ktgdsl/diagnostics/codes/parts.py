"""E408 to E411, W104 and W105: derived nodes, shares, phases and searches."""

from ktgdsl.diagnostics.codes.explanation import Explanation

_PHASES = """\
graph two {
    node a, b = resnet8
    target a
    edge label -> *
    edge b -> a
}
phase first  { learn = [b] }
"""

_SPACE = """\
graph space {
    node a, b = resnet8
    target a%s
    edge label -> *
    edge b -> a : kl via correct | linear
}
"""

EXPLANATIONS = {
    "E408": Explanation(
        """A node made from others (`ensemble`, `ema`, `copy`, `constant`) has to be made from
        something that there is and that is not itself, `ema` and `copy` from network nodes.
        Only what learns can be taught: an ensemble whose `combine` has parameters, or one with
        `detach = false`, which passes on to its members what it learns. A target is a network
        or an ensemble.""",
        """\
graph three {
    node a, b = resnet8
    node mean = ensemble(a, b)
    target a
    edge label -> *
    edge label -> mean
    edge mean -> a
}
""",
        """\
graph three {
    node a, b = resnet8
    node mean = ensemble(a, b, detach=false)
    target a
    edge label -> *
    edge label -> mean
    edge mean -> a
}
""",
    ),
    "E409": Explanation(
        """Layers that nodes share are one module with one set of weights, computed once. So they
        are the same in all these networks, they begin at the input, and the nodes learn at the
        same times. Two shares of the same layers combine their gradients in one way.""",
        """\
graph two {
    node a = resnet8
    node b = resnet14
    target a
    share a, b { layers = [stem, stage1] }
    edge label -> *
    edge b -> a
}
""",
        """\
graph two {
    node a = resnet8
    node b = resnet14
    target a
    share a, b { layers = [stem] }
    edge label -> *
    edge b -> a
}
""",
    ),
    "E410": Explanation(
        """With phases every node that edges enter learns in at least one of them, and a node that
        is listed has an edge into it and is not frozen. `take = best` chooses an epoch on
        held-out samples, so that there have to be some.""",
        _PHASES,
        _PHASES + "phase second { learn = [a] }\n",
    ),
    "E411": Explanation(
        """A search is for the accuracy of one node, so `objective` says which when there are
        several targets; at least some of its points have a target that learns; and
        `sampler = all` can go through a finite space only.""",
        _SPACE % ", b" + "search { trials = 10 }\n",
        _SPACE % ", b" + "search { trials = 10  objective = accuracy(a) }\n",
    ),
    "W104": Explanation(
        """A node learns in a phase in which none of the edges into it is open, so that it only
        loses time there: gates with `during` are 0 in all other phases.""",
        """\
graph two {
    node a, b = resnet8
    target a
    edge label -> *
    edge label -> a via during(second)
    edge b -> a via during(second)
}
phase first  { learn = [a, b] }
phase second { learn = [a, b] }
""",
        """\
graph two {
    node a, b = resnet8
    target a
    edge label -> *
    edge label -> a via during(second)
    edge b -> a via during(second)
}
phase first  { learn = [b] }
phase second { learn = [a, b] }
""",
    ),
    "W105": Explanation(
        """The search selects on the test split, so that the test accuracy of what it finds says
        nothing any more about new images. Some published codes do this.""",
        _SPACE % "" + "search { objective = accuracy(a, on=test) }\n",
        _SPACE % "" + "search { objective = accuracy(a) }\n",
    ),
}
