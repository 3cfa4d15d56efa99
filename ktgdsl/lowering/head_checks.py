"""Checks of heads: each edge joins answers to one label, and names it where there are several."""

from collections.abc import Iterable, Iterator

from ktgdsl.lowering.draft import Draft, DraftContext
from ktgdsl.lowering.edge_pairs import EdgeTable, Pair
from ktgdsl.lowering.endpoints import EndpointPattern
from ktgdsl.lowering.heads import head_at, labels_of
from ktgdsl.plan.gate_expressions import gate_calls
from ktgdsl.plan.model import LOGITS, DataPlan, Endpoint, Labels, NodeOutput, Term
from ktgdsl.syntax.tree import File
from ktgdsl.vocabulary.gates import Gate
from ktgdsl.vocabulary.losses import Loss
from ktgdsl.vocabulary.reads import Read, SourceKind
from ktgdsl.vocabulary.registry import entry_of
from ktgdsl.vocabulary.spelling import closest, listed

_OWN = "python"
"""The word of networks and data that are code of the user's."""


def check_heads(context: DraftContext) -> None:
    """Whether all nodes say which labels they answer, if one does; complains if not."""
    draft = context.draft
    if not draft.heads:
        return
    labels = labels_of(draft)
    for node in draft.nodes.values():
        heads, word = draft.heads.get(node.name, ()), node.network.word
        if not heads:
            message = f"samples have the labels {listed(labels)}, and `{node.name}` answers none"
            fix = f"say which: `heads = [{labels[0]}]`"
        elif len(heads) > 1 and word != _OWN:
            message = f"`{word}` has one output, and `{node.name}` has {len(heads)} heads"
            fix = 'leave it one head, or take a network of yours: `python("pkg.module:fn")`'
        else:
            continue
        context.resolver.complain("E412", message, node.span, fix)
    for derived in draft.derived.values():
        members = {tuple(sorted(draft.heads.get(each, ()))) for each in derived.sources}
        if derived.made.follows or not members:
            continue
        several = draft.heads.get(derived.sources[0], ())
        if len(members) > 1:
            shown = " and ".join(listed(heads) or "none" for heads in sorted(members))
            message = f"`{derived.name}` combines answers to {shown}"
            fix = "an ensemble combines nodes that have the same heads"
        elif derived.made.learned and len(several) > 1:
            message = f"`{derived.name}` learns how to combine, and has the heads {listed(several)}"
            fix = "combine several heads by `mean`, `sum` or `minimum`, each by itself"
        else:
            continue
        context.resolver.complain("E412", message, derived.span, fix)


def check_labels(context: DraftContext, file: File, data: DataPlan) -> None:
    """Whether samples can have the labels that heads answer; complains if not."""
    draft, word = context.draft, data.source.name
    if not draft.heads:
        return
    block = file.block("data")
    if word != _OWN:
        first = draft.nodes[next(iter(draft.heads))]
        message = (
            f"the samples of `{word}` have one label, without a name, and `{first.name}` has "
            f"{'heads' if len(draft.heads[first.name]) > 1 else 'the head'} "
            f"{listed(draft.heads[first.name])}"
        )
        fix = 'several labels come from a function of yours: `data python("pkg.module:fn")`'
        context.resolver.complain("E412", message, first.span, fix)
    elif block is not None and data.classes_expected is not None:
        place = next(each.value.span for each in block.settings if each.name == "classes")
        message = f"`classes` is one number, and samples have the labels {listed(labels_of(draft))}"
        fix = "leave it out: a Dataset says it by its `classes`, a dict of lists of names"
        context.resolver.complain("E412", message, place, fix)


def joins_one_head(
    edges: EdgeTable, source: EndpointPattern, destination: EndpointPattern, pair: Pair
) -> bool:
    """Whether the ends of a pair answer the same label, as far as they say; complains if not."""
    draft = edges.context.draft
    start, end = pair.source, pair.destination
    if not draft.heads or source.reference is None or destination.reference is None:
        return True
    into, labels = head_at(draft, end), labels_of(draft)
    message, fix, place = "", None, destination.reference.span
    if isinstance(start, Labels) and start.head is None:
        place = source.reference.span
        message = f"samples have the labels {listed(labels)}, and this edge does not say which"
        fix = f"such as `edge label.{into or labels[0]} -> {_tap(end.node, into or labels[0])}`"
    elif isinstance(start, Labels) and into is None:
        heads = draft.heads.get(end.node, ())
        message = f"`{start}` teaches a head, and `{end}` is none"
        guess = start.head if start.head in heads else closest(end.tap, list(heads))
        fix = f"`{end.node}` has {_taps(end.node, heads)}"
        fix = f"did you mean `{_tap(end.node, guess)}`?" if guess else fix
    else:
        head = head_at(draft, start)
        if head is not None and into is not None and head != into:
            message = f"`{start}` is about `{head}`, and `{end}` answers `{into}`"
            fix = "an edge joins answers to the same label"
        elif isinstance(start, NodeOutput) and (head is None) != (into is None):
            (known, other), place = (
                ((end, start), source.reference.span)
                if head is None
                else ((start, end), destination.reference.span)
            )
            guess = closest(other.tap, list(draft.heads.get(other.node, ())))
            if guess and other.tap != LOGITS:
                message = f"`{known}` is a head, and `{other}` is none"
                fix = f"did you mean `{_tap(other.node, guess)}`?"
    if not message:
        return True
    key = place, message
    if key not in edges.reported:
        edges.reported.add(key)
        edges.context.resolver.complain("E412", message, place, fix)
    return False


def unnamed_head(draft: Draft, pair: Pair, term: Term, kind: SourceKind) -> tuple[str, str] | None:
    """An error and a fix, where a term reads a node with several heads and the edge names none."""
    if all(len(heads) == 1 for heads in draft.heads.values()):
        return None
    words: list[Loss | Gate] = [entry_of(Loss, part.loss) for part in term.parts]
    gates = [entry_of(Gate, call) for call in gate_calls(term.gate)]
    words += [gate for gate in gates if not gate.folds]
    for word in words:
        for node in _read_nodes(word, pair, kind):
            heads = draft.heads.get(node, ())
            end = pair.source if _is_of(pair.source, node) else pair.destination
            if len(heads) > 1 and head_at(draft, end) is None:
                return (
                    f"`{word.word}` reads what `{node}` answers, and it has the heads "
                    f"{listed(heads)}",
                    f"say which: {_taps(node, heads)}",
                )
    return None


def _is_of(end: Endpoint, node: str) -> bool:
    """Whether an endpoint is of a node."""
    return isinstance(end, NodeOutput) and end.node == node


def _read_nodes(word: Loss | Gate, pair: Pair, kind: SourceKind) -> Iterator[str]:
    """The nodes of a pair whose answers, or labels, a word reads."""
    for each in word.inputs(kind):
        if isinstance(each, Read) and each.form in ("logits", "log_p", "p", "label", "one_hot"):
            end = pair.source if each.of == "source" else pair.destination
            if isinstance(end, NodeOutput):
                yield end.node


def _tap(node: str, head: str) -> str:
    return f"{node}.{head}"


def _taps(node: str, heads: Iterable[str]) -> str:
    return listed([_tap(node, head) for head in heads]) or "none"
