"""The grammar of the command line: verbs and their options."""

import argparse
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

Verb = Callable[[argparse.Namespace], int]


def parser(actions: Mapping[str, Verb], given: Sequence[str]) -> argparse.ArgumentParser:
    """The parser of a command line, `given`; what it reads has the action of the verb in `verb`.

    Of verbs that are not in the line it knows no options: making them all takes longer than most
    of a check.
    """
    parser = _Parser(
        prog="ktgc",
        description="Compile knowledge transfer graphs: check, plan, build, run and search specs.",
        epilog="Exit codes: 0 fine, 1 the spec or run is at fault, 2 usage, 70 a bug of ours, "
        "130 Ctrl-C.",
    )
    parser.add_argument("--version", action=_Version)
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    for name, (options, help) in VERBS.items():
        verb = verbs.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".")
        verb.set_defaults(verb=actions[name], output_format="full")
        if name in given:
            options(verb)
    return parser


def _check(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("files", nargs="+", metavar="FILE", help="a spec; - reads standard input")
    verb.add_argument(
        "--pedantic", action="store_true", help="ask about what is legal but suspicious too"
    )
    _overrides(verb)


def _plan(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("file", metavar="FILE")
    verb.add_argument("--json", action="store_true", help="as JSON, with the digest")
    verb.add_argument(
        "--measure",
        action="store_true",
        help="train some steps to tell how long the search of a space will take here",
    )
    _overrides(verb)


def _build(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("file", metavar="FILE")
    verb.add_argument(
        "--emit",
        choices=["tree", "plan", "code"],
        default="code",
        help="the syntax tree, the plan, or the Python that runs (default: code)",
    )
    _overrides(verb)


def _graph(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "file", metavar="SPEC|RUN", help="a spec, a space, or the folder of a run or a search"
    )
    verb.add_argument(
        "-o",
        dest="out",
        type=_picture,
        metavar="FILE",
        help="x.svg, x.png, x.mmd (Mermaid) or x.dot (default: Mermaid, to stdout)",
    )
    _overrides(verb)


def _picture(text: str) -> str:
    if not text.endswith((".svg", ".png", ".mmd", ".dot")):
        raise argparse.ArgumentTypeError(f"it ends in .svg, .png, .mmd or .dot, not {text!r}")
    return text


def _run(verb: argparse.ArgumentParser) -> None:
    what = verb.add_mutually_exclusive_group(required=True)
    what.add_argument("file", nargs="?", metavar="FILE")
    what.add_argument("--resume", metavar="DIR", help="go on with the run in this folder")
    verb.add_argument("--out", metavar="DIR", help="folder for the results (default: runs/NAME)")
    verb.add_argument("--device", metavar="NAME", help="such as cpu or cuda:1 (default: a GPU)")
    _deterministic(verb)
    verb.add_argument("--quiet", action="store_true", help="print the result only")
    _overrides(verb)


def _deterministic(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--deterministic",
        action="store_true",
        help="the same bits each time, on a GPU too, and more slowly",
    )


def _search(verb: argparse.ArgumentParser) -> None:
    what = verb.add_mutually_exclusive_group(required=True)
    what.add_argument("file", nargs="?", metavar="FILE")
    what.add_argument("--resume", metavar="DIR", help="go on with the search in this folder")
    verb.add_argument("--out", metavar="DIR", help="folder for the results (default: runs/NAME)")
    verb.add_argument(
        "--workers",
        type=_count,
        metavar="N",
        help="trials at a time (default: one a GPU, or one for two cores)",
    )
    verb.add_argument("--device", metavar="NAME", help="such as cpu or cuda:1 (default: all GPUs)")
    _deterministic(verb)
    verb.add_argument("--quiet", action="store_true", help="print the result only")
    _overrides(verb)


def _table(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("folder", metavar="DIR", help="a folder with a table.toml and its specs")
    verb.add_argument(
        "--dry-run", action="store_true", help="run nothing: what is there, and what is left to do"
    )
    verb.add_argument(
        "--only",
        action="append",
        metavar="TEXT",
        help="only the row of this label, or rows with it in theirs; given again, those of either",
    )
    verb.add_argument(
        "--format",
        choices=["text", "markdown", "csv", "json"],
        default="text",
        help="of the table (default: text)",
    )
    verb.add_argument(
        "--chart", type=_chart, metavar="FILE", help="draw bars as well, to x.svg or x.png"
    )
    verb.add_argument(
        "--out",
        default="runs/tables",
        metavar="DIR",
        help="folder for the runs, of any number of tables (default: runs/tables)",
    )
    verb.add_argument("--device", metavar="NAME", help="such as cpu or cuda:1 (default: a GPU)")
    verb.add_argument("--quiet", action="store_true", help="print the table only")
    _overrides(verb)


def _bench(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("file", metavar="SPEC")
    verb.add_argument("--json", action="store_true", help="as JSON, every number with its unit")
    verb.add_argument(
        "--seconds",
        type=_seconds,
        default=10.0,
        metavar="N",
        help="about how long to measure, after warming up (default: 10)",
    )
    verb.add_argument("--device", metavar="NAME", help="such as cpu or cuda:1 (default: a GPU)")
    _overrides(verb)


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"more than 0 is needed, not {text}")
    return number


def _chart(text: str) -> str:
    if not text.endswith((".svg", ".png")):
        raise argparse.ArgumentTypeError(f"it ends in .svg or .png, not {text!r}")
    return text


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"at least 1 is needed, not {number}")
    return number


def _fmt(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("files", nargs="+", metavar="FILE", help="a spec; - formats standard input")
    how = verb.add_mutually_exclusive_group()
    how.add_argument("--check", action="store_true", help="only say which files would change")
    how.add_argument("--diff", action="store_true", help="only show what would change")
    _diagnostics(verb)


def _explain(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "name", nargs="?", metavar="NAME", help="such as E304, correct, edge or data.batch"
    )


def _diff(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("one", metavar="A")
    verb.add_argument("other", metavar="B")
    _overrides(verb)


def _diagnostics(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--output-format",
        choices=["full", "concise", "json"],
        help="how diagnostics are printed (default: full)",
    )


def _overrides(verb: argparse.ArgumentParser) -> None:
    _diagnostics(verb)
    verb.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="PATH=VALUE",
        help="override a setting: train.epochs=2, data.batch=32, node.a=resnet14, let.T=4",
    )
    for option in ("epochs", "seed", "repeats"):
        verb.add_argument(
            f"--{option}", type=int, metavar="N", help=f"the same as --set train.{option}=N"
        )
    verb.add_argument(
        "--root",
        metavar="DIR",
        help="folder that files named by the spec lie in (default: its project, or its own)",
    )


VERBS: dict[str, tuple[Callable[[argparse.ArgumentParser], None], str]] = {
    "check": (_check, "say what is wrong with specs"),
    "plan": (_plan, "show what a spec means, every default written out"),
    "diff": (_diff, "show what differs between two specs in meaning"),
    "graph": (_graph, "draw who teaches whom through which gates"),
    "fmt": (_fmt, "lay specs out in the one layout"),
    "build": (_build, "print a stage of the compiler"),
    "explain": (_explain, "say what a diagnostic's code, a word, a keyword or a setting means"),
    "run": (_run, "train a graph, or go on with a run that was cut off"),
    "search": (_search, "find the best graph of a space, or go on with a search"),
    "bench": (_bench, "measure a spec on this machine, and tell how long it will take"),
    "table": (_table, "rerun a published table and print its numbers beside ours"),
}


class _Parser(argparse.ArgumentParser):
    """Says of a misspelt verb which one was probably meant."""

    def error(self, message: str) -> NoReturn:
        """Print the complaint, with what was meant where a verb is misspelt, and exit."""
        unknown = re.match(r"argument VERB: invalid choice: '(.*?)'", message)
        if unknown:
            from difflib import get_close_matches  # only a mistake needs it

            word = unknown[1]
            guess = get_close_matches(word.lower(), VERBS, n=1)
            fix = f"did you mean `{guess[0]}`?" if guess else f"there are {', '.join(VERBS)}"
            message = f"there is no verb `{word}`; {fix}"
        super().error(message)


class _Version(argparse.Action):
    """Prints the version; asked for rarely, so it is not looked up before."""

    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="print the version and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        import ktgdsl

        print(f"ktgc {ktgdsl.__version__}")
        parser.exit()
