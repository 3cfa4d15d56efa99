"""Output of the benchmarks: machine, method and a table, in a terminal and as JSON."""

import argparse
import json
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

Row = Mapping[str, str | int | float]


def options(description: str | None) -> argparse.ArgumentParser:
    """A parser with the options that all benchmarks have."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    return parser


def machine() -> str:
    """The machine, and its load: beside other work the numbers mean little."""
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    processor = platform.processor() or platform.machine()
    return (
        f"{platform.system()} {processor}, {os.cpu_count()} cores{load}, "
        f"Python {platform.python_version()}, torch {torch.__version__}"
    )


def show(rows: Sequence[Row], how: str, path: Path | None) -> None:
    """Print rows of equal keys as a table, and write them to `path` as JSON if there is one."""
    where = machine()
    print(where)
    print(how)
    cells = [list(rows[0]), *([_cell(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        print("  ".join(f"{cell:>{width}}" for cell, width in zip(line, widths, strict=True)))
    if path is not None:
        content = {"machine": where, "how": how, "rows": [dict(row) for row in rows]}
        path.write_text(json.dumps(content, indent=2) + "\n")


def _cell(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:,.4g}" if value < 1000 else f"{value:,.0f}"
