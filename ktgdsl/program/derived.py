"""Resolves reads of derived nodes: what ensembles and constants are computed from, edge by edge."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from ktgdsl.plan import model as plan
from ktgdsl.plan.ensembles import ensembles_of
from ktgdsl.plan.heads import answers, heads_of
from ktgdsl.program.values import LABEL, Computed, DerivedOutput, Form, Mixer, Read, Value, View
from ktgdsl.vocabulary import reads
from ktgdsl.vocabulary.combines import Mean
from ktgdsl.vocabulary.derived import ConstantNode, Ensemble
from ktgdsl.vocabulary.registry import entry_of


class Outputs:
    """The outputs of a graph's nodes as values.

    `mixers` has the name of the module of each ensemble that learns how to combine, and `labels`
    the names of the columns of the labels where samples have several.
    """

    def __init__(
        self, graph: plan.Graph, mixers: Mapping[str, str], labels: Sequence[str] = ()
    ) -> None:
        self.heads = heads_of(graph)
        self._labels = labels
        self.ensembles = ensembles_of(graph)
        self.mixers = mixers
        self._sources = {node.name: node.sources for node in graph.derived}
        self._constants = {
            node.name: entry_of(ConstantNode, node.made)
            for node in graph.derived
            if node.made.name == ConstantNode.word
        }
        self._network = graph.nodes[0].name
        self._answer_taps: dict[str, tuple[str, ...]] = {}

    def read(self, read: Read, destination: str | None = None, head: str | None = None) -> Read:
        """The read of a node's output on an edge to `destination`, None where there is no edge.

        `head` is the label that the edge is about, None where samples have one.
        """
        return self.read_at(read, Place(destination, view=read.view, head=head))

    def answer_taps(self, node: str) -> tuple[str, ...]:
        """The taps where the logits of a node are."""
        if node not in self._answer_taps:  # every edge of the node asks
            found = answers(node, self.heads.get(node, ()))
            self._answer_taps[node] = tuple(each.tap for each in found)
        return self._answer_taps[node]

    def answer_tap(self, node: str, head: str | None) -> str:
        """The tap where the logits of a node in answer to a label are."""
        return head if head in self.answer_taps(node) else plan.LOGITS

    def label_of(self, head: str | None) -> Value:
        """The label that a head answers, None for the only one that samples have."""
        return LABEL if head is None else Computed("column", (LABEL, self._labels.index(head)))

    def read_at(self, read: Read, place: "Place") -> Read:
        """The read at a place; for an ensemble or a constant with the way to compute it."""
        if read.node in self.ensembles:
            heads = self.heads.get(read.node, ())
            head = read.tap if len(heads) > 1 else next(iter(heads), None)
            return replace(read, derived=self._combined(read.node, place._replace(head=head)))
        if read.node in self._constants:
            return replace(read, derived=self._constant(read.node, place))
        return read

    def reported(self, ensemble: str) -> tuple[DerivedOutput, ...]:
        """The outputs of an ensemble in evaluation: for no destination, and without labels."""
        return tuple(
            self._combined(ensemble, Place(labeled=False, head=head))
            for head in self.heads.get(ensemble) or (None,)
        )

    def reached(self, node: str) -> set[str]:
        """The nodes that the gradient of a node's loss reaches, itself included."""
        found, ensemble = {node}, self.ensembles.get(node)
        if ensemble is not None and ensemble.passes_gradients:
            gate_tap = ensemble.gate_tap
            gate_nodes = [str(gate_tap.node)] if gate_tap is not None else []
            for source in (*self._sources[node], *gate_nodes):
                found |= self.reached(source)
        return found

    def taught(self, node: str) -> set[str]:
        """The nodes that learn from an edge into a node: itself, or else what it combines."""
        weightless = node in self.ensembles and node not in self.mixers
        return self.reached(node) - {node} if weightless else {node}

    def networks_within(self, node: str) -> Iterator[str]:
        """The network nodes that a node is made of, through others or not; itself if it is one."""
        if node in self.ensembles:
            for source in self._sources[node]:
                yield from self.networks_within(source)
        elif node not in self._constants:
            yield node

    def _constant(self, node: str, place: "Place") -> DerivedOutput:
        like = self.logits_within(place.destination, place)
        inputs = (self.label(like, place), like, self._constants[node].correct)
        return DerivedOutput(node, ConstantNode.word, "probabilities", inputs)

    def _combined(self, node: str, place: "Place") -> DerivedOutput:
        ensemble, sources = self.ensembles[node], self._sources[node]
        combine = ensemble.combine
        head = place.head if len(self.heads.get(node, ())) > 1 else None
        if combine.reads_destination and not self._has_features(place.destination):
            form: Form = "logits" if ensemble.on == "logits" else "log_p"
            places = [place._replace(destination=source) for source in sources]
            mixes = [self.read_at(Read(node, form, view=place.view), each) for each in places]
            return DerivedOutput(node, Mean.word, ensemble.on, tuple(mixes), head=head)
        left_out = place.destination if ensemble.others else None
        members = [i for i, source in enumerate(sources) if source != left_out]
        resolver = _Resolver(self, node, sources, place)
        inputs = [
            value
            for read in combine.inputs(ensemble.on)
            for value in resolver.values(read, members)
        ]
        nested = [read.derived for read in inputs if isinstance(read, Read) and read.derived]
        differs_by_destination = (
            combine.reads_destination
            or len(members) < len(sources)
            or any(output.destination for output in nested)
        )
        destination = place.destination if differs_by_destination else None
        return DerivedOutput(node, combine.word, ensemble.on, tuple(inputs), destination, head)

    def label(self, like: Read, place: "Place") -> Value:
        """The labels, or labels -1 for as many samples as there are logits."""
        return self.label_of(place.head) if place.labeled else Computed("unlabeled", (like,))

    def logits_within(self, node: str | None, place: "Place") -> Read:
        """Some logits within a node, for their shape; those of any node for a constant."""
        networks = () if node is None else self.networks_within(node)
        network = next(iter(networks), self._network)
        return Read(network, "logits", self.answer_tap(network, place.head), view=place.view)

    def _has_features(self, node: str | None) -> bool:
        return not (node is None or node in self.ensembles or node in self._constants)


