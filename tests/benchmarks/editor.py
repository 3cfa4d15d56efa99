"""How long an editor waits for an answer: `python -m tests.benchmarks.editor [--json]`.

Milliseconds of the processor for a keystroke in a spec of 300 lines: medians, the least, which
other work on the machine disturbs least, and the quartiles. Every version of the text is new, so
that nothing is known of it; a server checks a version once for all that is asked of it.
"""

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles

from ktgdsl.diagnostics.source import Source
from ktgdsl.editor import names
from ktgdsl.editor.completion import complete
from ktgdsl.editor.document import Document
from ktgdsl.editor.fixes import fixes
from ktgdsl.editor.hover import hover
from ktgdsl.editor.server import collect_rarely
from ktgdsl.editor.symbols import symbols
from ktgdsl.syntax.format import format_source
from tests.benchmarks.output import Row, options, show

NODES, LETS = 24, 12

Ask = Callable[[Document, int], object]
ASKED: dict[str, Ask] = {
    "diagnostics": lambda document, _: document.compiled,
    "completion": complete,
    "hover": hover,
    "definition": names.definition,
    "references": names.references,
    "rename": lambda document, offset: names.rename(document, offset, "renamed"),
    "outline": lambda document, _: symbols(document),
    "quick fixes": lambda document, offset: fixes(document, offset, offset),
    "formatting": lambda document, _: format_source(document.source),
}


def spec(lines: int = 300) -> str:
    """A spec of so many lines, most of them edges with losses and gates of their own."""
    lets = [f"let t{i} = {1 + i % 4} * {1 + i}" for i in range(LETS)]
    nodes = [f"    node n{i} = {('resnet8', 'resnet14', 'wrn10_2')[i % 3]}" for i in range(NODES)]
    head = [*lets, "graph large {", *nodes, "    target n0, n1", "    edge label -> * : ce"]
    tail = [
        "}",
        "phase warm { learn = [n0, n1, n2]  epochs = 5 }",
        "phase all { learn = [" + ", ".join(f"n{i}" for i in range(NODES)) + "] }",
        "data digits { batch = 32  augment = standard }",
        "train { epochs = 30  optimizer = adamw(lr=1e-3)  schedule = cosine }",
    ]
    pairs = [(a, b) for a in range(NODES) for b in range(NODES) if a != b]
    edges = [
        f"    edge n{a} -> n{b} : kl(T=t{i % LETS}) via {0.1 + i % 7} * linear * correct"
        for i, (a, b) in enumerate(pairs[: lines - len(head) - len(tail)])
    ]
    return "\n".join([*head, *edges, *tail])


def measure(rounds: int) -> list[Row]:
    """All requests in turns; the first round warms up."""
    text = spec()
    offset = text.index("n1 -> n0") + 1
    collect_rarely()
    taken: dict[str, list[float]] = {name: [] for name in ASKED}
    for turn in range(rounds + 1):
        for name, ask in ASKED.items():
            version = f"{text}\n# {name} {turn}"
            document = Document(Source("/nowhere/large.ktg", version), Path("/nowhere"))
            began = time.process_time()
            ask(document, offset)
            if turn:
                taken[name].append(1000 * (time.process_time() - began))
    return [_row(name, times) for name, times in taken.items()]


def _row(name: str, times: list[float]) -> Row:
    low, _, high = quantiles(times, n=4, method="inclusive")
    return {
        "what": name,
        "ms": round(median(times), 1),
        "least": round(min(times), 1),
        "quartiles": f"{low:.1f} to {high:.1f}",
        "n": len(times),
    }


def main() -> None:
    """Measure and print."""
    parser = options(__doc__)
    parser.add_argument("--quick", action="store_true", help="two rounds instead of twenty")
    given = parser.parse_args()
    rows = measure(2 if given.quick else 20)
    show(rows, "milliseconds of the processor, medians; a spec of 300 lines", given.json)


if __name__ == "__main__":
    main()
