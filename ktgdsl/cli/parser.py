"""The parser of command lines. A verb's module is imported when the verb is chosen."""

import argparse
import re
from collections.abc import Collection, Iterator, Sequence
from importlib import import_module
from typing import Any, NoReturn

VERBS = {
    "check": "say what is wrong with specs",
    "plan": "show what a spec means, every default written out",
    "diff": "show what differs between two specs or runs in meaning",
    "graph": "draw who teaches whom through which gates",
    "fmt": "lay specs out in the one layout",
    "build": "print a stage of the compiler",
    "init": "write a first spec, to be changed",
    "explain": "say what a code, a word, a keyword, a setting, a command or a file means",
    "run": "train a graph, or go on with a run that was cut off",
    "search": "find the best graph of a space, or go on with a search",
    "curves": "draw accuracies and losses of runs by epoch",
    "eval": "measure the networks of a run: accuracy by class, mistakes, F1, calibration",
    "runs": "list what was run, and what became of it",
    "compare": "test finished runs against each other",
    "report": "write a page of HTML about runs and searches",
    "dashboard": "show the trials of a search in a browser, while it runs as well",
    "bench": "measure a spec on this machine, and tell how long it will take",
    "table": "rerun a published table and print its numbers beside ours",
    "export": "write a trained network as ONNX, torch.export or safetensors, with a model card",
    "lsp": "answer an editor: mistakes as you type, completion, hover, rename",
    "completion": "print the script that completes command lines in a shell",
}
"""Verbs and their help. The module `ktgdsl.cli.VERB` has `add_arguments` and `run`."""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of a command line; `verb` is the `run` of the verb's module."""
    if arguments and arguments[0] in VERBS:  # saves making the parsers of all the others
        name, *rest = arguments
        return _VerbParser(prog=f"ktgc {name}", **_options(name)).parse_args(rest)
    return parser().parse_args(arguments)


def parser() -> argparse.ArgumentParser:
    """The parser of all verbs."""
    parser = _Parser(
        prog="ktgc",
        description="Compile knowledge transfer graphs: check, plan, build, run and search specs.",
        epilog="Exit codes: 0 fine, 1 the spec or run is at fault, 2 usage, 70 a bug of ours, "
        "130 Ctrl-C, 143 SIGTERM.",
    )
    parser.add_argument("--version", action=_Version)
    verbs = parser.add_subparsers(metavar="VERB", required=True, parser_class=_VerbParser)
    for name, help in VERBS.items():
        verbs.add_parser(name, help=help, **_options(name))
    return parser


def actions_of_verbs(whole: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """The options and arguments of all verbs of a `parser`, for which every verb is imported."""
    for verbs in whole._actions:
        if isinstance(verbs, argparse._SubParsersAction):
            for verb in verbs.choices.values():
                verb.add_options()
                yield from verb._actions


def _options(verb: str) -> dict[str, Any]:
    """The keyword arguments of a verb's parser."""
    help = VERBS[verb]
    return {"module": verb, "description": f"{help[0].upper()}{help[1:]}."}


class _SafeParser(argparse.ArgumentParser):
    """Quotes no control characters of a command line."""

    def error(self, message: str) -> NoReturn:
        """Print the complaint and exit."""
        from ktgdsl.diagnostics.render import printable  # only a mistake needs it

        super().error(printable(message))


class _Parser(_SafeParser):
    """Says of a misspelt verb, or an option before it, which one was probably meant."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Like the base class, which would complain of a missing verb before a wrong option."""
        first = args[0].partition("=")[0] if args else ""
        known = self._option_string_actions
        if first.startswith("-") and not any(each.startswith(first) for each in known):
            guess = _closest(first, known)
            fix = f"did you mean `{guess}`?" if guess else "options of a verb stand behind it"
            self.error(f"unrecognized arguments: {args[0]}; {fix}")
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Print the complaint, with what was meant where a verb is misspelt, and exit."""
        unknown = re.match(r"argument VERB: invalid choice: '(.*?)'", message)
        if unknown:
            from difflib import get_close_matches  # only a mistake needs it

            word = unknown[1]
            guess = get_close_matches(word.lower(), VERBS, n=1)
            fix = f"did you mean `{guess[0]}`?" if guess else f"there are {', '.join(VERBS)}"
            message = f"there is no verb `{word}`; {fix}"
        elif message == "the following arguments are required: VERB":
            verbs = ", ".join(VERBS)
            message = f"a verb is missing; there are {verbs}; `ktgc --help` says what each does"
        super().error(message)


def _closest(option: str, known: Collection[str]) -> str | None:
    """The option that was probably meant by one that there is not."""
    from ktgdsl.vocabulary.spelling import closest  # only a mistake needs it

    return closest(option, known)


class _VerbParser(_SafeParser):
    """The parser of one verb. It gets its options, from the verb's module, when it is used."""

    def __init__(self, *, module: str, **options: Any) -> None:
        super().__init__(**options)
        self._module = module

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Like the base class; called once, when the verb is the one of the command line.

        It complains of what is unknown itself, as only it knows the options that it has.
        """
        self.add_options()
        options, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}{self._meant(unknown)}")
        return options, unknown

    def _meant(self, unknown: Sequence[str]) -> str:
        """What to write instead of options that there are not; "" where none of them is one."""
        words = [word.partition("=")[0] for word in unknown if word.startswith("-")]
        guesses = [_closest(word, self._option_string_actions) for word in words]
        if meant := [f"`{guess}`" for guess in dict.fromkeys(guesses) if guess is not None]:
            return f"; did you mean {' and '.join(meant)}?"
        return f"; `{self.prog} --help` lists the options" if words else ""

    def add_options(self) -> None:
        """Import the verb's module and take over its options; called once."""
        verb = import_module(f"ktgdsl.cli.{self._module}")
        self.set_defaults(verb=verb.run, output_format="full")
        verb.add_arguments(self)


class _Version(argparse.Action):
    """Prints the version; asked for rarely, so it is not looked up before."""

    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="print the version and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        import ktgdsl

        print(f"ktgc {ktgdsl.__version__}")
        parser.exit()
