"""The checked tree to the plan, every default written out."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ktgdsl.language.diagnostic import Diagnostic, has_errors
from ktgdsl.language.resolve import Resolver
from ktgdsl.language.syntax import Block, Choice, File, Let
from ktgdsl.language.validate import circular
from ktgdsl.plan import model
from ktgdsl.plan.draft import DraftNode, draft
from ktgdsl.plan.passes import PASSES, Lowering, peers
from ktgdsl.vocabulary.datasets import Dataset, Digits
from ktgdsl.vocabulary.entry import Share
from ktgdsl.vocabulary.settings import DataSettings, TrainSettings

Result = tuple[model.Plan | None, tuple[Diagnostic, ...]]


@dataclass(frozen=True)
class Settings:
    """The blocks of a file, resolved."""

    dataset: Dataset
    data: DataSettings
    train: TrainSettings


def lower(file: File, folder: Path) -> Result:
    """The plan of a validated file, or None, and what there is to complain about.

    `folder` is where the file lies: paths in it are relative to that.
    """
    assert file.graph is not None
    resolver = Resolver(_lets(file))
    written = draft(resolver, file.graph)
    settings = _settings(resolver, file)
    weights = {
        name: _weights(resolver, node, file, folder)
        for name, node in written.nodes.items()
        if node.settings.weights is not None
    }
    if settings is None or has_errors(resolver.diagnostics):
        return None, tuple(resolver.diagnostics)
    state = Lowering(written, tuple(written.edges.values()))
    for apply in PASSES:
        state = apply(state)
    diagnostics = (*resolver.diagnostics, *state.diagnostics)
    if has_errors(diagnostics):
        return None, diagnostics
    plan = model.Plan(
        graph=_graph(state, settings.train, weights),
        data=_data(settings),
        train=_train(settings.train),
        folder=str(folder),
    )
    return plan, diagnostics


def _lets(file: File) -> dict[str, Let]:
    """The `let`s by name; one that never ends, told by `validate`, has nothing to choose from."""
    lets = {s.name: s for s in file.statements if isinstance(s, Let)}
    for name, (let, _) in circular(file).items():
        lets[name] = let.model_copy(update={"value": Choice(span=let.span, options=())})
    return lets


def _settings(resolver: Resolver, file: File) -> Settings | None:
    def block(kind: Literal["data", "train"]) -> Block:
        return file.block(kind) or Block(kind=kind, span=file.span)

    dataset: object = Digits()
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


def _data(settings: Settings) -> model.DataPlan:
    dataset = settings.dataset
    return model.DataPlan(
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
    calls = {"optimizer": settings.optimizer.call(), "schedule": settings.schedule.call()}
    others = {name: getattr(settings, name) for name in type(settings).model_fields}
    return model.TrainPlan(**{**others, **calls})


def _graph(
    state: Lowering, train: TrainSettings, weights: dict[str, model.Weights | None]
) -> model.Graph:
    kept = [
        name
        for name in state.draft.nodes
        if not any(d.kind == "node" and d.name == name for d in state.dropped)
    ]
    return model.Graph(
        name=state.draft.name,
        targets=tuple(state.draft.targets),
        nodes=tuple(
            _node(state.draft.nodes[name], state.frozen.get(name), train, weights.get(name))
            for name in kept
        ),
        edges=tuple(
            model.Edge(
                source=model.Place(node=edge.source),
                destination=model.Place(node=edge.destination),
                terms=edge.terms,
                scale=_scale(state, edge.source, edge.destination, train),
            )
            for edge in state.edges
        ),
        dropped=state.dropped,
    )


def _scale(state: Lowering, source: str, destination: str, train: TrainSettings) -> float:
    """1/(K-1) for a transfer edge under `aggregate = mean` (Zhang et al., CVPR 2018, Eq. 8)."""
    if train.aggregate == "sum" or source == model.LABEL:
        return 1.0
    return 1.0 / peers(state, destination)


def _node(
    node: DraftNode, frozen: str | None, train: TrainSettings, weights: model.Weights | None
) -> model.Node:
    return model.Node(
        name=node.name,
        network=node.network.call(),
        frozen=frozen,
        weights=weights,
        mode=node.settings.mode,
        keep=node.settings.keep,
        optimizer=(node.settings.optimizer or train.optimizer).call(),
        schedule=(node.settings.schedule or train.schedule).call(),
    )


def _weights(resolver: Resolver, node: DraftNode, file: File, folder: Path) -> model.Weights | None:
    written = node.settings.weights or ""
    place = (folder / written).resolve()
    problem = None
    if not place.is_relative_to(tree(folder)):
        problem = f'the weights "{written}" lie outside of the folder tree of the spec'
    elif not place.is_file():
        problem = f'there is no file "{written}" with the weights of `{node.name}`'
    if problem is None:
        with place.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        return model.Weights(path=written, file=str(place), sha256=digest)
    resolver.complain("E406", problem, node.span, "paths are relative to the spec's own folder")
    return None


def tree(folder: Path) -> Path:
    """The folder that paths of a spec must stay inside: the project's, else the spec's own."""
    own = folder.resolve()
    marks = (".git", "pyproject.toml")
    return next((p for p in (own, *own.parents) if any((p / m).exists() for m in marks)), own)
