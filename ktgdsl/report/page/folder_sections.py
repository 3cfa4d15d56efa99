"""Sections about the other files of a folder: settings, environment, code."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from shlex import join
from typing import Any

from ktgdsl.errors import warn
from ktgdsl.plan.model import Plan
from ktgdsl.report.describe import derived_row, edge_row, node_row, open_values, phase_row
from ktgdsl.report.describe_settings import setting_rows
from ktgdsl.report.page.blocks import Block, Code, Folded, Notes, Section, Table
from ktgdsl.training.resume_notes import damaged_copies
from ktgdsl.training.run_folder import RunFolder


def graph_tables(plan: Plan) -> Iterator[Table]:
    """Nodes, edges and phases; of a space what is open, and those of its first valid point."""
    if plan.space is not None:
        yield Table("Open values", ("value", "options or range"), open_values(plan))
    where = " (at the first valid point)" if plan.space else ""
    nodes = [node_row(plan, node) for node in plan.graph.nodes]
    nodes += [derived_row(plan, node) for node in plan.graph.derived]
    yield Table(f"Nodes{where}", ("node", "network", "role", "how it learns"), nodes)
    edges = [edge_row(edge) for edge in plan.graph.edges]
    columns = 3 if any(factor for *_, factor in edges) else 2
    head = ("edge", "losses and gates", "factor")[:columns]
    yield Table(f"Edges{where}", head, [row[:columns] for row in edges])
    if plan.phases:
        yield Table("Phases", ("phase", "who", "how"), [phase_row(each) for each in plan.phases])


def settings_section(plan: Plan) -> Section:
    """Every setting, defaults included."""
    tables = [
        Table(block, ("setting", "value"), [row[:2] for row in rows])
        for block, rows in setting_rows(plan, {}, None)
        if rows
    ]
    return Section("Settings", tables)


def environment_section(folder: Path) -> Section:
    """The machine, the versions, and how steps were executed."""
    content = RunFolder(folder).environment()
    versions = content.get("versions")
    rows = [
        (name.replace("_", " "), _text(name, content[name])) for name in _FACTS if name in content
    ]
    rows += [(f"{name} (SHA-256)", str(content[name])) for name in _DIGESTS if content.get(name)]
    blocks: list[Block] = [Table("Machine and start", ("what", "value"), rows)] if rows else []
    if isinstance(versions, Mapping):
        pairs = [("python", str(content.get("python", ""))), *versions.items()]
        blocks.append(
            Table("Versions", ("package", "version"), [(n, str(v)) for n, v in pairs if v])
        )
    computing = content.get("computing")
    if isinstance(computing, Mapping):
        chosen = [
            (name.replace("_", " "), str(each.get("value", "")), str(each.get("why", "")))
            if isinstance(each, Mapping)
            else (name, "", str(each))
            for name, each in computing.items()
        ]
        blocks.append(Table("How steps are computed", ("what", "value", "why"), chosen))
    return Section("Environment", blocks)


_DIGESTS = ("plan", "data")
_FACTS = (
    "started",
    "command",
    "device",
    "device_name",
    "threads",
    "workers",
    "deterministic",
    "seeds",
    "platform",
    "cuda",
)


def _text(name: str, value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name == "command" and isinstance(value, list):
        return join(map(str, value))
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def code_section(folder: Path, spec: str, step: str | None = None) -> Section:
    """The spec, the user's own modules that it names, as they were, and the code of a step."""
    blocks: list[Block] = []
    run = RunFolder(folder)
    if damaged := damaged_copies(run, run.environment()):
        blocks.append(Notes(damaged))
        for each in damaged:
            warn("W310", each, path=folder)
    if (folder / spec).is_file():
        blocks.append(Code(spec, _decoded(folder / spec)))
    own = sorted(path for path in (folder / "code").rglob("*") if path.is_file())
    blocks += [
        Folded(str(path.relative_to(folder)), [Code(path.name, _decoded(path))]) for path in own
    ]
    if step is not None:
        blocks.append(Folded("the step as torch runs it", [Code("step.py", step)]))
    return Section("Code", blocks)


def _decoded(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "replace")
