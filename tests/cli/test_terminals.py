"""What every verb prints: to pipes that close, to encodings without letters, to terminals."""

import io
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

import ktgdsl
from ktgdsl.cli import main as cli
from ktgdsl.cli.console import print_json
from ktgdsl.cli.parser import VERBS
from ktgdsl.report.formatting import shortened, wrapped
from ktgdsl.report.pictures.picture import picture
from tests.cli.specs import DML3, TYPO
from tests.paths import ROOT

GATES, TABLE1 = ROOT / "specs" / "gates.ktg", ROOT / "specs" / "paper" / "table1"
HOSTILE = "\x1b]0;me\x07\x9b2J\u202e\u2066\u200b\ufeff<&>"
RAW = re.compile(
    "\x1b]|[\x00-\x08\x0b\x0c\x0e-\x1a\x7f-\x9f]|[\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]"
)
"""What no terminal may get; ESC [ is what colours and live displays of ours begin with."""
NETS = f"""
import torch
def net(say): return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
def broken(say): raise ValueError({HOSTILE!a})
"""


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def in_a_terminal(*arguments: str) -> tuple[int, str]:
    """The exit code of a command line, and what it shows in a terminal."""
    terminal = Terminal()
    with redirect_stdout(terminal), redirect_stderr(terminal):
        try:
            code = cli.main(arguments)
        except SystemExit as exit:
            code = int(exit.code or 0)
    return code, terminal.getvalue()


@pytest.fixture
def _hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Specs in a folder of hostile name, with hostile strings; it is the working folder."""
    folder = tmp_path / HOSTILE
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("TERM", "xterm")
    Path("nets.py").write_text(NETS)
    spec = f"""# {HOSTILE}
