"""Eqs. 1 to 7 of the paper in NumPy float64, with the defaults of paper.md and their gradients.

Nothing here knows the package: what a spec means is written down a second time, and
`text` and `spec` write the same thing as `.ktg`. Logits are (B, C, *rest), labels
(B, *rest) with -1 for unlabeled.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Labels = NDArray[np.int64]
LABEL = "label"


# Losses: (teacher, z_t) -> value per sample (B, *rest) and gradient in z_t (B, C, *rest).
# The teacher is z_s, or the one-hot distributions of the labels, all zeros where unlabeled.


class Loss(NamedTuple):
    """A loss as a spec writes it, and what it is."""

    text: str
    value: Callable[[Array, Array], tuple[Array, Array]]


def softmax(z: Array, T: float = 1.0) -> Array:
    e = np.exp((z - z.max(axis=1, keepdims=True)) / T)
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def one_hot(label: Labels, classes: int) -> Array:
    q = (label[..., None] == np.arange(classes)).astype(np.float64)
    return np.moveaxis(q, -1, 1)


def through_softmax(p: Array, slope: Array, T: float = 1.0) -> Array:
    """The gradient in z of a function of p = softmax(z / T) whose gradient in p is `slope`."""
    return np.asarray(p * (slope - (p * slope).sum(axis=1, keepdims=True)) / T)


def ce(smoothing: float = 0.0) -> Loss:
    """Eq. 1, the cross-entropy KL(p_0 ‖ p_t); smoothing mixes the labels with even odds."""

    def value(hot: Array, z: Array) -> tuple[Array, Array]:
        labeled = hot.sum(axis=1, keepdims=True)
        q = labeled * ((1 - smoothing) * hot + smoothing / z.shape[1])
        p = softmax(z)
        return -(q * np.log(p)).sum(axis=1), labeled * p - q

    return Loss(f"ce(smoothing={smoothing})" if smoothing else "ce", value)


def kl(T: float = 1.0, scale: float | None = None) -> Loss:
    """T² KL(p_s(z/T) ‖ p_t(z/T)); Eq. 2's G argument at T = 1."""
    factor = T**2 if scale is None else scale

    def value(z_s: Array, z: Array) -> tuple[Array, Array]:
        s, t = softmax(z_s, T), softmax(z, T)
        return factor * (s * np.log(s / t)).sum(axis=1), factor * (t - s) / T

    return Loss(_divergence("kl", T, scale), value)


def kl_label(T: float = 1.0, scale: float | None = None) -> Loss:
    """The same from the labels, one-hot at every temperature."""
    factor = T**2 if scale is None else scale

    def value(hot: Array, z: Array) -> tuple[Array, Array]:
        t = softmax(z, T)
        labeled = hot.sum(axis=1, keepdims=True)
        return -factor * (hot * np.log(t)).sum(axis=1), factor * (labeled * t - hot) / T

    return Loss(_divergence("kl", T, scale), value)


def reverse_kl(T: float = 1.0, scale: float | None = None) -> Loss:
    """T² KL(p_t ‖ p_s)."""
    factor = T**2 if scale is None else scale

    def value(z_s: Array, z: Array) -> tuple[Array, Array]:
        s, t = softmax(z_s, T), softmax(z, T)
        slope = factor * (np.log(t / s) + 1)
        return factor * (t * np.log(t / s)).sum(axis=1), through_softmax(t, slope, T)

    return Loss(_divergence("reverse_kl", T, scale), value)


def js(T: float = 1.0, scale: float | None = None) -> Loss:
    """T² (KL(p_s ‖ m) + KL(p_t ‖ m)) / 2, m = (p_s + p_t) / 2."""
    factor = T**2 if scale is None else scale

    def value(z_s: Array, z: Array) -> tuple[Array, Array]:
        s, t = softmax(z_s, T), softmax(z, T)
        m = (s + t) / 2
        total = (s * np.log(s / m)).sum(axis=1) + (t * np.log(t / m)).sum(axis=1)
        return factor * total / 2, through_softmax(t, factor * np.log(t / m) / 2, T)

    return Loss(_divergence("js", T, scale), value)


def mse() -> Loss:
    """The mean over the classes of (z_s - z_t)²."""

    def value(z_s: Array, z: Array) -> tuple[Array, Array]:
        return ((z_s - z) ** 2).mean(axis=1), 2 * (z - z_s) / z.shape[1]

    return Loss("mse", value)


def mse_probabilities() -> Loss:
    """The mean over the classes of (p_s - p_t)²."""

    def value(z_s: Array, z: Array) -> tuple[Array, Array]:
        s, t = softmax(z_s), softmax(z)
        return ((s - t) ** 2).mean(axis=1), through_softmax(t, 2 * (t - s) / z.shape[1])

    return Loss("mse(on=probabilities)", value)


