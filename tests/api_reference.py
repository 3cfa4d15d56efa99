"""`grammar/api.md`, the Python API, made from the docstrings of what `ktgdsl` exports.

`python -m tests.api_reference` writes the file.
"""

import ast
import re
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path

import ktgdsl
from tests.paths import ROOT

PAGE = ROOT / "grammar" / "api.md"
COMMAND = "python -m tests.api_reference"

HEAD = """# The Python API

What `import ktgdsl` offers. `ktgdsl.run`, `ktgdsl.search` and the others are imported when they are
first used, so that `import ktgdsl` alone waits for nothing. This page is made from the docstrings.
A `FolderPath` is a path, as text or a `Path`, or the result of a run or a search, for its folder.
"""

GROUPS = {
    "Specs and plans": ("load", "loads", "check", "complete", "Plan"),
    "Training": ("run", "resume", "build", "stepper", "TrainingGraph", "Output"),
    "Searching": ("search", "join", "SearchOutcome"),
    "Watching and logging": ("progress", "curves", "log_to"),
    "Trained networks": ("load_network", "evaluate", "Evaluation", "export"),
    "Errors": ("KtgError", "SpecError", "RunError", "Diagnostic"),
}
"""What is exported, in the order of the page."""

EVENTS = {
    "Events of a run": ("ktgdsl.training.events", "run"),
    "Events of a search": ("ktgdsl.searching.events", "search"),
}
"""The modules of events, and the function whose `listener` gets them."""

_SECTION = re.compile(r"(Args|Returns|Raises|Attributes):")
_TITLES = {
    "Args": "Arguments",
    "Returns": "Returns",
    "Raises": "Raises",
    "Attributes": "Attributes",
}

Definition = ast.FunctionDef | ast.ClassDef


def page() -> str:
    """The whole page. Raises KeyError for an export that is in no group."""
    homes = dict(ktgdsl._MODULES)
    lines = [HEAD]
    for title, names in GROUPS.items():
        lines.append(f"## {title}\n")
        for name in names:
            lines += _entry(f"ktgdsl.{name}", _definitions(homes.pop(name))[name])
    if homes:
        raise KeyError(f"in no group: {', '.join(homes)}")
    for title, (module, function) in EVENTS.items():
        tree = ast.parse(_path(module).read_text("utf-8"))
        lines.append(f"## {title}\n")
        lines.append(
            f"`{function}(..., listener=f)` calls `f` with each; they are in `{module}`.\n"
        )
        lines.append(cleandoc(str(ast.get_docstring(tree))) + "\n")
        for name, node in _definitions(module).items():
            if isinstance(node, ast.ClassDef):
                lines += _entry(name, node)
    return "\n".join(lines)


def _path(module: str) -> Path:
    return ROOT / Path(*module.split(".")).with_suffix(".py")


def _definitions(module: str) -> dict[str, Definition]:
    tree = ast.parse(_path(module).read_text("utf-8"))
    found = (node for node in tree.body if isinstance(node, Definition))
    return {node.name: node for node in found if not node.name.startswith("_")}


def _entry(name: str, node: Definition) -> Iterator[str]:
    """A heading, the signature and the docstring; of a class also its public parts."""
    yield f"### `{name}`\n"
    if isinstance(node, ast.FunctionDef):
        yield f"```python\n{_signature(node)}\n```\n"
    yield _markdown(node)
    if isinstance(node, ast.ClassDef):
        fields = [each for each in node.body if isinstance(each, ast.AnnAssign)]
        shown = [ast.unparse(each) for each in fields if not _is_private(each)]
        if shown:
            yield "```python\n" + "\n".join(shown) + "\n```\n"
        for each in node.body:
            if isinstance(each, ast.FunctionDef) and not each.name.startswith("_"):
                summary = cleandoc(str(ast.get_docstring(each))).partition("\n\n")[0]
                yield f"- `{_call(each)}`: {_flat(summary)}"
        yield ""


def _is_private(field: ast.AnnAssign) -> bool:
    assert isinstance(field.target, ast.Name)
    return field.target.id.startswith("_") or "ClassVar" in ast.unparse(field.annotation)


def _signature(node: ast.FunctionDef) -> str:
    result = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    # Commas within brackets do not end an argument.
    text = re.sub(r"\[[^]]*\]", lambda found: found[0].replace(", ", ",\0"), ast.unparse(node.args))
    parts = [
        re.sub(r"(: [^=]*)=", r"\1 = ", part.replace(",\0", ", ")) for part in text.split(", ")
    ]
    line = f"{node.name}({', '.join(parts)}){result}"
    if len(line) <= 88:
        return line
    listed = "".join(f"    {part},\n" for part in parts)
    return f"{node.name}(\n{listed}){result}"


def _call(method: ast.FunctionDef) -> str:
    """A property by its name, a method as a call."""
    decorators = {ast.unparse(each) for each in method.decorator_list}
    if decorators & {"property", "cached_property"}:
        return method.name
    names = [each.arg for each in [*method.args.args, *method.args.kwonlyargs]]
    return f"{method.name}({', '.join(name for name in names if name not in ('self', 'cls'))})"


def _markdown(node: Definition) -> str:
    """A docstring, its sections as lists."""
    out: list[str] = []
    listing = None
    for line in cleandoc(str(ast.get_docstring(node))).splitlines():
        if found := _SECTION.fullmatch(line):
            listing = found[1]
            out += [f"**{_TITLES[listing]}**", ""]
        elif listing and line and not line.startswith(" "):
            listing = None
            out.append(line)
        elif listing and (item := re.fullmatch(r" {4}(\w+): (.*)", line)) and listing != "Returns":
            out.append(f"- `{item[1]}`: {item[2]}")
        elif listing == "Returns":
            out.append(line.strip())
        else:
            out.append(f"  {line.strip()}" if listing and line else line)
    return "\n".join(out) + "\n"


def _flat(text: str) -> str:
    return " ".join(text.split())


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
