"""What must hold of the plan of a sound spec: it is data, it is a spec, its digests say so."""

from random import Random

from ktgdsl.compiler import compile_source
from ktgdsl.diagnostics.source import Source
from ktgdsl.plan.model import Plan
from ktgdsl.plan.validity import why_invalid
from ktgdsl.program.from_plan import program_of
from ktgdsl.program.text import program_text
from ktgdsl.report.describe import describe
from ktgdsl.report.difference import difference
from ktgdsl.report.pictures.picture import picture
from ktgdsl.space.size import size
from ktgdsl.space.space import plan_at
from ktgdsl.space.unparse_plan import unparse_plan
from tests.fuzz.front import NOWHERE, judge_compiled
from tests.fuzz.specs import renamed


def judge(text: str) -> bool:
    """Compile a text, and look at its plan, if it has one, as all verbs do. Whether it has."""
    compiled = compile_source(Source("spec.ktg", text), NOWHERE)
    judge_compiled(compiled)
    plan = compiled.plan
    if plan is None:
        return False
    judge_plan(plan)
    if plan.space is not None:
        assert size(plan).raw != 0
        _judge_points(plan, Random(text))
        return True
    other = compile_source(Source("spec.ktg", renamed(text)), NOWHERE).plan
    assert other is not None
    assert other.canonical_digest == plan.canonical_digest
    return True


def judge_plan(plan: Plan) -> None:
    """A plan is the same after it was JSON, and after it was a spec."""
    show(plan)
    again = Plan.from_json(plan.to_json())
    assert again == plan
    assert again.digest == plan.digest
    assert why_invalid(plan) is None
    if plan.space is None:
        text = unparse_plan(plan, NOWHERE)
        spec = compile_source(Source("again.ktg", text), NOWHERE).plan
        assert spec is not None, text
        assert spec.digest == plan.digest, text


def show(plan: Plan) -> None:
    """Show a plan in every way in which a verb does."""
    assert describe(plan, {})
    assert difference(plan, plan, ("a", "b"))
    picture(plan, ".mmd")
    if plan.space is None and plan.data.facts is not None:
        program_text(program_of(plan))


def _judge_points(space: Plan, random: Random) -> None:
    assert space.space is not None
    for _ in range(2):
        point = {
            draw.name: random.randrange(len(draw.options)) if draw.options
            else random.choice((draw.low or 0, draw.high or 0))
            for draw in space.space.draws
        }  # fmt: skip
        found = plan_at(space, point)
        if found is not None and not found.judges_held_out:  # what does is no spec as it is
            judge_plan(found)
