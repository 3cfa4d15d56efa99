"""Taps: the places inside of networks that edges and arguments may name."""

from ktgdsl.diagnostics.source import Span
from ktgdsl.lowering.draft import DraftContext
from ktgdsl.lowering.heads import labels_of, unknown_label
from ktgdsl.lowering.references import written_path
from ktgdsl.plan.model import LABEL, LOGITS
from ktgdsl.syntax.tree import Value
from ktgdsl.vocabulary.call import BEFORE_RELU
from ktgdsl.vocabulary.networks import STAGES, Network, Resnet, Wrn
from ktgdsl.vocabulary.spelling import closest

FLAT = frozenset({"features", LOGITS})
"""The stages that have no height and width."""

_BEFORE_RELU = tuple(f"{stage}{BEFORE_RELU}" for stage in STAGES if stage not in FLAT)


def tap_path(context: DraftContext, written: Value | None) -> str | None:
    """The place that a closed tap names, `logits` where none is written; None after a complaint."""
    if written is None:
        return LOGITS
    value = context.resolver.expand(written)
    if (path := written_path(value)) is not None:
        return path
    context.resolver.complain(
        "E301",
        "a place inside of a network is a name or the path of a module",
        written.span,
        'such as `a.stage2` or `a."layer1.0.conv1"`',
    )
    return None


def has_stages(network: Network) -> bool:
    """Whether a network is one of ours, whose places are known."""
    return isinstance(network, Resnet | Wrn)


def check_tap(
    context: DraftContext, node: str, path: str, span: Span, called: str | None = None
) -> bool:
    """Whether a node has a place of that name, as far as anybody knows; complains if not.

    `called` is what the file calls the node, where that is another name.
    """
    draft = context.draft
    if node == LABEL and draft.heads:
        if path not in labels_of(draft):
            message, fix = unknown_label(draft, path)
            context.resolver.complain("E412", message, span, fix)
        return path in labels_of(draft)
    if node == LABEL:
        message = f"the labels have no place inside of them, so there is no `label.{path}`"
        context.resolver.complain("E405", message, span, "leave it out: `edge label -> a`")
        return False
    if path in draft.heads.get(node, ()):
        return True
    if node in draft.derived:
        derived = draft.derived[node]
        if derived.made.follows and derived.sources:
            return check_tap(context, derived.sources[0], path, span, called or node)
        known: tuple[str, ...] = (LOGITS,)
    elif node in draft.nodes and has_stages(draft.nodes[node].network):
        known = _BEFORE_RELU if path.endswith(BEFORE_RELU) else STAGES
        known = (*known, *draft.heads.get(node, ()))
    else:
        return True  # what is inside of other networks is seen when they are built
    stage, *inner = path.split(".")
    # The stages of our networks are lists of modules.
    module = node in draft.nodes and stage in STAGES and inner[:1] and inner[0].isdigit()
    if path in known or module:
        return True
    guess = closest(path, list(known))
    places = ", ".join(f"`{name}`" for name in known)
    context.resolver.unknown(
        path,
        f"there is no `{path}` inside of `{called or node}`",
        span,
        f"did you mean `{guess}`?" if guess else f"it has {places}",
    )
    return False


def check_norm(context: DraftContext, node: str, path: str, loss: str, span: Span) -> bool:
    """Whether a place may have a batch norm directly before it, as far as anybody knows.

    Complains if not. The stages of our networks end with a sum or a ReLU.
    """
    draft = context.draft
    name = node
    while name in draft.derived and draft.derived[name].made.follows:
        name = draft.derived[name].sources[0]
    if path not in STAGES or name not in draft.nodes or not has_stages(draft.nodes[name].network):
        return True
    context.resolver.complain(
        "E407",
        f"`{loss}` takes its margins from a batch norm, and `{node}.{path}` does not come from one",
        span,
        f"before the ReLU it does: `{node}.{path}.pre`; or `{loss}(margin=batch)`",
    )
    return False
