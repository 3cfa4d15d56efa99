"""Checks that what is trained has no open values, and what is searched has some."""

from collections.abc import Callable

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.diagnostics.source import Span
from ktgdsl.errors import RunError
from ktgdsl.plan.model import Plan
from ktgdsl.syntax.tree import Choice, File, Graph, Range, Syntax
from ktgdsl.syntax.walk import walk


def require_spec(plan: Plan, tree: File | None = None) -> None:
    """Raise RunError (E506) where a plan is a space, which has to be searched, at its place."""
    if plan.space is not None:
        span = None if tree is None else _first(tree, lambda part: isinstance(part, Choice | Range))
        draw = plan.space.draws[0]
        message = f"this is a search space: `{draw.name}` is open, {draw}"
        fix = "`ktgc search` finds the best graph in it; give one value to make it a spec"
        raise RunError([Diagnostic("E506", message, span, fix)])


def require_space(plan: Plan, tree: File | None = None) -> None:
    """Raise RunError (E506) where a plan is no space: nothing in it is open."""
    if plan.space is None or plan.search is None:
        message = f"there is nothing to search: `{plan.graph.name}` leaves no value open"
        fix = "`ktgc run` trains it; in a space a value is open, such as `via linear | correct`"
        span = None if tree is None or tree.graph is None else tree.graph.span
        span = span and span._replace(end=span.start + len("graph"))
        raise RunError([Diagnostic("E506", message, span, fix)])


def _first(tree: File, wanted: Callable[[Syntax], bool]) -> Span | None:
    """The span of the first such part, in the graph first: a `let` may be unused."""
    parts = sorted(tree.statements, key=lambda statement: not isinstance(statement, Graph))
    return next((p.span for part in parts for p in walk(part) if wanted(p)), None)
