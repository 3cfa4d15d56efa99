"""E5 and E9: what shows when a graph is built or trained, and what is still to come."""

from ktgdsl.diagnostics.codes.explanation import Explanation

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
        `--device` names, or has too little memory for it. The message says what there is.""",
    ),
    "E505": Explanation(
        """A network or module does not fit the graph: the callable of a `python(...)` cannot be
        imported, fails or gives no nn.Module; its output has not one number per class; a
        module given to `build` names no node or stands for two of them; a run has no such
        trained network yet; or the workers of a search cannot start. Modules are looked up
        beside the spec first, then where Python looks.""",
    ),
    "E506": Explanation(
        """A search space was given where one spec is needed, or a spec where a space is. A file
        in which a value is open, such as `linear | correct` or `1 .. 8`, is a space: `ktgc
        search` finds the best graph in it. One in which nothing is open is a spec: `ktgc run`
        trains it. `--set` gives an open value one value.""",
    ),
    "E507": Explanation(
        """Every trial of a search failed before its first epoch was measured, so that there is
        no best graph. The message has the reason of the last one; `trials.csv` in the folder of
        the search has all.""",
    ),
    "E508": Explanation(
        """A data set is not where it is looked for, a part of it is missing or damaged, or it is
        not what the plan says: other counts, sizes or labels. The message names the file, and
        what to download and where to put it. Without `root` known data sets are downloaded
        into $KTGDSL_DATA, or else ~/.cache/ktgdsl/data; with a `root` they are read from there
        and nothing is downloaded.""",
    ),
    "E509": Explanation(
        """The `table.toml` of the folder that `ktgc table` was given is no TOML, or has a mistake:
        a name that it does not know, a row without a `label`, a row with both a `spec` and a
        `space`, two rows with one label, a published number that is none; or no label has the
        text of `--only`. Those in `specs/paper` are examples.""",
    ),
    "E901": Explanation(
        """This is part of the language: it is checked, planned and laid out, and this version
        cannot train it yet. `build`, `run` and `search` say so, with the place of each part.""",
    ),
}