def mse_label() -> Loss:
    """The same from the labels."""

    def value(hot: Array, z: Array) -> tuple[Array, Array]:
        t, labeled = softmax(z), hot.sum(axis=1, keepdims=True)
        slope = labeled * 2 * (t - hot) / z.shape[1]
        return (labeled * (hot - t) ** 2).mean(axis=1), through_softmax(t, slope)

    return Loss("mse(on=probabilities)", value)


def cosine_distance() -> Loss:
    """1 - cos(z_s, z_t)."""

    def value(z_s: Array, z: Array) -> tuple[Array, Array]:
        s = z_s / np.sqrt((z_s**2).sum(axis=1, keepdims=True))
        length = np.sqrt((z**2).sum(axis=1, keepdims=True))
        cos = (s * z / length).sum(axis=1, keepdims=True)
        return 1 - cos.squeeze(1), -(s - cos * z / length) / length

    return Loss("cosine_distance", value)


def _divergence(name: str, T: float, scale: float | None) -> str:
    return f"{name}(T={T}" + ("" if scale is None else f", scale={scale}") + ")"


# Gates


class Moment(NamedTuple):
    """What a gate can see: k / k_end, and whether the source is right (B, *rest)."""

    progress: float
    right: Array


def varies(from_label: bool) -> float | None:
    return None


@dataclass(frozen=True)
class Gate:
    """A weight per sample. `predicate` tells that it selects samples.

    `constant(from_label)` is its value when nothing can change it, else None.
    """

    text: str
    weight: Callable[[Moment], Array]
    predicate: bool = False
    constant: Callable[[bool], float | None] = varies
    chosen: Callable[[Moment], NDArray[np.bool_]] | None = None
    """Where a predicate is open; where its weight is not 0 unless given."""

    def open(self, moment: Moment) -> NDArray[np.bool_]:
        return self.weight(moment) != 0 if self.chosen is None else self.chosen(moment)


def scheduled(text: str, value: Callable[[float], float], constant: float | None = None) -> Gate:
    """A gate that depends on k / k_end only."""

    def weight(moment: Moment) -> Array:
        return np.full(moment.right.shape, value(moment.progress))

    return Gate(text, weight, constant=lambda from_label: constant)


def number(value: float) -> Gate:
    return scheduled(repr(value), lambda progress: value, value)


THROUGH = scheduled("through", lambda progress: 1.0, 1.0)  # Eq. 4
CUTOFF = scheduled("cutoff", lambda progress: 0.0, 0.0)  # Eq. 5
LINEAR = scheduled("linear", lambda progress: progress)  # Eq. 6
CORRECT = Gate(  # Eq. 7
    "correct",
    lambda moment: moment.right,
    predicate=True,
    constant=lambda from_label: 1.0 if from_label else None,
)


def linear(start: float, stop: float) -> Gate:
    return scheduled(
        f"linear({start}, {stop})",
        lambda progress: start + (stop - start) * progress,
        start if start == stop else None,
    )


def cosine(start: float, stop: float) -> Gate:
    return scheduled(
        f"cosine({start}, {stop})",
        lambda progress: start + (stop - start) * (1 - float(np.cos(np.pi * progress))) / 2,
        start if start == stop else None,
    )


def until(percent: float) -> Gate:
    constant = {0.0: 0.0, 100.0: 1.0}.get(percent)
    return scheduled(f"until({percent}%)", lambda p: float(100 * p <= percent), constant)


def after(percent: float) -> Gate:
    constant = {0.0: 1.0, 100.0: 0.0}.get(percent)
    return scheduled(f"after({percent}%)", lambda p: float(100 * p > percent), constant)


def rampup(percent: float) -> Gate:
    return scheduled(
        f"rampup({percent}%)",
        lambda progress: float(np.exp(-5 * (1 - min(100 * progress / percent, 1.0)) ** 2)),
    )


def product(factors: Sequence[Gate]) -> Gate:
    predicates = [factor for factor in factors if factor.predicate]

    def chosen(moment: Moment) -> NDArray[np.bool_]:
        return np.asarray(np.all([factor.open(moment) for factor in predicates], axis=0))

    def constant(from_label: bool) -> float | None:
        values = [factor.constant(from_label) for factor in factors]
        if 0 in values:
            return 0.0
        return None if None in values else math.prod(v for v in values if v is not None)

    return Gate(
        " * ".join(f"({factor.text})" for factor in factors),
        lambda moment: np.asarray(np.prod([f.weight(moment) for f in factors], axis=0)),
        bool(predicates),
        constant,
        chosen if predicates else None,
    )


