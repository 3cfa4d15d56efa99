"""Emits the fx graph of an update: calls of modules, then losses and gates under their edges."""

from operator import add, getitem, mul
from typing import Any

from torch import fx

from ktgdsl.backend import gates, targets
from ktgdsl.backend.emitted_values import SUFFIXES, Emitted, EmittedValues
from ktgdsl.backend.functions import LOSSES, TARGETS
from ktgdsl.backend.output import Output
from ktgdsl.backend.user_functions import own_values
from ktgdsl.plan.model import LOGITS
from ktgdsl.program.model import Combined, EdgeLoss, Gate, Loss, StageCall, Term, Update
from ktgdsl.program.names import identifier
from ktgdsl.program.values import Connector, Read, Value, Weight
from ktgdsl.vocabulary.reads import UserFunction


def emit(
    update: Update, folder: str | None = None, *, together: bool = False, gather: bool = False
) -> fx.Graph:
    """The computation of one batch as an fx graph over the modules that the update calls.

    Functions of the user's own are looked up in `folder` first. EdgeError where one cannot be
    used.

    Placeholders are `image`, `label` and `progress`, and `sample` and `second_view` where something
    reads them; the result is an `Output`, with the logits of the first view. Sources are detached,
    so that the gradient of an edge's loss reaches its destination only (paper, Sec. 3.1), and what
    several edges read is computed once. With `together` the losses of a node that have targets
    are computed at once, the same but for rounding. With `gather` images are the part of a batch
    that a process has, labels and numbers of samples those of the whole batch, and so is the
    result.
    """
    return _Emitter(update, folder, together, gather).emit()


