"""The checked tree to the plan, every default written out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ktgdsl.language.diagnostic import Diagnostic, has_errors
from ktgdsl.language.lets import unusable
from ktgdsl.language.make import make
from ktgdsl.language.resolve import Resolver
from ktgdsl.language.source import Span
from ktgdsl.language.syntax import Block, Choice, File, Let
from ktgdsl.plan import model
from ktgdsl.plan.draft import Draft, DraftNode, draft
from ktgdsl.plan.files import weights
from ktgdsl.plan.passes import (
    Lowering,
    check_patterns,
    check_targets,
    cut,
    drop,
    freeze,
    peers,
)
from ktgdsl.vocabulary.datasets import Dataset, Digits
from ktgdsl.vocabulary.entry import Share
from ktgdsl.vocabulary.settings import DataSettings, TrainSettings

Result = tuple[model.Plan | None, tuple[Diagnostic, ...]]


@dataclass(frozen=True)
class Places:
    """Where the paths of a spec begin: the folder of its file and of those that it uses.

    `used` has the folders of the used files by the paths that spans have. Files lie inside
    of `root`, by default the project that `folder` is part of.
    """

    folder: Path
    used: Mapping[str, Path] = field(default_factory=dict)
    root: Path | None = None


@dataclass(frozen=True)
class Settings:
    """The blocks of a file, resolved."""

    dataset: Dataset
    data: DataSettings
    train: TrainSettings


def lower(
    file: File,
    places: Places,
    told: Sequence[Diagnostic] = (),
    unread: frozenset[str] = frozenset(),
) -> Result:
    """The plan of a validated file, or None, and what more there is to complain about.

    `places` is where the paths in it begin. `told` is what has
    been found wrong so far, and `unread` has the words of the parts that did not parse:
    what may only be a consequence of those is not complained about.
    """
    resolver = Resolver(_lets(file), unread)
    settings = _settings(resolver, file)
    if file.graph is None:
        return None, tuple(resolver.diagnostics)
    written = draft(resolver, file.graph)
    found = _weights(resolver, written, places)
    state = freeze(cut(Lowering(written, tuple(written.edges.values()))))
    if _settled(file, [*told, *resolver.diagnostics]):
        state = check_patterns(check_targets(state))
        state = state if has_errors(state.diagnostics) else drop(state)
    diagnostics = (*resolver.diagnostics, *state.diagnostics)
    if settings is None or has_errors((*told, *diagnostics)):
        return None, diagnostics
    plan = model.Plan.model_construct(
        graph=_graph(state, settings.train, found),
        data=_data(settings),
        train=_train(settings.train),
        folder=str(places.folder.resolve()),
    )
    return plan, diagnostics


def _settled(file: File, diagnostics: Sequence[Diagnostic]) -> bool:
    """Whether nothing is wrong but in blocks of settings, so that the graph is as it seems."""
    blocks = [s.span for s in file.statements if isinstance(s, Block)]
    return all(
        diagnostic.severity != "error"
        or (diagnostic.span is not None and any(_within(diagnostic.span, b) for b in blocks))
        for diagnostic in diagnostics
    )


def _within(inner: Span, outer: Span) -> bool:
    return inner.path == outer.path and outer.start <= inner.start and inner.end <= outer.end


def _lets(file: File) -> dict[str, Let]:
    """The `let`s by name; one without a value, told by `validate`, has nothing to choose from."""
    lets = {s.name: s for s in file.statements if isinstance(s, Let)}
    for name in unusable(file):
        nothing = make(Choice, lets[name].span, options=())
        lets[name] = lets[name].model_copy(update={"value": nothing})
    return lets


def _settings(resolver: Resolver, file: File) -> Settings | None:
    def block(kind: Literal["data", "train"]) -> Block:
        return file.block(kind) or make(Block, file.span, kind=kind)

    dataset: object = Digits.model_construct()
    if (subject := block("data").subject) is not None:
        dataset = resolver.word(subject, "dataset")
    data = resolver.settings(DataSettings, block("data").settings, "data", block("data").span)
    train = resolver.settings(TrainSettings, block("train").settings, "train", block("train").span)
    if not isinstance(dataset, Dataset) or data is None or train is None:
        return None
    settings = Settings(dataset, data, train)
    held = _held_out(settings)
    if not 0 < held < dataset.train_samples:
        place = next(s.value.span for s in block("data").settings if s.name == "validation")
        resolver.complain(
            "E302",
            f"`validation` takes {held} of the {dataset.train_samples} training samples of "
            f"`{dataset.word}`, and both parts need some",
            place,
        )
    return settings


def _held_out(settings: Settings) -> int:
    validation = settings.data.validation
    if isinstance(validation, Share):
        return round(settings.dataset.train_samples * validation.percent / 100)
    return validation


def _weights(resolver: Resolver, written: Draft, places: Places) -> dict[str, model.Weights | None]:
    """The files that nodes name, each looked at once."""
    found: dict[str, model.Weights | None] = {}
    for node in written.nodes.values():
        path, span = node.settings.weights, node.weights_span
        if path is not None and span is not None and path not in found:
            folder = places.used.get(span.path, places.folder)
            found[path] = weights(resolver, path, span, folder, places.root)
    return found


def _data(settings: Settings) -> model.DataPlan:
    dataset = settings.dataset
    return model.DataPlan.model_construct(
        source=dataset.call(),
        classes=dataset.classes,
        shape=dataset.shape,
        train_samples=dataset.train_samples,
        test_samples=dataset.test_samples,
        batch=settings.data.batch,
        validation=_held_out(settings),
        holdout=settings.data.holdout,
        augment=settings.data.augment,
    )


def _train(settings: TrainSettings) -> model.TrainPlan:
    others = {name: getattr(settings, name) for name in type(settings).model_fields}
    calls = {"optimizer": settings.optimizer.call(), "schedule": settings.schedule.call()}
    return model.TrainPlan.model_construct(**{**others, **calls})


def _graph(
    state: Lowering, train: TrainSettings, found: dict[str, model.Weights | None]
) -> model.Graph:
    gone = {dropped.name for dropped in state.dropped if dropped.kind == "node"}
    sources = peers(state.edges) if train.aggregate == "mean" else {}
    names = (model.LABEL, *state.draft.nodes)
    places = {name: model.Place.model_construct(node=name) for name in names}
    return model.Graph.model_construct(
        name=state.draft.name,
        targets=tuple(state.draft.targets),
        nodes=tuple(
            _node(node, state.frozen.get(name), train, found)
            for name, node in state.draft.nodes.items()
            if name not in gone
        ),
        edges=tuple(
            model.Edge.model_construct(
                source=places[edge.source],
                destination=places[edge.destination],
                terms=edge.terms,
                # The DML paper's 1/(K-1) (Zhang et al., CVPR 2018, Eq. 8); labels have 1.
                scale=1.0 if edge.source == model.LABEL else 1.0 / sources.get(edge.destination, 1),
            )
            for edge in state.edges
        ),
        dropped=state.dropped,
    )


def _node(
    node: DraftNode,
    frozen: str | None,
    train: TrainSettings,
    found: dict[str, model.Weights | None],
) -> model.Node:
    settings = node.settings
    return model.Node.model_construct(
        name=node.name,
        network=node.network.call(),
        frozen=frozen,
        weights=None if settings.weights is None else found[settings.weights],
        mode=settings.mode,
        keep=settings.keep,
        optimizer=(settings.optimizer or train.optimizer).call(),
        schedule=(settings.schedule or train.schedule).call(),
    )