def total(terms: Sequence[Gate]) -> Gate:
    def constant(from_label: bool) -> float | None:
        values = [term.constant(from_label) for term in terms]
        return None if None in values else sum(v for v in values if v is not None)

    return Gate(
        " + ".join(f"({term.text})" for term in terms),
        lambda moment: np.asarray(np.sum([t.weight(moment) for t in terms], axis=0)),
        any(term.predicate for term in terms),
        constant,
    )


def one_minus(gate: Gate) -> Gate:
    """`gate` lies between 0 and 1."""

    def constant(from_label: bool) -> float | None:
        value = gate.constant(from_label)
        return None if value is None else 1 - value

    return Gate(f"1 - ({gate.text})", lambda m: 1 - gate.weight(m), gate.predicate, constant)


# The graph


@dataclass(frozen=True)
class Term:
    """A linear combination of losses behind a gate."""

    parts: tuple[tuple[float, Loss], ...]
    gate: Gate = THROUGH

    @property
    def text(self) -> str:
        sums = " + ".join(f"{coefficient!r} * {loss.text}" for coefficient, loss in self.parts)
        return f"{sums} via {self.gate.text}"


@dataclass(frozen=True)
class Edge:
    """The terms from one node, or the label, to another."""

    source: str
    destination: str
    terms: tuple[Term, ...]

    @property
    def text(self) -> str:
        return f"edge {self.source} -> {self.destination} : " + ", ".join(
            t.text for t in self.terms
        )

    @property
    def live(self) -> bool:
        from_label = self.source == LABEL
        return any(term.gate.constant(from_label) != 0 for term in self.terms)


class Batch(NamedTuple):
    """Logits of every node (B, C, *rest), labels (B, *rest) and k / k_end."""

    logits: Mapping[str, Array]
    label: Labels
    progress: float


class Result(NamedTuple):
    """Losses of the live edges and of the nodes that learn, and gradients in their logits."""

    edges: dict[tuple[str, str], float]
    losses: dict[str, float]
    gradients: dict[str, Array]


def evaluate(
    edges: Sequence[Edge], batch: Batch, reduce: str = "mean", aggregate: str = "sum"
) -> Result:
    """Eqs. 2 and 3 for one batch, with the gradient of each node's own loss."""
    live = [edge for edge in edges if edge.live]
    peers: dict[str, set[str]] = {}
    for edge in live:
        peers.setdefault(edge.destination, set()).update({edge.source} - {LABEL})
    result = Result({}, {}, {})
    for edge in live:
        mean = aggregate == "mean" and edge.source != LABEL
        scale = 1 / len(peers[edge.destination]) if mean else 1.0
        loss, gradient = edge_loss(edge, batch, reduce)
        at = edge.destination
        result.edges[edge.source, at] = scale * loss
        result.losses[at] = result.losses.get(at, 0.0) + scale * loss
        result.gradients[at] = result.gradients.get(at, 0.0) + scale * gradient
    return result


def edge_loss(edge: Edge, batch: Batch, reduce: str) -> tuple[float, Array]:
    """Eq. 2 with the divisor of `reduce`, and its gradient in the destination's logits."""
    label, z = batch.label, batch.logits[edge.destination]
    from_label = edge.source == LABEL
    teacher = one_hot(label, z.shape[1]) if from_label else batch.logits[edge.source]
    right = np.ones(label.shape) if from_label else (teacher.argmax(axis=1) == label) * 1.0
    moment = Moment(batch.progress, right)
    loss, gradient = 0.0, np.zeros_like(z)
    for term in edge.terms:
        weight = term.gate.weight(moment)
        if reduce == "sum":
            divisor = label[0].size
        elif from_label:
            divisor = int((label >= 0).sum())
        elif reduce == "active" and term.gate.predicate:
            divisor = int(term.gate.open(moment).sum())
        else:
            divisor = label.size
        for coefficient, part in term.parts if divisor else ():
            value, slope = part.value(teacher, z)
            loss += coefficient * float((weight * value).sum()) / divisor
            gradient += coefficient * weight[:, None] * slope / divisor
    return loss, gradient


def spec(nodes: Sequence[str], edges: Sequence[Edge], settings: str = "") -> str:
    """The graph as `.ktg`; every node is kept, whether the target `nodes[0]` needs it or not."""
    lines = [f"node {name} = resnet8 {{ keep = true }}" for name in nodes]
    lines += [f"target {nodes[0]}", *(edge.text for edge in edges)]
    return "graph reference {\n" + "\n".join(lines) + "\n}\ntrain { " + settings + " }\n"
