"""The command line: verbs, exit codes, what goes to which stream."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import ktgdsl
from ktgdsl.cli import main as cli
from tests.paths import ROOT

DML3 = str(ROOT / "specs" / "dml3.ktg")
TYPO = "graph g { node a = resnet8 target a edge label -> a : ce via lineer }"
DROPPED = "graph g { node a, b = resnet8 target a edge label -> * }"


@pytest.fixture
def typo(tmp_path: Path) -> str:
    path = tmp_path / "typo.ktg"
    path.write_text(TYPO)
    return str(path)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KTGDSL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


def ktgc(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "ktgdsl", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


class TestCheck:
    def test_a_sound_spec(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["check", DML3]) == 0
        assert capsys.readouterr() == ("1 file checked: no errors\n", "")

    def test_a_typo(self, typo: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["check", DML3, typo]) == 1
        out, err = capsys.readouterr()
        assert "error[E201]: there is no gate called `lineer`" in out
        assert f"{typo}:1:62" in out
        assert "help: did you mean `linear`?" in out
        assert out.endswith("2 files checked: 1 error\n")
        assert err == ""

    def test_a_recipe(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["check", str(ROOT / "specs" / "recipes" / "cifar.ktg")]) == 1
        assert "a file without one is a recipe, which another takes over with `use`" in (
            capsys.readouterr().out
        )

    def test_json(self, typo: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["check", typo, "--output-format", "json"]) == 1
        assert json.loads(capsys.readouterr().out) == [
            {
                "code": "E201",
                "severity": "error",
                "message": "there is no gate called `lineer`",
                "path": typo,
                "line": 1,
                "column": 62,
                "end_line": 1,
                "end_column": 68,
                "help": "did you mean `linear`?",
            }
        ]

    def test_json_of_a_sound_spec(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["check", DML3, "--output-format", "json"]) == 0
        assert capsys.readouterr().out == "[]\n"

    def test_concise(self, typo: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["check", typo, "--output-format", "concise"]) == 1
        out = capsys.readouterr().out
        assert out == f"{typo}:1:62: error[E201] there is no gate called `lineer`\n"

    def test_a_warning_is_no_error(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "w.ktg").write_text(DROPPED)
        assert cli.main(["check", "w.ktg"]) == 0
        assert "warning[W101]" in capsys.readouterr().out

    def test_colour_only_when_asked_for_or_on_a_terminal(
        self, typo: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cli.main(["check", typo])
        assert "\x1b" not in capsys.readouterr().out
        monkeypatch.setenv("FORCE_COLOR", "1")
        cli.main(["check", typo])
        assert "\x1b[" in capsys.readouterr().out

    def test_standard_input(self) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "ktgdsl", "check", "-"],
            input=TYPO,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert "-:1:62" in done.stdout

    def test_a_missing_file(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["check", "nowhere.ktg"]) == 1
        assert "error[E001]: there is no file `nowhere.ktg`" in capsys.readouterr().out


class TestPlanAndBuild:
    def test_plan_names_every_edge_and_setting(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["plan", DML3, "--epochs", "7"]) == 0
        out = capsys.readouterr().out
        plan = ktgdsl.load(DML3, ["train.epochs=7"])
        assert plan.digest in out
        for edge in plan.graph.edges:
            assert f"{edge.source} -> {edge.destination}" in out
        for name in type(plan.train).model_fields:
            assert f"\n  {name} " in out
        rows = {line.split()[0]: line for line in out.splitlines() if line}
        assert rows["epochs"].split() == ["epochs", "7,", "140", "steps", "--set"]
        assert rows["aggregate"].endswith(DML3)
        assert rows["clip"].split() == ["clip", "none", "default"]

    def test_plan_as_json_reads_back(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["plan", DML3, "--json"]) == 0
        facts = json.loads(capsys.readouterr().out)
        plan = ktgdsl.load(DML3)
        assert facts.pop("digest") == plan.digest
        assert ktgdsl.Plan.from_json(json.dumps(facts)) == plan

    @pytest.mark.parametrize(
        ("stage", "sample"),
        [
            ("tree", '"kind": "edge"'),
            ("plan", '"destination": {'),
            ("code", "kl_b_to_a = kl(log_p_b_detached, log_p_a, 1.0)"),
        ],
    )
    def test_build_prints_each_stage(
        self, stage: str, sample: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert cli.main(["build", DML3, "--emit", stage]) == 0
        assert sample in capsys.readouterr().out

    def test_errors_go_to_stderr(self, typo: str, capsys: pytest.CaptureFixture[str]) -> None:
        for verb in ("plan", "build", "run"):
            assert cli.main([verb, typo]) == 1
            out, err = capsys.readouterr()
            assert out == ""
            assert "error[E201]" in err

    def test_warnings_go_to_stderr(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "w.ktg").write_text(DROPPED)
        assert cli.main(["plan", "w.ktg", "--json"]) == 0
        out, err = capsys.readouterr()
        assert json.loads(out)["graph"]["dropped"][0]["name"] == "b"
        assert "warning[W101]" in err


class TestRun:
    def test_a_run_and_what_it_leaves(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        command = ["run", DML3, "--set", "node.c=resnet14", "--epochs", "1", "--seed", "3"]
        assert cli.main(command) == 0
        out = capsys.readouterr().out
        folder = tmp_path / "runs" / "dml3"
        assert "runs/dml3" in out
        result = json.loads((folder / "result.json").read_text())
        assert result["target"] == "a"
        assert result["seeds"] == [3]
        assert set(result["nodes"]) == {"a", "b", "c"}
        # The saved spec says what was run: its plan is the plan of the run.
        saved = ktgdsl.load(folder / "spec.ktg")
        assert saved.digest == result["digest"]
        assert saved.graph.node("c").network.arguments == {"depth": 14, "stride": 1}

    def test_the_spec_is_kept_as_it_is(self, tmp_path: Path) -> None:
        (tmp_path / "v.ktg").write_text(
            "# mine\ngraph v { node a = resnet8 target a edge label -> a } train { epochs = 1 }\n"
        )
        assert cli.main(["run", "v.ktg", "--out", "here", "--quiet"]) == 0
        assert Path("here", "spec.ktg").read_text() == Path("v.ktg").read_text()

    def test_quiet_prints_the_result_only(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["run", DML3, "--epochs", "1", "--quiet"]) == 0
        out, err = capsys.readouterr()
        assert err == ""
        assert "epoch 1" not in out
        assert "resnet8" in out

    def test_a_folder_in_use_is_never_overwritten(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "full").mkdir()
        (tmp_path / "full" / "mine.txt").write_text("mine")
        assert cli.main(["run", DML3, "--out", "full"]) == 1
        assert "E502" in capsys.readouterr().err
        assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine.txt"]

    def test_an_unknown_device(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["run", DML3, "--device", "abacus"]) == 1
        assert "E504" in capsys.readouterr().err

    def test_ctrl_c_says_what_is_kept_and_resume_goes_on(self, tmp_path: Path) -> None:
        process = ktgc("run", DML3, "--epochs", "200")
        metrics = tmp_path / "runs" / "dml3" / "checkpoint.pt"
        deadline = time.monotonic() + 120
        while not metrics.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 130
        assert "Traceback" not in err
        assert "of 200 epochs are kept in runs/dml3" in err
        assert "ktgc run --resume runs/dml3" in err
        kept = len((tmp_path / "runs" / "dml3" / "metrics.jsonl").read_text().splitlines())
        assert kept >= 3


class TestCommandLine:
    @pytest.mark.parametrize(
        "arguments", [[], ["frobnicate"], ["run"], ["check"], ["plan", DML3, "--yaml"]]
    )
    def test_wrong_usage_is_2(
        self, arguments: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
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
    def test_a_misspelt_verb(
        self, verb: str, told: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as exit:
            cli.main([verb, DML3])
        assert exit.value.code == 2
        assert f"ktgc: error: {told}" in capsys.readouterr().err

    def test_version(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as exit:
            cli.main(["--version"])
        assert exit.value.code == 0
        assert capsys.readouterr().out == f"ktgc {ktgdsl.__version__}\n"

    def test_a_bug_of_ours_is_70_and_asks_for_a_report(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_: object, **__: object) -> None:
            raise ZeroDivisionError("our fault")

        monkeypatch.setattr("ktgdsl.compiler.compile_file", broken)
        assert cli.main(["check", DML3]) == 70
        err = capsys.readouterr().err
        assert "ZeroDivisionError: our fault" in err
        assert "Please report it" in err

    def test_a_reader_who_stops_is_no_error(self) -> None:
        done = subprocess.run(
            f"{sys.executable} -m ktgdsl build {DML3} --emit tree | head -n 1; "
            "echo ${PIPESTATUS[0]}",
            shell=True,
            executable="/bin/bash",
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout == "{\n0\n"
        assert done.stderr == ""

    def test_an_override_that_names_nothing(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["plan", DML3, "--set", "node.z=resnet8"]) == 2
        assert "E210" in capsys.readouterr().err

    def test_an_override_out_of_range(self, capsys: pytest.CaptureFixture[str]) -> None:
        for verb in ("check", "plan", "run"):
            assert cli.main([verb, DML3, "--epochs", "0"]) == 2
            out, err = capsys.readouterr()
            assert "--set train.epochs=0" in out + err

    def test_an_override_of_an_argument_says_how(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["plan", DML3, "--set", "train.optimizer.lr=0.01"]) == 2
        assert "train.optimizer=NAME(lr=...)" in capsys.readouterr().err

    def test_resume_takes_no_settings(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["run", "--resume", "here", "--epochs", "3", "--set", "a=b"]) == 2
        assert "without --set and --epochs" in capsys.readouterr().err

    def test_a_disk_that_is_full_is_no_bug(self) -> None:
        done = subprocess.run(
            f"{sys.executable} -m ktgdsl plan {DML3} > /dev/full",
            shell=True,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert done.stderr == "ktgc: the output cannot be written: No space left on device\n"


UGLY = "# mine\ngraph g {node a=resnet8\ntarget a edge label->a}"
LAID_OUT = "# mine\ngraph g {\n    node a = resnet8\n    target a\n    edge label -> a\n}\n"


class TestFmt:
    def test_lays_files_out_and_says_so(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / "ugly.ktg"
        path.write_text(UGLY)
        path.chmod(0o640)
        assert cli.main(["fmt", "ugly.ktg"]) == 0
        assert capsys.readouterr().out == "laid out ugly.ktg\n"
        assert path.read_text() == LAID_OUT
        assert path.stat().st_mode & 0o777 == 0o640
        assert cli.main(["fmt", "ugly.ktg", "--check"]) == 0
        assert cli.main(["fmt", "ugly.ktg"]) == 0
        assert capsys.readouterr().out == ""
        assert [p.name for p in tmp_path.iterdir()] == ["ugly.ktg"]

    def test_check_and_diff_write_nothing(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / "ugly.ktg"
        path.write_text(UGLY)
        assert cli.main(["fmt", "--check", "ugly.ktg"]) == 1
        assert capsys.readouterr().out == "would lay out ugly.ktg\n"
        assert cli.main(["fmt", "--diff", "ugly.ktg"]) == 1
        out = capsys.readouterr().out
        assert out.startswith("--- ugly.ktg\n+++ ugly.ktg (formatted)\n")
        assert "+    edge label -> a\n" in out
        assert path.read_text() == UGLY

    def test_a_file_that_does_not_parse_is_not_touched(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "broken.ktg").write_text(UGLY + "}")
        (tmp_path / "ugly.ktg").write_text(UGLY)
        assert cli.main(["fmt", "broken.ktg", "ugly.ktg"]) == 1
        out, err = capsys.readouterr()
        assert out == "laid out ugly.ktg\n"
        assert "broken.ktg:3" in err
        assert (tmp_path / "broken.ktg").read_text() == UGLY + "}"

    def test_standard_input_goes_to_standard_output(self) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "ktgdsl", "fmt", "-"],
            input=UGLY,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, LAID_OUT, "")

    def test_a_disk_that_is_full_leaves_the_file_as_it_was(
        self,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        path = tmp_path / "ugly.ktg"
        path.write_text(UGLY)
        monkeypatch.setattr(Path, "replace", full)
        assert cli.main(["fmt", "ugly.ktg"]) == 1
        assert "No space left on device" in capsys.readouterr().err
        assert path.read_text() == UGLY
        assert [p.name for p in tmp_path.iterdir()] == ["ugly.ktg"]


class TestDiff:
    def test_names_both_files_and_what_differs(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        text = Path(DML3).read_text()
        (tmp_path / "mine.ktg").write_text("# another comment\n" + text)
        assert cli.main(["diff", DML3, "mine.ktg"]) == 0
        assert capsys.readouterr().out == "the same training\n"
        (tmp_path / "mine.ktg").write_text(text.replace("lr=0.1", "lr=0.2"))
        assert cli.main(["diff", DML3, "mine.ktg"]) == 0
        out = capsys.readouterr().out
        assert out.splitlines()[0].split() == [DML3, "mine.ktg"]
        assert "\ntrain.optimizer  sgd(lr=0.1" in out
        assert "train.epochs" not in out


def test_a_run_keeps_a_spec_that_uses_others_in_one_file(tmp_path: Path) -> None:
    (tmp_path / "base.ktg").write_text("train { epochs = 1 }")
    (tmp_path / "v.ktg").write_text('use "base.ktg"\n' + UGLY)
    assert cli.main(["run", "v.ktg", "--out", "here", "--quiet"]) == 0
    saved = Path("here", "spec.ktg").read_text()
    assert "use" not in saved
    assert ktgdsl.loads(saved).digest == ktgdsl.load("v.ktg").digest
