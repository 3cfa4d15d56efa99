"""Lowers the blocks of settings: `data`, `train`, `pretrain` and `search`, with their defaults."""

from typing import TYPE_CHECKING, Literal, NamedTuple, cast

from ktgdsl.files import expand_home
from ktgdsl.lowering.data_checks import (
    check_images,
    check_judges,
    check_labeled_batch,
    check_samples,
    check_views,
    count_of,
    numbers_of,
)
from ktgdsl.lowering.draft import DraftContext
from ktgdsl.lowering.objectives import objective_call
from ktgdsl.lowering.resolve import Resolver
from ktgdsl.lowering.several_objectives import (
    complain_of_pruner,
    default_sampler,
    measure_of,
    objective_calls,
    several_objectives,
)
from ktgdsl.lowering.spec_paths import SpecPaths
from ktgdsl.lowering.substitution import NothingOpen, Substitution, substituted_settings
from ktgdsl.plan import model
from ktgdsl.syntax.tree import Block, File
from ktgdsl.vocabulary.datasets import AnyDataset, Dataset, Digits
from ktgdsl.vocabulary.entry import Percentage, StepCount
from ktgdsl.vocabulary.registry import settings_of
from ktgdsl.vocabulary.settings import DataSettings, TrainSettings
from ktgdsl.vocabulary.stopping import Never, Stop

if TYPE_CHECKING:
    from ktgdsl.vocabulary.search import SearchSettings


_OF_TRAINING: tuple[Literal["data", "train", "pretrain"], ...] = ("data", "train", "pretrain")


class Settings(NamedTuple):
    """The blocks `data`, `train` and `pretrain` of a file, as settings and as parts of a plan.

    `pretrain` has the settings of `train` where the block is silent.
    """

    data: DataSettings
    train: TrainSettings
    pretrain: TrainSettings
    data_plan: model.DataPlan
    train_plan: model.TrainPlan
    pretrain_plan: model.PretrainPlan | None


def phase_blocks(file: File) -> list[Block]:
    """The phases in order, the first of each name."""
    named = [s for s in file.statements if isinstance(s, Block) and s.kind == "phase"]
    return list({block.name: block for block in reversed(named)}.values())[::-1]


def lower_settings(
    resolver: Resolver, substitution: Substitution, file: File, paths: SpecPaths
) -> Settings | None:
    """The settings of a file; None after a complaint."""
    blocks = [block for kind in _OF_TRAINING if (block := file.block(kind)) is not None]
    if any(substitution.is_open(block) for block in blocks):
        return _lower_settings(resolver, substitution, file, paths)
    # They are the same at all points of a space.
    what = "settings", isinstance(substitution, NothingOpen), paths.folder, *paths.used.items()
    return resolver.cached(what, lambda: _lower_settings(resolver, substitution, file, paths))


def _lower_settings(
    resolver: Resolver, substitution: Substitution, file: File, paths: SpecPaths
) -> Settings | None:
    written, learning = _block(file, "data"), _block(file, "train")
    dataset: object = Digits.model_construct()
    if (subject := written.subject) is not None:
        dataset = resolver.known_word(substitution.substitute(subject, "data.source"), "dataset")
    of_data = substituted_settings(substitution, written.settings, "data")
    data = resolver.known_settings(DataSettings, of_data, "data", written.span)
    of_train = substituted_settings(substitution, learning.settings, "train")
    train = resolver.known_settings(TrainSettings, of_train, "train", learning.span)
    pretraining = file.block("pretrain")
    pretrain = _pretrained(resolver, substitution, pretraining, train)
    if not isinstance(dataset, AnyDataset) or data is None or train is None or pretrain is None:
        return None
    facts = _facts(dataset)
    check_images(resolver, written, dataset, data)
    check_samples(resolver, written, dataset, data, facts)
    check_views(resolver, written, dataset, data)
    plan = _data(dataset, data, facts, _root(written, data, paths, facts))
    held_out = file.block("search") is not None or not isinstance(substitution, NothingOpen)
    check_labeled_batch(resolver, written, plan, held_out=held_out)
    check_judges(resolver, written, data, plan, held_out=held_out)
    pretrain_plan = None if pretraining is None else _pretrain(pretrain)
    return Settings(data, train, pretrain, plan, _train(train), pretrain_plan)


def _pretrained(
    resolver: Resolver,
    substitution: Substitution,
    block: Block | None,
    train: TrainSettings | None,
) -> TrainSettings | None:
    """The settings of `train`, overridden by those of a `pretrain` block."""
    if block is None:
        return train
    written = substituted_settings(substitution, block.settings, "pretrain")
    found = resolver.known_settings(settings_of("pretrain"), written, "pretrain", block.span)
    if found is None or train is None:
        return None
    own = {name: value for name, value in found if value is not None}
    own["epochs"] = epochs_of(own.get("epochs"), train.epochs)
    return train.model_copy(update=own)


def _block(file: File, kind: Literal["data", "train", "search"]) -> Block:
    return file.block(kind) or Block(span=file.span, kind=kind)


def _facts(dataset: AnyDataset) -> model.Facts | None:
    """The facts of a data set that are known before it is loaded; None for the user's own."""
    if not isinstance(dataset, Dataset):
        return None
    return model.Facts.model_construct(
        classes=dataset.classes,
        shape=dataset.shape,
        train_samples=dataset.train_samples,
        test_samples=dataset.test_samples,
    )


