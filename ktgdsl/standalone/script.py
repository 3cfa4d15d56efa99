"""Writes the script of a plan: all that a run of it computes, in one file without ktgdsl."""

from collections.abc import Mapping

from ktgdsl.errors import RunError
from ktgdsl.plan.ensembles import ensembles_of
from ktgdsl.plan.model import Plan
from ktgdsl.program.from_plan import without_caches
from ktgdsl.standalone.data_code import constants, data_code
from ktgdsl.standalone.evaluation_code import of_drawn_images
from ktgdsl.standalone.frame_code import REPORT, header, main_code
from ktgdsl.standalone.imports import import_block
from ktgdsl.standalone.network_code import has_built_in, new_network_code
from ktgdsl.standalone.own_data import OwnData, own_data
from ktgdsl.standalone.read_code import drawn, embedded
from ktgdsl.standalone.refusals import refusals
from ktgdsl.standalone.source import Place
from ktgdsl.standalone.text import wrapped
from ktgdsl.standalone.training_code import TrainingCode

SECTIONS = {
    "Data": (
        "ktgdsl.training.datasets.",
        "ktgdsl.standalone.image_reading",
        "ktgdsl.backend.seeds",
    ),
    "Networks": (
        "ktgdsl.backend.normalization",
        "ktgdsl.standalone.weight_files",
        "ktgdsl.backend.networks",
        "ktgdsl.vocabulary.networks",
        "ktgdsl.plan.",
        "ktgdsl.backend.taps",
        "ktgdsl.backend.trunks",
        "ktgdsl.backend.factories",
        "ktgdsl.backend.heads",
        "ktgdsl.backend.library",
        "ktgdsl.backend.random_streams",
        "ktgdsl.standalone.other_networks",
    ),
    "Training": ("ktgdsl.training.",),
    "Losses": ("",),
}
"""The sections of a script, by the first prefix of a definition's module that matches."""

IMPORTS = (
    "from __future__ import annotations",
    "import argparse",
    "import os",
    "from pathlib import Path",
)
"""The imports of every script, besides those of its parts."""


def training_script(plan: Plan, spec: str) -> str:
    """The Python of a script that trains as `ktgc run --deterministic` does, to the same bits.

    Args:
        plan: of a spec, with the facts of its data.
        spec: its text.

    Raises:
        RunError: where something in the plan cannot be part of a script (E510).
    """
    own = own_data(plan.data)
    if found := refusals(plan, own):
        raise RunError(found)
    plan = without_caches(plan)
    training = TrainingCode(plan)
    used = training.used
    used.imports.update(IMPORTS)
    new_network = [new_network_code(plan, used)] if has_built_in(plan) else []
    alone = not ensembles_of(plan.graph) or any(each.pretrained for each in plan.graph.nodes)
    data = data_code(plan.data, own, training.batch, used, networks_alone=alone)
    losses, functions = training.functions()
    if drawn(plan.data, own or OwnData()) is not None:
        losses = [*map(of_drawn_images, losses)]
    library = _by_section(used.texts)
    written = {
        "Data": data,
        "Networks": new_network,
        "Losses": losses,
        "Training": [REPORT, *functions, main_code(plan)],
    }
    parts = [f"{import_block(used.imports, used.own)}\n\n{constants(plan.data)}"]
    for title, texts in written.items():
        parts += [f"# {title}", *library[title], *map(wrapped, texts)]
    code = "\n\n\n".join(parts)
    end = filter(None, [embedded(plan.data), 'if __name__ == "__main__":\n    main()\n'])
    return "\n\n".join([header(plan, spec, code), "\n\n\n".join([code, *end])])


def _by_section(texts: Mapping[Place, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {title: [] for title in SECTIONS}
    for (module, _), text in texts.items():
        title = next(t for t, starts in SECTIONS.items() if module.startswith(starts))
        found[title].append(text)
    return found
