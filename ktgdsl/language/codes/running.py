"""E5 and E9: what shows when a graph is built or trained, and what is still to come."""

from ktgdsl.language.codes.explanation import Explanation

EXPLANATIONS = {
    "E502": Explanation(
        """The folder of a run cannot be written, or it is not that of a run, or its checkpoint
        does not fit its plan: the disk is full, the folder holds something else, the files
        were changed, or another version of PyTorch wrote them. What was kept before is intact.
        `--out` chooses another folder.""",
    ),
    "E503": Explanation(
        """A loss, or the weights after the last step, became infinite or no number, so that no
        further step could mend it. The message names the edge, the epoch and the step. Lower
        the learning rate, begin with a `warmup`, limit gradients with `clip`, or give the edge
        less weight.""",
    ),
    "E504": Explanation(
        """The machine lacks what the spec or the command line asks for, such as a device that
        `--device` names. The message lists what there is.""",
    ),
    "E505": Explanation(
        """A network or module does not fit the graph: the callable of a `python(...)` cannot be
        imported, fails or gives no nn.Module; its output has not one number per class; a
        module given to `build` names no node or stands for two of them; or a run has no such
        trained network yet. Modules are looked up beside the spec first, then where Python
        looks.""",
    ),
    "E901": Explanation(
        """This is part of the language, is read and laid out as such, and this version does not
        do it yet. The message says what; the rest of the file is checked all the same.""",
        """\
graph one {
    node a = resnet8 { device = "cuda:1" }
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
}
