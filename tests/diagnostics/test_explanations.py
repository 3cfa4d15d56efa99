"""Explanations of codes: every code has one, its examples are what they say, the form is strict."""

import shlex
from pathlib import Path

import pytest

from ktgdsl.cli import main as cli
from ktgdsl.compiler import compile_source
from ktgdsl.diagnostics.diagnostic import CODES
from ktgdsl.diagnostics.explanations import (
    FAMILIES,
    Example,
    Explanation,
    Explanations,
    code_explanations,
    parse_explanations,
    subject,
)
from ktgdsl.diagnostics.source import Source
from tests.paths import ROOT

RUN_ALONE = {code for code in CODES if code.startswith(("E5", "W3", "W4"))}
NO_SPEC_LEADS_THERE = {"E002", *RUN_ALONE}
"""Codes without an example: of bytes that are no text, and of what only a run meets."""
COMMANDS = {"E001": 1, "E210": 2}
"""Codes whose example is a command line, with its exit code."""
SPECS = sorted(CODES.keys() - NO_SPEC_LEADS_THERE - COMMANDS.keys())


def explanation(code: str) -> Explanation:
    return code_explanations(code[:2]).by_name[code]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_explains_its_codes_in_order(family: str) -> None:
    explained = code_explanations(family)
    assert [*explained.by_name] == [code for code in CODES if code.startswith(family)]
    assert explained.title == f"{family}: {subject(family)}"


@pytest.mark.parametrize("code", CODES)
def test_examples_are_a_mistake_and_its_correction(code: str) -> None:
    captions = [example.caption for example in explanation(code).examples]
    assert captions == ([] if code in NO_SPEC_LEADS_THERE else ["A mistake:", "Its correction:"])


@pytest.mark.parametrize("code", SPECS)
def test_the_mistake_yields_the_code_alone_and_its_correction_none(
    code: str, tmp_path: Path
) -> None:
    # E107's correction uses a file of this name.
    (tmp_path / "mine.ktg").write_text("train { epochs = 5 }\n")
    mistake, correction = explanation(code).examples
    for example, expected in ((mistake, [code]), (correction, [])):
        source = Source("example.ktg", f"{example.text}\n")
        compiled = compile_source(source, tmp_path, pedantic=code.startswith("W2"))
        assert [each.code for each in compiled.diagnostics] == expected


@pytest.mark.parametrize("code", COMMANDS)
def test_the_mistake_of_a_command_and_its_correction(
    code: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    mistake, correction = explanation(code).examples
    assert cli.main(shlex.split(mistake.text)[1:]) == COMMANDS[code]
    out = capsys.readouterr().out
    assert out.startswith(f"error[{code}]")
    assert out.count("error[") == 1
    assert cli.main(shlex.split(correction.text)[1:]) == 0


FILE = """\
# Words

## one

First paragraph,
two lines.

Second.

## two

Text.

An example:

```ktg
graph g {

    # no heading
}
```

Another:

```sh
ktgc check g.ktg
```
"""


def test_paragraphs_captions_and_blocks_are_told_apart() -> None:
    parsed = parse_explanations(FILE)
    assert parsed == Explanations(
        "Words",
        {
            "one": Explanation("First paragraph,\ntwo lines.\n\nSecond."),
            "two": Explanation(
                "Text.",
                (
                    Example("An example:", "graph g {\n\n    # no heading\n}"),
                    Example("Another:", "ktgc check g.ktg"),
                ),
            ),
        },
    )


@pytest.mark.parametrize(
    ("markdown", "message"),
    [
        ("Words\n\n## one\n\nText.\n", "a line `# Title` is needed"),
        ("# Words\n\nText.\n\n## one\n\nText.\n", "a line `# Title` is needed"),
        ("# Words\n\n## one\n\nText.\n\n## one\n\nText.\n", "there are two sections `one`"),
        ("# Words\n\n## one\n", "section `one` needs a text"),
        ("# Words\n\n## one\n\nText.\n\n```ktg\nlet a = 1\n```\n", "captions"),
        ("# Words\n\n## one\n\nText.\n\nSo:\n\n```ktg\nlet a = 1\n", "a code block each"),
        ("# Words\n\n## one\n\nText.\n\nSo:\n\n```c\nint a;\n```\n", "a code block each"),
        ("# Words\n\n## one\n\nSo:\n\n```ktg\nlet a = 1\n```\n", "section `one` needs a text"),
        (
            "# Words\n\n## one\n\nText.\n\nSo:\n\n```ktg\nlet a = 1\n```\n\nMore.\n",
            "then captions with a code block each",
        ),
    ],
    ids=[
        "no title",
        "a text before the sections",
        "a section twice",
        "a section without a text",
        "a block without a caption",
        "a block that does not end",
        "a block in another language",
        "an example without a text",
        "a text after the examples",
    ],
)
def test_another_form_is_refused(markdown: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_explanations(markdown)