class Place(NamedTuple):
    """Where an output is read: on an edge to `destination`, or on none, and of which view.

    Where it is not `labeled` all samples count as unlabeled. `head` is the label that the edge is
    about, None where samples have one.
    """

    destination: str | None = None
    labeled: bool = True
    view: View = 0
    head: str | None = None


@dataclass(frozen=True)
class _Resolver:
    """Resolves the inputs of a way to combine to values of an ensemble's nodes."""

    outputs: Outputs
    node: str
    sources: Sequence[str]
    place: Place

    @property
    def _ensemble(self) -> Ensemble:
        return self.outputs.ensembles[self.node]

    def values(self, read: reads.Input, members: Sequence[int]) -> Iterator[Value]:
        """The values that an input stands for; `members` are the indices of combined sources."""
        gate_tap, destination = self._ensemble.gate_tap, self.place.destination
        match read:
            case reads.Read(form="label"):
                yield self.outputs.label(
                    self.outputs.logits_within(self.node, self.place), self.place
                )
            case reads.Read(of="members"):
                yield from (self._read(self.sources[i], read) for i in members)
            case reads.Read(of="destination") if destination is not None:
                yield self._read(destination, read)
            case reads.Read(of="gate_node") if gate_tap is not None:
                yield self._read(str(gate_tap.node), read)
            case reads.OwnModule():
                yield self._of_module(read, members)
            case _:
                raise ValueError(f"an ensemble has no {read}")

    def _read(self, node: str, read: reads.Read) -> Read:
        assert read.form in ("features", "logits", "log_p", "p")
        tap = read.tap or self.outputs.answer_tap(node, self.place.head)
        detached, view = self._ensemble.detach, self.place.view
        resolved = Read(node, read.form, tap, detached=detached, view=view)
        return self.outputs.read_at(resolved, self.place)

    def _of_module(self, read: reads.OwnModule, members: Sequence[int]) -> Value:
        all_members = range(len(self.sources))
        inputs = [value for each in read.inputs for value in self.values(each, all_members)]
        name, word = self.outputs.mixers[self.node], self._ensemble.combine.word
        mixer = Mixer(name, self.node, word, tuple(inputs))
        if len(members) == len(all_members):
            return mixer
        return Computed("columns", (mixer, *members))
