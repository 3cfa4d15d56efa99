"""The Python that the steps of a plan run, as text."""

from ktgdsl.backend.followers import following_code
from ktgdsl.backend.graph import phase_graphs
from ktgdsl.backend.initial import make_networks
from ktgdsl.backend.parts import make_parts
from ktgdsl.plan.model import Plan
from ktgdsl.program.from_plan import program_of


def step_code(plan: Plan) -> str:
    """The Python that the steps of a plan run: of one phase, and one update, after the other."""
    networks, program = make_networks(plan), program_of(plan)
    modules = make_parts(plan, program, networks)
    parts = []
    for phase in program.phases:
        for graph in phase_graphs(plan, phase, networks, modules):
            title = [] if phase.name is None else [f"The phase {phase.name}"]
            if plan.train.update == "sequential":
                title.append(f"The turn of {graph.update.learns[0]}")
            parts.append((f"# {': '.join(title)}\n\n" if title else "") + graph.code)
        if phase.followers:
            title = [] if phase.name is None else [f"The phase {phase.name}"]
            parts.append(
                f"# {': '.join([*title, 'After step k'])}\n\n{following_code(phase.followers)}"
            )
    return "\n\n".join(parts)
