"""E3: values, losses and gates."""

from ktgdsl.diagnostics.codes.explanation import Explanation

EXPLANATIONS = {
    "E301": Explanation(
        """The value is of another type than is needed here: a string for a number, a fraction
        for a whole number, a node for a value, a word of another kind. Strings stand in double
        quotes, words without; a percentage is a share of the steps or of the samples.""",
        """\
graph one {
    node a = resnet8
    target a
    edge label -> a
}

train { epochs = 2.5 }
""",
        """\
graph one {
    node a = resnet8
    target a
    edge label -> a
}

train { epochs = 3 }
""",
    ),
    "E302": Explanation(
        """The value is of the right type, but too small, too large or not of the form that is
        needed. `ktgc explain` with the word or setting shows its range.""",
        """\
graph one {
    node a = resnet33
    target a
    edge label -> a
}
""",
        """\
graph one {
    node a = resnet32
    target a
    edge label -> a
}
""",
    ),
    "E303": Explanation(
        """An edge is `edge a -> b : LOSS via GATE`: a loss compares what two nodes say of a
        sample, a gate weights that sample's loss. One stands where the other has to. A number
        alone is a gate, and no loss.""",
        """\
graph two {
    node a, b = resnet8
    target a
    edge label -> *
    edge b -> a : correct
}
""",
        """\
graph two {
    node a, b = resnet8
    target a
    edge label -> *
    edge b -> a : kl via correct
}
""",
    ),
    "E304": Explanation(
        """Gates are weights from 0 on. The bounds of an expression are computed by interval
        arithmetic from those of its parts, and this one could fall below 0 for some sample or
        at some step. To push two nodes apart, give the loss a negative coefficient.""",
        """\
graph two {
    node a, b = resnet8
    target a
    edge label -> *
    edge b -> a : kl via correct - linear
}
""",
        """\
graph two {
    node a, b = resnet8
    target a
    edge label -> *
    edge b -> a : kl via correct * (1 - linear)
}
""",
    ),
    "E305": Explanation(
        """The arithmetic has no result: a division by zero, a number that is too large, or an
        operation that losses or gates do not have. Losses combine linearly: they are added,
        and multiplied by numbers. Gates are added, multiplied and divided by numbers.""",
        """\
graph two {
    node a, b = resnet8
    target a
    edge label -> *
    edge b -> a : kl * mse
}
""",
        """\
graph two {
    node a, b = resnet8
    target a
    edge label -> *
    edge b -> a : 0.9 * kl + 0.1 * mse
}
""",
    ),
    "E306": Explanation(
        """A `let` names a value, and the value of this one mentions itself, straight or through
        other `let`s, so that it has no end. The order of `let`s in a file is of no
        importance.""",
        """\
let T = 2 * T

graph two {
    node a, b = resnet8
    target a
    edge label -> *
    edge b -> a : kl(T=T)
}
""",
        """\
let T = 2 * 2

graph two {
    node a, b = resnet8
    target a
    edge label -> *
    edge b -> a : kl(T=T)
}
""",
    ),
    "E307": Explanation(
        """A range has its lesser end first, and on a logarithmic scale both ends are greater
        than 0. Both ends are part of it.""",
        """\
graph one {
    node a = resnet8
    target a
    edge label -> a
}
train { optimizer = sgd(lr=log(0.1 .. 0.001)) }
""",
        """\
graph one {
    node a = resnet8
    target a
    edge label -> a
}
train { optimizer = sgd(lr=log(0.001 .. 0.1)) }
""",
    ),
}
