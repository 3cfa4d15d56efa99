"""`ktgc plan`: shows what a spec means."""

import argparse
import json

from ktgdsl.cli.compiling import compile_named, plan_of
from ktgdsl.cli.console import FINE, print_json, print_text
from ktgdsl.cli.options import add_overrides
from ktgdsl.report.describe import describe
from ktgdsl.report.describe_settings import setting_origins


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--json", action="store_true", help="as JSON, with the digest")
    parser.add_argument(
        "--measure",
        action="store_true",
        help="train some steps to tell how long the search of a space will take here",
    )
    add_overrides(parser)


def run(options: argparse.Namespace) -> int:
    """Print the plan, and of a space how large it is and what its search costs."""
    compiled = compile_named(options)
    plan = plan_of(compiled)
    cost_text = ""
    cost_facts: dict[str, object] = {}
    if plan.space is not None:
        from ktgdsl.cli.training import prepare_to_train
        from ktgdsl.report.space_cost import space_cost

        if options.measure:
            prepare_to_train()
        cost_text, cost_facts = space_cost(plan, measure=options.measure)
    if options.json:
        facts = {**json.loads(plan.to_json()), "digest": plan.digest, **cost_facts}
        print_json(json.dumps(facts, indent=2))
    else:
        assert compiled.tree is not None
        images = None
        if plan.data.source.name == "folder":
            from ktgdsl.training.datasets.folder_summary import summarize_folder

            images = summarize_folder(plan.data)
        text = describe(plan, setting_origins(compiled.tree), images)
        print_text((text + (cost_text and f"\n{cost_text}")).removesuffix("\n"))
    return FINE