def _root(
    block: Block, data: DataSettings, paths: SpecPaths, facts: model.Facts | None
) -> str | None:
    """The folder of the data, absolute; for the user's own by default that of the spec."""
    if data.root is None and facts is not None:
        return None
    source = block.subject or block
    span = next((s.value.span for s in block.settings if s.name == "root"), source.span)
    return str((paths.base(span) / expand_home(data.root or "")).resolve())


def _data(
    dataset: AnyDataset, data: DataSettings, facts: model.Facts | None, root: str | None
) -> model.DataPlan:
    whole = None if facts is None else facts.train_samples
    used = whole if data.samples is None else count_of(data.samples, whole)
    return model.DataPlan.model_construct(
        source=dataset.call(),
        facts=facts,
        batch=data.batch,
        samples=None if data.samples is None else used,
        validation=count_of(data.validation, used),
        holdout=data.holdout,
        augment=data.augment,
        resize=_size(data.resize),
        crop=data.crop,
        mean=numbers_of(data.mean),
        std=numbers_of(data.std),
        root=root,
        classes_expected=data.classes,
        labeled=None if data.labeled is None else count_of(data.labeled, used),
        labeled_batch=data.labeled_batch,
        views=data.views,
        workers=data.workers,
        drop_last=data.drop_last,
        evaluation_batch=data.evaluation_batch,
    )


def _size(size: int | list[int] | None) -> tuple[int, int] | None:
    if isinstance(size, list):
        return size[0], size[1]
    return None if size is None else (size, size)


def _train(settings: TrainSettings) -> model.TrainPlan:
    others = {name: getattr(settings, name) for name in type(settings).model_fields}
    calls = {
        "optimizer": settings.optimizer.call(),
        "schedule": settings.schedule.call(),
        "stop": stop_call(settings.stop),
        "metrics": tuple(settings.metrics),
        "checkpoint": _interval(settings.checkpoint),
    }
    return model.TrainPlan.model_construct(**{**others, **calls})


def _interval(interval: int | StepCount) -> int | model.Steps:
    if isinstance(interval, StepCount):
        return model.Steps.model_construct(steps=int(interval.steps))
    return interval


def epochs_of(length: int | Percentage | None, whole: int) -> int:
    """The epochs of a phase or pre-training; a share of the `whole` of `train` is one at least."""
    if isinstance(length, Percentage):
        return max(1, round(whole * length.percent / 100))
    return whole if length is None else length


def stop_call(stop: Stop) -> model.Call | None:
    """A rule for ending early as it stands in a plan; None where all epochs are trained."""
    return None if isinstance(stop, Never) else stop.call()


def _pretrain(settings: TrainSettings) -> model.PretrainPlan:
    plan = _train(settings)
    shared = {name: getattr(plan, name) for name in model.PretrainPlan.model_fields}
    return model.PretrainPlan.model_construct(**shared)


def lower_search(
    context: DraftContext, file: File, found: Settings | None, phases: tuple[model.Phase, ...] = ()
) -> model.SearchPlan | None:
    """The `search` block; None where there is neither one nor a space, and after a complaint."""
    block = file.block("search")
    if block is None:
        if isinstance(context.substitution, NothingOpen):
            return None
        block = Block(span=file.span, kind="search")
    resolver = context.resolver
    closed_ones = []
    for setting in block.settings:
        if context.substitution.is_open(setting.value):
            message = f"how to search is not searched itself, so `{setting.name}` has one value"
            fix = "open values stand in the graph, in `data` and in `train`"
            resolver.complain("E411", message, setting.value.span, fix)
        else:
            closed_ones.append(setting)
    # Most specs are no searches, whose words are loaded when they are needed.
    cls = cast("type[SearchSettings]", settings_of("search"))
    nodes = tuple((name, len(nodes)) for name, nodes in context.names.members.items())
    listed = several_objectives(resolver, closed_ones)
    others = [each for each in closed_ones if each is not listed]
    settings = resolver.known_settings(cls, others, "search", block.span, nodes)
    goals = () if listed is None else objective_calls(context, listed)
    if settings is None or goals is None or len(closed_ones) < len(block.settings):
        return None
    places = {setting.name: setting.value.span for setting in block.settings}
    objective = measure_of(goals) or objective_call(context, block, settings.objective)
    if objective is None or found is None:
        return None
    sampler, pruner = settings.sampler.call(), settings.pruner.call()
    if len(goals) > 1:
        if "pruner" in places and pruner.name != "none":
            complain_of_pruner(resolver, pruner.name, len(goals), places["pruner"])
            return None
        sampler = sampler if "sampler" in places else default_sampler()
        pruner = model.Call(name="none", arguments={})
    epochs = settings.epochs
    if epochs is None:
        epochs = sum(phase.epochs for phase in phases) or found.train.epochs
    elif epochs < len(phases):
        message = f"a trial of {epochs} epochs has none for some of its {len(phases)} phases"
        resolver.complain("E411", message, places["epochs"], "give each phase one at least")
        return None
    return model.SearchPlan.model_construct(
        trials=settings.trials,
        sampler=sampler,
        pruner=pruner,
        objective=objective,
        goals=goals if len(goals) > 1 else (),
        epochs=epochs,
        confirm=settings.confirm,
        dedupe=settings.dedupe,
        timeout=settings.timeout,
        workers=settings.workers,
        keep=settings.keep,
    )
