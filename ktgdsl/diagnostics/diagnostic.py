"""Diagnostics as data: a code, a place, one sentence and, where one exists, a fix."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from ktgdsl.diagnostics.source import Span

Severity = Literal["error", "warning"]

CODES = {
    # E0: the file itself
    "E001": "the file cannot be read",
    "E002": "the file is not UTF-8 text",
    "E003": "a limit of the language is exceeded",
    # E1: syntax
    "E101": "a character that no statement can contain",
    "E102": "a word or sign in the wrong place",
    "E103": "a statement or block is not finished",
    "E104": "a malformed number",
    "E105": "a keyword where a name is needed",
    "E106": "the file has no graph",
    "E107": "a file that cannot be used",
    # E2: names
    "E201": "an unknown name",
    "E202": "a name declared twice",
    "E203": "a name that is reserved",
    "E204": "an unknown setting",
    "E205": "a setting given twice",
    "E206": "a block given twice",
    "E207": "an unknown argument, or one too many",
    "E208": "an argument is missing",
    "E209": "an argument given twice",
    "E210": "an override that names nothing",
    # E3: values
    "E301": "a value of the wrong type",
    "E302": "a value out of its range",
    "E303": "a loss where a gate is needed, or a gate where a loss is needed",
    "E304": "a gate that could be negative",
    "E305": "arithmetic that has no meaning",
    "E306": "a let that refers to itself",
    "E307": "a range that holds no number",
    # E4: the graph
    "E401": "no target",
    "E402": "a node that has to learn and cannot",
    "E403": "an edge into a frozen node",
    "E404": "a pattern that would replace an edge written out by name",
    "E405": "an edge that cannot be",
    "E406": "weights that cannot be used",
    "E407": "a loss or gate that does not go with what its edge joins",
    "E408": "a derived node that cannot be",
    "E409": "layers that cannot be shared",
    "E410": "a phase that cannot be",
    "E411": "a search that cannot be",
    "E412": "heads and labels that do not go together",
    # E5: running
    "E502": "the run folder cannot be used",
    "E503": "a loss that is not finite",
    "E504": "the machine cannot do what the spec asks",
    "E505": "a network, module or worker that does not fit or start",
    "E506": "a search space where a spec is needed, or a spec where a space is",
    "E507": "a search that found nothing",
    "E508": "data that are missing, damaged or do not fit",
    "E509": "a table that cannot be rerun",
    "E510": "what no script can have",
    "E511": "a database that a search cannot use",
    # W1: legal, but worth a look
    "W101": "a node is dropped",
    "W102": "a named edge replaces another",
    "W103": "a pattern that matches nothing",
    "W104": "a phase in which a node learns nothing",
    "W105": "a search that selects on the test split",
    "W106": "two views that are equal",
    "W107": "an edge between one value of shared layers and itself",
    "W108": "a validation split with more labels than there are to learn from",
    "W109": "a frozen node with random weights",
    # W2: suspicious, told only with --pedantic
    "W201": "a node that no label reaches",
    "W202": "a gate that never opens",
    "W203": "a teacher smaller than its student",
    "W204": "no weight decay",
    "W205": "a very large learning rate",
    "W206": "gates judged before they have opened",
    "W207": "a part of an epoch that may be a percentage",
    # W3: data, told when they are read
    "W301": "labels that may be wrong",
    "W302": "images that no seed can repeat",
    "W303": "a file that is not the published one",
    "W304": "images with transparent parts",
    "W305": "images that are normalised twice",
    "W306": "an evaluation that differs from the run's",
    "W307": "images that links make two samples",
    "W308": "floating-point images as bright as whole numbers",
    "W309": "a checkpoint with several networks that fit",
    "W310": "a file that is not what it was",
    # W4: told while a training goes on
    "W401": "a log that cannot be written",
}
"""Every code and its title; `codes/` explains them."""


class Label(NamedTuple):
    """A second place that helps to understand a diagnostic, with a short text."""

    span: Span
    text: str


class Subject(NamedTuple):
    """The part of a plan that a diagnostic is about: a node, its tap or setting, or an edge.

    Or a `block`, such as `data`, and its setting if that is written. Where the text of the spec is
    known, it gives the diagnostic its place.
    """

    node: str = ""
    tap: str = ""
    edge: tuple[str, str] | None = None
    setting: str = ""
    block: str = ""


@dataclass(frozen=True)
class Diagnostic:
    """One finding. `message` is a sentence that stands alone; `help` says what to do.

    `span` is where; without one the whole of `path` is meant.
    """

    code: str
    message: str
    span: Span | None = None
    help: str | None = None
    severity: Severity = "error"
    labels: tuple[Label, ...] = ()
    path: str | None = None
    subject: Subject | None = None

    def __post_init__(self) -> None:
        if self.code not in CODES:
            raise ValueError(f"unknown diagnostic code {self.code!r}")
        if self.path is None and self.span is not None:
            object.__setattr__(self, "path", self.span.path)


def has_errors(diagnostics: Iterable[Diagnostic]) -> bool:
    """Whether any of them is an error rather than a warning."""
    return any(diagnostic.severity == "error" for diagnostic in diagnostics)
