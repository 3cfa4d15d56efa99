"""W2: what only `ktgc check --pedantic` asks about."""

from ktgdsl.diagnostics.codes.explanation import Explanation

_FINE = """\
graph two {
    node a = resnet8
    node b = resnet14
    target a
    edge label -> a
    edge b -> a : kl(T=4)
}
"""
_SGD = "train { optimizer = sgd(lr=0.1, momentum=0.9, weight_decay=5e-4) }\n"

EXPLANATIONS = {
    "W201": Explanation(
        """Nodes can teach each other without any of them ever seeing a label, or a teacher that
        did: they agree with each other, and on nothing in particular.""",
        """\
graph three {
    node a, b, c = resnet8
    target a, b
    edge label -> a
    edge b <-> c
}
""",
        """\
graph three {
    node a, b, c = resnet8
    target a, b
    edge label -> *
    edge b <-> c
}
""",
    ),
    "W202": Explanation(
        """A schedule such as `until` or `after` opens at no step of this training, so that the
        edge is computed at every step and never counts.""",
        _FINE.replace("kl(T=4)", "kl(T=4) via after(30)") + "train { epochs = 20 }\n",
        _FINE.replace("kl(T=4)", "kl(T=4) via after(30)") + "train { epochs = 40 }\n",
    ),
    "W203": Explanation(
        """A frozen teacher has fewer weights than the node that learns from it. That can be
        meant (a student may outgrow its teacher), and often it is an arrow the wrong way
        round.""",
        _FINE.replace("node a = resnet8", "node a = resnet20"),
        _FINE,
    ),
    "W204": Explanation(
        """The optimiser of the `train` block has no weight decay. Published recipes for these
        networks have some, and `sgd(lr=0.1)` does not inherit the default's.""",
        _FINE + "train { optimizer = sgd(lr=0.1, momentum=0.9) }\n",
        _FINE + _SGD,
    ),
    "W205": Explanation(
        """A learning rate above 1 for `sgd`, or above 0.1 for `adamw`, hardly ever trains
        anything: most runs end in E503.""",
        _FINE + _SGD.replace("lr=0.1", "lr=10"),
        _FINE + _SGD,
    ),
    "W206": Explanation(
        """A search ends trials at rungs, the first after few epochs, and a `linear` gate has
        hardly opened by then: its edge is judged before it does anything, and graphs that
        would gain from it late are ended early. The paper's search has this too.""",
        _FINE.replace("kl(T=4)", "kl(T=4) via through | linear"),
        _FINE.replace("kl(T=4)", "kl(T=4) via through | linear")
        + "search { pruner = asha(min=4) }\n",
    ),
    "W207": Explanation(
        """A moment or length of the training without `%` counts epochs, so that `until(0.6)`
        closes after six tenths of the first epoch. A share of the whole training is a
        percentage: `until(60%)`.""",
        _FINE.replace("kl(T=4)", "kl(T=4) via until(0.6)"),
        _FINE.replace("kl(T=4)", "kl(T=4) via until(60%)"),
    ),
}