graph g {{ node a = python("nets:FACTORY", say="{HOSTILE}") node b = resnet8 target a
edge label -> * edge b -> a }}
train {{ epochs = 1 }} data digits {{ samples = 64 batch = 64 validation = 32 }}
search {{ trials = 1 }}"""
    Path("good.ktg").write_text(spec.replace("FACTORY", "net"), "utf-8")
    spec = spec.replace("FACTORY", "broken")
    Path("bad.ktg").write_text(spec, "utf-8")
    Path("space.ktg").write_text(spec.replace("b -> a", "b -> a : kl(T=1 | 2)"), "utf-8")
    Path(f"{HOSTILE}.ktg").write_text(TYPO)
    table = f'title = "{HOSTILE}"\npublished_runs = 1\nrows = [{{label = "{HOSTILE}"}}]'
    escaped = re.sub("[\x00-\x09\x0b-\x1f\x7f]", lambda found: f"\\u{ord(found[0]):04x}", table)
    Path("table.toml").write_text(escaped, "utf-8")


COMMANDS = [
    "check {0}.ktg good.ktg",
    "check good.ktg --set {0}=1 --output-format concise",
    "check {0}",
    "plan good.ktg",
    "plan good.ktg --json",
    "plan space.ktg",
    "diff good.ktg bad.ktg --set node.b=wrn10_2",
    "graph good.ktg",
    "graph {0}",
    "fmt good.ktg",
    "fmt good.ktg --diff",
    "fmt {0}.ktg --check",
    "build good.ktg --emit tree",
    "build good.ktg --emit plan",
    "build bad.ktg",
    "init {0}z",
    "explain {0}",
    "run good.ktg --out {0}x",
    "run bad.ktg",
    "run good.ktg --device {0}",
    "run --resume {0}",
    "curves {0}",
    "report {0}",
    "search space.ktg --workers 1 --out {0}y",
    "eval {0}",
    "runs {0}",
    "compare {0} good.ktg",
    "dashboard {0}",
    "bench bad.ktg",
    "table .",
    "table . --format csv",
    "table . --format markdown",
    "table . --format json",
    "table {0}",
    "export {0} -o x.pt2",
    "lsp {0}",
    "completion {0}",
    "{0}",
    "plan good.ktg {0}",
    "search good.ktg --workers {0}",
]


@pytest.mark.usefixtures("_hostile", "forked_workers")
@pytest.mark.parametrize("command", COMMANDS)
def test_no_verb_sends_hostile_characters_to_a_terminal(command: str) -> None:
    arguments = [part.replace("{0}", HOSTILE) for part in command.split()]
    code, shown = in_a_terminal(*arguments)
    assert code in (0, 1, 2), shown
    assert not RAW.search(shown), ascii(shown)
    if "{0}" in command:
        assert "202e" in shown  # as an escape: it is shown, not left out


def test_these_are_all_verbs() -> None:
    assert {command.split()[0] for command in COMMANDS} - {"{0}"} == set(VERBS)


def test_json_stays_json(capsys: pytest.CaptureFixture[str]) -> None:
    print_json('{"a": "é\x7f\u202e\U0001f600"}\n')
    assert capsys.readouterr().out == '{"a": "\\u00e9\\u007f\\u202e\\ud83d\\ude00"}\n'


def test_pictures_of_hostile_strings_are_well_formed() -> None:
    text = "".join(map(chr, [*range(1, 32), 0x7F, 0x9B, 0x202E, 0xFFFE, 0x1FFFF])) + "]]>&<\"'#"
    plan = ktgdsl.loads("graph g { node a, b = resnet8 target a edge label -> * edge b -> a }")
    graph = plan.graph
    network = graph.nodes[0].network.model_copy(update={"name": text, "arguments": {"x": text}})
    nodes = (graph.nodes[0].model_copy(update={"network": network}), graph.nodes[1])
    graph = graph.model_copy(update={"nodes": nodes, "name": text})
    plan = plan.model_copy(update={"graph": graph})
    pictures = {suffix: picture(plan, suffix).decode() for suffix in (".svg", ".dot", ".mmd")}
    ElementTree.fromstring(pictures[".svg"])
    assert not any(map(RAW.search, pictures.values()))
    for line in pictures[".mmd"].splitlines():
        assert line.count('"') % 2 == 0
    unescaped = pictures[".dot"].replace("\\\\", "").replace('\\"', "")
    assert all(line.count('"') % 2 == 0 for line in unescaped.splitlines())


# Pipes, encodings, closed streams


def shell(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """What bash makes of a command in which `ktgc` is the program."""
    return subprocess.run(
        ["bash", "-c", f'ktgc() {{ {sys.executable} -m ktgdsl "$@"; }}; {command}'],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def test_a_run_outlasts_whoever_reads_it() -> None:
    small = "--epochs 2 --set data.samples=64 --set data.validation=32 --out run"
    done = shell(f"ktgc run {DML3} {small} | true; exit ${{PIPESTATUS[0]}}")
    assert (done.returncode, done.stderr) == (0, "")
    assert Path("run", "result.json").exists()
    assert len(Path("run", "metrics.jsonl").read_text().splitlines()) == 6


@pytest.mark.parametrize("end", ["| true", ">&- 2>&- <&-"])
def test_a_check_says_the_same_to_a_closed_pipe(end: str, typo: str) -> None:
    assert shell(f"ktgc check {DML3} {typo} {end}; exit ${{PIPESTATUS[0]}}").returncode == 1
    assert shell(f"ktgc check {DML3} {end}; exit ${{PIPESTATUS[0]}}").returncode == 0


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    ],
)
def test_an_encoding_without_the_letters_is_no_error(environment: dict[str, str]) -> None:
    done = shell("ktgc explain kl", **environment)
    assert done.returncode == 0
    assert "T\\xb2 KL(" in done.stdout


# Narrow terminals


@pytest.mark.parametrize("width", [60, 40])
def test_lines_are_no_wider_than_the_terminal(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    for code, *arguments in (
        (0, "plan", DML3),
        (0, "explain", "kl"),
        (0, "diff", DML3, GATES),
        (1, "run", DML3, "--device", "abacus and many other words that go on"),
        (0, "table", TABLE1, "--dry-run"),
    ):
        found, shown = in_a_terminal(*map(str, arguments))
        assert found == code
        for line in re.sub("\x1b\\[[0-9;]*m", "", shown).splitlines():
            assert len(line) <= width or len(line.split()) < 2, line  # a path has no words
    assert shown.count("\n") > 20


def test_long_lines_are_broken_at_words_and_hang_under_their_value() -> None:
    assert wrapped("  optimizer  sgd(lr=0.1, momentum=0.9)  here", 30) == (
        "  optimizer  sgd(lr=0.1,\n             momentum=0.9)\n             here"
    )
    assert wrapped("one two three", 8) == "one two\n  three"
    assert wrapped("fits", 4) == "fits"
    assert wrapped("indivisible", 4) == "indivisible"
    assert wrapped("it reaches 70.40 % on digits", 17) == "it reaches\n  70.40 % on\n  digits"


def test_a_line_is_cut_at_a_word() -> None:
    assert shortened("digits, cpu, into runs/one", 20) == "digits, cpu, into …"
    assert shortened("indivisible", 4) == "ind…"
    assert shortened("fits", 4) == "fits"
