"""All explanations by code, and the families of codes."""

from ktgdsl.diagnostics.codes import files, graph, names, parts, running, suspicious, syntax, values
from ktgdsl.diagnostics.codes.explanation import Explanation

FAMILIES = {
    "E0": "the file itself",
    "E1": "syntax",
    "E2": "names",
    "E3": "values",
    "E4": "the graph",
    "E5": "running",
    "E9": "the road ahead",
    "W1": "legal, but worth a look",
    "W2": "suspicious, asked about by `ktgc check --pedantic`",
}
"""What the codes that begin alike are about."""

EXPLANATIONS: dict[str, Explanation] = {
    **files.EXPLANATIONS,
    **syntax.EXPLANATIONS,
    **names.EXPLANATIONS,
    **values.EXPLANATIONS,
    **graph.EXPLANATIONS,
    **parts.EXPLANATIONS,
    **running.EXPLANATIONS,
    **suspicious.EXPLANATIONS,
}
