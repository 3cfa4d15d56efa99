"""`ktgc`: usage, exit codes, and what goes to which stream."""

import json
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import ktgdsl
from ktgdsl.cli import main as cli
from ktgdsl.cli.console import showing_warnings
from ktgdsl.cli.parser import VERBS
from ktgdsl.errors import KtgError, warn
from ktgdsl.files import cache_root
from ktgdsl.syntax.grammar import cache_file
from ktgdsl.training.datasets.locations import download_folder
from tests.cli.specs import DML3, UGLY


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["frobnicate"],
        ["run"],
        ["check"],
        ["plan", DML3, "--yaml"],
        ["run", DML3, "--emit", "code"],
    ],
)
def test_wrong_usage_is_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit:
        cli.main(arguments)
    assert exit.value.code == 2
    assert "usage: ktgc" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("verb", "told"),
    [
        ("ceck", "there is no verb `ceck`; did you mean `check`?"),
        ("Plan", "there is no verb `Plan`; did you mean `plan`?"),
        ("xyzzy", "there is no verb `xyzzy`; there are check, plan, diff, graph, fmt,"),
    ],
)
def test_a_misspelt_verb(verb: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit:
        cli.main([verb, DML3])
    assert exit.value.code == 2
    assert f"ktgc: error: {told}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("check a.ktg --outputformat json", "--outputformat json; did you mean `--output-format`?"),
        (
            "run a.ktg --epocs=3 -sede 1",
            "--epocs=3 -sede 1; did you mean `--epochs` and `--seed`?",
        ),
        ("check a.ktg --xyzzy", "--xyzzy; `ktgc check --help` lists the options"),
        ("runs a b", "b"),
        ("--versoin", "--versoin; did you mean `--version`?"),
        ("--epochs=3 run a.ktg", "--epochs=3; options of a verb stand behind it"),
    ],
)
def test_a_misspelt_option(
    arguments: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit:
        cli.main(arguments.split())
    assert exit.value.code == 2
    assert capsys.readouterr().err.endswith(f"error: unrecognized arguments: {message}\n")


def test_a_command_line_without_a_verb_gets_the_list_of_verbs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as exit:
        cli.main([])
    out, err = capsys.readouterr()
    assert (exit.value.code, out) == (2, "")
    assert f"a verb is missing; there are {', '.join(VERBS)}; `ktgc --help` says" in err


@pytest.mark.parametrize("verb", ["check", "plan"])
@pytest.mark.parametrize("option", ["--epochs -1", "--set train.epochs=-1"])
def test_a_diagnostic_about_an_option_names_it_as_it_was_written(
    verb: str, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for style, place in ("full", f" --> {option}\n"), ("concise", f"{option}: error[E302] "):
        assert cli.main([verb, DML3, *option.split(), "--output-format", style]) == 2
        out, err = capsys.readouterr()
        assert place in out + err
    assert cli.main([verb, DML3, *option.split(), "--output-format", "json"]) == 2
    out, err = capsys.readouterr()
    (found,) = json.loads(out + err)
    assert (found["path"], found["line"], found["column"]) == ("--set train.epochs=-1", 1, 14)


def test_a_tilde_that_no_shell_expanded_is_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KTGDSL_CACHE", "~/cache")
    (tmp_path / "a.ktg").write_text(UGLY)
    assert cli.main(["check", "--root=~", "~/a.ktg"]) == 0
    assert cli.main(["graph", "~/a.ktg", "-o", "~/a.dot"]) == 0
    assert (tmp_path / "a.dot").exists()
    assert ktgdsl.load("~/a.ktg").graph.name == "g"
    assert cache_root() == tmp_path / "cache"
    capsys.readouterr()


def test_a_cache_whose_path_is_not_text_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("KTGDSL_DATA", raising=False)
    for name in ("KTGDSL_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.setenv(name, f"{tmp_path}/bad\udcff")
        assert cache_file() is None
        with pytest.raises(KtgError, match=r"there is no folder to download data sets into"):
            download_folder()
        monkeypatch.delenv(name)


def test_help_waits_for_neither_a_parser_nor_a_validator() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "ktgdsl", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert all(f"\n    {verb} " in done.stdout for verb in ("check", "table"))
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "ktgdsl.cli.main" in imported
    assert not {"lark", "pydantic", "torch", "optuna", "rich", "ktgdsl.compiler"} & imported


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit:
        cli.main(["--version"])
    assert exit.value.code == 0
    assert capsys.readouterr().out == f"ktgc {ktgdsl.__version__}\n"


def test_a_bug_of_ours_is_70_and_asks_for_a_report(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("our fault")

    monkeypatch.setattr("ktgdsl.cli.compiling.compile_file", broken)
    assert cli.main(["check", DML3]) == 70
    err = capsys.readouterr().err
    assert "ZeroDivisionError: our fault" in err
    assert "Please report it" in err


def test_a_reader_who_stops_is_no_error() -> None:
    done = subprocess.run(
        f"{sys.executable} -m ktgdsl build {DML3} --emit tree | head -n 1; echo ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "{\n0\n"
    assert done.stderr == ""


def test_all_that_is_printed_goes_through_a_pipe(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A tree, more than a pipe holds, and errors, with the exit code of each."""
    spec = tmp_path / "many.ktg"
    nodes = "".join(f"node n{i} = resnet8\n" for i in range(200))
    spec.write_text(f"graph g {{\n{nodes}target n0\n}}\ndata digits\n")
    for arguments, code in (["build", "--emit", "tree", str(spec)], 0), (["plan", str(spec)], 1):
        assert cli.main(arguments) == code
        done = subprocess.run(
            [sys.executable, "-m", "ktgdsl", *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.stdout, done.stderr) == capsys.readouterr()
        assert done.returncode == code
        assert len(done.stdout) > 100_000 or code


def test_an_override_that_names_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", DML3, "--set", "node.z=resnet8"]) == 2
    assert "E210" in capsys.readouterr().err


def test_an_override_out_of_range(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in ("check", "plan", "run"):
        assert cli.main([verb, DML3, "--epochs", "0"]) == 2
        out, err = capsys.readouterr()
        assert "--> --epochs 0\n" in out + err


def test_an_override_of_an_argument_says_how(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", DML3, "--set", "train.optimizer.lr=0.01"]) == 2
    assert "train.optimizer=NAME(lr=...)" in capsys.readouterr().err


def test_a_disk_that_is_full_is_no_bug() -> None:
    done = subprocess.run(
        f"{sys.executable} -m ktgdsl plan {DML3} > /dev/full",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == "ktgc: the output cannot be written: No space left on device\n"


def test_errors_go_to_stderr(typo: str, capsys: pytest.CaptureFixture[str]) -> None:
    for verb in ("plan", "build", "run"):
        assert cli.main([verb, typo]) == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert "error[E201]" in err


def test_a_warning_with_a_code_is_a_diagnostic(capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        with showing_warnings("concise"):
            for _ in range(2):
                warn("W301", "these labels look wrong", path=Path("data.py"))
            warnings.warn("another", stacklevel=1)
    first, *rest = capsys.readouterr().err.splitlines()
    assert first == "data.py: warning[W301] these labels look wrong"
    assert "UserWarning: another" in rest[0]


@pytest.mark.parametrize("verb", ["search", "table", "bench"])
def test_processes_of_torchrun_are_for_run_alone(
    verb: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert cli.main([verb, DML3]) == 2
    assert f"ktgc {verb}: several processes of torchrun train one graph" in capsys.readouterr().err