class _Emitter:
    def __init__(self, update: Update, folder: str | None, together: bool, gather: bool) -> None:
        self.update = update
        self.together = together
        self.values = EmittedValues(update, folder, gather)
        self.graph = self.values.graph
        self.open: dict[tuple[str, str], fx.Node] = {}
        self.likes: dict[tuple[object, ...], Emitted] = {}
        """Any log p of the shape that a target has, by what else the target is computed from."""

    def emit(self) -> fx.Graph:
        for call in self.update.calls:
            self._stage_call(call)
        edges: dict[tuple[str, str], fx.Node] = {}
        parts: dict[str, list[fx.Node]] = {learner: [] for learner in self.update.learns}
        for (learner, log_p), group in self._groups().items():
            losses = self._losses(log_p, group)
            parts[learner].append(self.graph.call_method("sum", (losses,)))
            own = self.graph.call_method("unbind", (losses,))
            for index, edge in enumerate(group):
                loss = self.graph.call_function(getitem, (own, index))
                edges[edge.key] = self.values.name(loss, f"edge_{_pair(edge)}")
        for edge in self.update.edges:
            if edge.key not in edges:
                edges[edge.key] = self._edge(edge)
                parts[edge.learner].append(edges[edge.key])
        logits = {
            name if tap == LOGITS else f"{name}.{tap}": self.values.output(call.node, tap, 0)
            for call in self.update.calls
            if call.gives_logits and call.view == 0
            for name in call.nodes
            for tap in call.answers
        }
        logits |= {each.name: self.values.derived(each, 0) for each in self.update.reported}
        results: tuple[Any, ...] = (
            {learner: self._sum(own, learner) for learner, own in parts.items()},
            {edge.key: edges[edge.key] for edge in self.update.edges},
            logits,
            self.open,
        )
        self.graph.output(self.graph.call_function(Output, results))
        self.graph.lint()
        return self.graph

    def _stage_call(self, call: StageCall) -> None:
        inputs = tuple(map(self.values.stage_input, call.inputs))
        value = self.graph.call_module(call.attribute, inputs)
        if call.access != "cached":
            value.meta["network"] = call
        node, view = identifier(call.nodes[0]), SUFFIXES[call.view]
        names = {
            tap: (f"logits_{node}" if tap == LOGITS else f"{node}_{identifier(tap)}") + view
            for tap in call.taps
        }
        if call.taps == (call.output,):
            output = self.values.name(value, names[call.output])
            self.values.outputs[call.node, call.output, call.view] = output
            return
        self.values.name(value, f"outputs_{identifier(call.node)}{view}")
        for tap in call.taps:
            output = self.graph.call_function(getitem, (value, tap))
            self.values.outputs[call.node, tap, call.view] = self.values.name(output, names[tap])

    def _groups(self) -> dict[tuple[str, Read], list[EdgeLoss]]:
        """The edges that are computed together: of a learner, and linear in the same log p."""
        found: dict[tuple[str, Read], list[EdgeLoss]] = {}
        for edge in self.update.edges if self.together else ():
            if (log_p := _linear_in(edge)) is not None:
                found.setdefault((edge.learner, log_p), []).append(edge)
        return {key: group for key, group in found.items() if len(group) > 1}

    def _losses(self, read: Read, group: list[EdgeLoss]) -> fx.Node:
        """Eq. 2 of edges with targets, as one vector."""
        log_p = self.values.value(read)
        found = [self._target(edge, log_p) for edge in group]
        losses = self.values.call(targets.target_losses, log_p, *found)
        return self.values.name(losses, f"losses_of_{log_p}")

    def _target(self, edge: EdgeLoss, log_p: Emitted) -> fx.Node:
        """The target of an edge's one loss, weighted by its gate; destinations share it."""
        self.values.edge = edge.key
        (term,) = edge.terms
        (loss,) = term.losses
        function = TARGETS[loss.word, loss.source]
        inputs = [self.values.value(each) for each in loss.inputs]
        key = (function, *(each for each in inputs if each is not log_p))
        like = self.likes.setdefault(key, log_p)
        target = self.values.call(function, *(like if i is log_p else i for i in inputs))
        target.meta["loss"] = edge.key, loss.word
        weight = self._weight(term.gate)
        self._note_open(edge, [weight])
        labeled = self._labeled(edge.label) if term.reduction == "labeled" else None
        factor = loss.coefficient * edge.scale
        value = self.values.call(targets.weighted, target, weight, factor, labeled)
        value.meta["reduced"] = edge.key
        return self.values.name(value, f"target_{identifier(edge.source)}")

    def _sum(self, losses: list[fx.Node], learner: str) -> fx.Node:
        """Eq. 3: a node's loss is the sum of its edges' losses."""
        total, *rest = losses
        for loss in rest:
            total = self.graph.call_function(add, (total, loss))
        return self.values.name(total, f"loss_{identifier(learner)}")

    def _edge(self, edge: EdgeLoss) -> fx.Node:
        """Eq. 2: the gated and reduced loss of an edge."""
        self.values.edge = edge.key
        pair = _pair(edge)
        reduced = [self._term(term, edge, pair) for term in edge.terms]
        total = reduced[0]
        for value in reduced[1:]:
            total = self.graph.call_function(add, (total, value))
        if edge.scale != 1:
            total = self.graph.call_function(mul, (total, edge.scale))
        self._note_open(edge, [self._weight(term.gate) for term in edge.terms])
        return self.values.name(total, f"edge_{pair}")

    def _note_open(self, edge: EdgeLoss, weights: list[Emitted]) -> None:
        if all(isinstance(weight, fx.Node) for weight in weights):
            share = self.values.call(gates.open_share, *weights)
            self.open[edge.key] = self.values.name(share, f"open_{_pair(edge)}")

    def _term(self, term: Term, edge: EdgeLoss, pair: str) -> fx.Node:
        values = self._combination(term.losses, edge, pair)
        reduced = self._reduced(term, values, self._weight(term.gate), edge.label)
        reduced.meta["reduced"] = edge.key
        return reduced

    def _reduced(self, term: Term, values: fx.Node, weight: Emitted, label: Value) -> fx.Node:
        match term.reduction:
            case "sum":
                return self.values.call(gates.reduce_sum, values, weight)
            case "labeled":
                labeled = self._labeled(label)
                if _may_differ(*term.losses):
                    answers = self.values.value(label)
                    labeled = self.values.call(gates.count_labeled_like, answers, values)
                return self.values.call(gates.reduce_labeled, values, weight, labeled)
            case "active":
                return self.values.call(gates.reduce_active, values, weight, weight)
            case "mean":
                return self.values.call(gates.reduce_mean, values, weight)

    def _combination(self, parts: tuple[Loss, ...], edge: EdgeLoss, pair: str) -> fx.Node:
        """The linear combination (B, *rest) of the losses of an edge's samples."""
        total: fx.Node | None = None
        for part in parts:
            if isinstance(part.inputs[0], UserFunction):
                value = self.values.own(part.inputs[0], part.inputs[1:], own_values)
            else:
                inputs = [self.values.value(each) for each in part.inputs]
                value = self.values.call(LOSSES[part.word, part.source], *inputs)
            value = self.values.name(value, f"{part.word}_{pair}")
            value.meta["loss"] = edge.key, part.word
            if part.coefficient != 1:
                value = self.graph.call_function(mul, (value, part.coefficient))
            plus = gates.plus if _may_differ(*parts) else add
            total = value if total is None else self.graph.call_function(plus, (total, value))
        assert total is not None
        return total

    def _labeled(self, label: Value) -> fx.Node:
        return self.values.call(gates.count_labeled, self.values.value(label))

    def _weight(self, gate: Gate) -> Emitted:
        """The weight of a gate, None where it is always 1."""
        weight = self._gate(gate)
        return None if weight == 1.0 else weight

    def _gate(self, gate: Gate) -> Emitted:
        match gate:
            case Combined():
                operator = mul if gate.operator == "*" else add
                if _may_differ(*gate.parts):
                    operator = gates.times if gate.operator == "*" else gates.plus
                first, *rest = (self._gate(part) for part in gate.parts)
                for value in rest:
                    first = self.values.call(operator, first, value)
                return first
            case Weight():
                return self.values.weight(gate)
        return gate


def _linear_in(edge: EdgeLoss) -> Read | None:
    """The log p of its learner that the loss of an edge is linear in, if its target is known."""
    match edge.terms:
        case (Term(losses=(loss,), reduction=("mean" | "labeled")),) if (
            loss.word,
            loss.source,
        ) in TARGETS:
            reads = (each for each in loss.inputs if isinstance(each, Read))
            return next(each for each in reads if not each.detached)
    return None


def _pair(edge: EdgeLoss) -> str:
    """An edge in the names of what is computed for it."""
    return "_to_".join(identifier(end) for end in edge.key if end)


def _may_differ(*parts: Loss | Gate) -> bool:
    """Whether some of these may have a value for each sample and others one for each pixel.

    What is the user's own may have either.
    """
    kinds = {kind for part in parts for kind in _kinds(part)}
    return "own" in kinds or len(kinds) > 1


def _kinds(part: Loss | Gate) -> set[str]:
    match part:
        case Combined():
            return {kind for each in part.parts for kind in _kinds(each)}
        case Loss() | Weight() if isinstance(part.inputs[0], UserFunction):
            return {"own"}
        case Loss() | Weight():
            features = (isinstance(i, Read) and i.form == "features" for i in part.inputs)
            connected = (isinstance(i, Connector) for i in part.inputs)
            return {"sample" if part.word == "shard" or any((*features, *connected)) else "pixel"}
    return set()
