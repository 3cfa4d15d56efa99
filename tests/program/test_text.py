"""Programs as text: what is computed when, each value once."""

import os
from pathlib import Path

import pytest

import ktgdsl
from ktgdsl.cli.main import main
from ktgdsl.program.from_plan import program_of
from ktgdsl.program.text import program_text
from tests.test_front_end import in_a_fresh_process

SPECS = sorted(Path(__file__).parent.glob("*.ktg"))


@pytest.mark.parametrize("spec", SPECS, ids=lambda path: path.stem)
def test_golden_files(spec: Path) -> None:
    """Each spec has the program beside it; KTG_UPDATE_GOLDEN=1 writes it anew."""
    text = program_text(program_of(ktgdsl.load(spec)))
    golden = spec.with_suffix(".txt")
    if os.environ.get("KTG_UPDATE_GOLDEN"):
        golden.write_text(text)
    assert text == golden.read_text()


def test_build_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", str(SPECS[0]), "--emit", "program"]) == 0
    assert capsys.readouterr().out == SPECS[0].with_suffix(".txt").read_text()


def test_it_is_printed_without_torch() -> None:
    found = in_a_fresh_process(
        "import ktgdsl, sys\n"
        "from ktgdsl.program.from_plan import program_of\n"
        "program_of(ktgdsl.loads('graph g { node a = resnet8 target a edge label -> a }'))\n"
        "found['torch'] = 'torch' in sys.modules\n"
    )
    assert found == {"torch": False}
