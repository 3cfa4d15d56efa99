"""The heads of the nodes of a draft, and the labels that they answer."""

from ktgdsl.lowering.draft import Draft
from ktgdsl.plan.model import LABEL, LOGITS, Endpoint, Labels, NodeOutput, tap_of
from ktgdsl.vocabulary.spelling import closest, listed, there_are


def declared_heads(draft: Draft) -> dict[str, tuple[str, ...]]:
    """The heads of each node that has some; a derived node has those of its first source."""
    found = {
        name: tuple(head.name for head in node.settings.heads)
        for name, node in draft.nodes.items()
        if node.settings.heads
    }
    for name in draft.derived if found else ():
        source, seen = name, {name}
        while source in draft.derived and draft.derived[source].sources:
            source = draft.derived[source].sources[0]
            if source in seen:  # a circle, which others complain about
                break
            seen.add(source)
        if source in found:
            found[name] = found[source]
    return found


def labels_of(draft: Draft) -> tuple[str, ...]:
    """The labels that nodes answer, in the order of first mention."""
    return tuple(dict.fromkeys(head for heads in draft.heads.values() for head in heads))


def plain_tap(draft: Draft, node: str, path: str) -> str:
    """A tap of a node, where the only head of a node is its logits."""
    return LOGITS if draft.heads.get(node, ()) == (path,) else path


def answer_tap(draft: Draft, end: Endpoint) -> str:
    """The tap of an endpoint; that of a head counts as the logits."""
    if not draft.heads:
        return tap_of(end)
    heads = draft.heads.get(end.node, ()) if isinstance(end, NodeOutput) else ()
    return LOGITS if tap_of(end) in heads else tap_of(end)


def head_at(draft: Draft, end: Endpoint) -> str | None:
    """The label that an endpoint answers; None for features, and for several heads at once."""
    if isinstance(end, Labels):
        return end.head
    if not isinstance(end, NodeOutput):
        return None
    heads = draft.heads.get(end.node, ())
    if end.tap == LOGITS:
        return heads[0] if len(heads) == 1 else None
    return end.tap if end.tap in heads else None


def unknown_label(draft: Draft, path: str) -> tuple[str, str]:
    """The error that no head answers `label.path`, and a fix."""
    labels = labels_of(draft)
    guess = closest(path, list(labels))
    there = listed([f"{LABEL}.{each}" for each in labels])
    fix = f"did you mean `{LABEL}.{guess}`?" if guess else f"there is {there}"
    return f"no node has a head `{path}`, so there is no `{LABEL}.{path}`", fix


def unknown_head(draft: Draft, node: str, path: str) -> tuple[str, str] | None:
    """The error that a node has no head `path`, and a fix; None where it has one."""
    heads = draft.heads.get(node, ())
    if path in heads:
        return None
    guess = closest(path, list(heads))
    there = [f"{node}.{each}" for each in heads]
    fix = there_are(there) if there else "leave it out"
    return f"`{node}` has no head `{path}`", f"did you mean `{node}.{guess}`?" if guess else fix
