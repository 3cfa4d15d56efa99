"""Which of the processes that `torchrun` has started prints what all of them have to say."""

import pytest
from torch.distributed import TCPStore  # type: ignore[attr-defined]  # not in its stubs

from ktgdsl.cli import main as cli
from ktgdsl.cli.torchrun import is_first_with
from ktgdsl.diagnostics.diagnostic import Diagnostic

SAME, OTHER = Diagnostic("E504", "no GPU"), Diagnostic("E504", "no GPU for process 2")


@pytest.fixture
def launcher(monkeypatch: pytest.MonkeyPatch) -> TCPStore:
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    for name, value in {
        "TORCHELASTIC_RUN_ID": "none",
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(store.port),
    }.items():
        monkeypatch.setenv(name, value)
    return store


@pytest.mark.usefixtures("launcher")
def test_each_error_is_printed_once(typo: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert [is_first_with([each]) for each in (SAME, SAME, OTHER, SAME)] == [
        True, False, True, False,
    ]  # fmt: skip
    assert [cli.main(["check", typo]) for _ in range(2)] == [1, 1]
    assert capsys.readouterr().out.count("error[E201]") == 1


@pytest.mark.usefixtures("launcher")
def test_a_new_start_prints_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_first_with([SAME])
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    assert is_first_with([SAME])


def test_alone_and_where_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_first_with([SAME])
    assert is_first_with([SAME])
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    assert is_first_with([SAME])  # no address


@pytest.mark.parametrize(("rank", "printed"), [("0", "\ninterrupted\n"), ("1", "")])
def test_an_interrupt_is_printed_by_rank_0(
    rank: str,
    printed: str,
    typo: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "parse", interrupted)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", rank)
    assert cli.main(["check", typo]) == 130
    assert capsys.readouterr().err == printed
