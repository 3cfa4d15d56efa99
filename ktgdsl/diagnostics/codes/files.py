"""E0: the file itself."""

from ktgdsl.diagnostics.codes.explanation import Explanation

EXPLANATIONS = {
    "E001": Explanation(
        """The file that the command line or a `use` names is not there, is a folder or a
        device, or may not be read, or a file cannot be written. Paths on the command line
        are relative to the current folder, paths in a spec to the folder of the spec.""",
        "ktgc check specs/kdd.ktg",
        "ktgc check specs/kd.ktg",
    ),
    "E002": Explanation(
        """A spec is UTF-8 text. This file holds bytes that are not, mostly because an editor
        saved it in another encoding or because it is no text at all. Save it as UTF-8; a byte
        order mark, tabs and any line ends are fine.""",
    ),
    "E003": Explanation(
        """The language states its limits, so that a slip of the pen does not take hours or
        gigabytes: 256 nodes, edge statements for 262,144 pairs, 64 levels of nesting, 1 MiB
        a file, 64 used files, and 4,096 parts of a `let` with all that it mentions. What is
        nested deeper reads better when a `let` names a part of it.""",
        """\
graph crowd {
    node a[200], b[100] = resnet8
    target a[0]
    edge label -> a
}
""",
        """\
graph crowd {
    node a[200] = resnet8 { keep = true }
    target a[0]
    edge label -> a
}
""",
    ),
}
