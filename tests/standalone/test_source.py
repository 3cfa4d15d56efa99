"""Definitions of the package in scripts: with all that they use, and in an order that runs."""

import ast

from ktgdsl.backend import losses, networks
from ktgdsl.backend.functions import COMBINES, GATES, LOSSES
from ktgdsl.standalone.imports import import_block
from ktgdsl.standalone.source import Definitions
from ktgdsl.standalone.text import WIDTH, literal, wrapped
from ktgdsl.training.datasets.augment import Augment
from tests.standalone.scripts import problems


def test_every_function_that_a_graph_may_call_stands_alone() -> None:
    used = Definitions()
    used.add(*LOSSES.values(), *GATES.values(), *COMBINES.values(), *networks.NETWORKS.values())
    used.imports.add("from __future__ import annotations")
    text = f"{import_block(used.imports)}\n\n\n" + "\n\n\n".join(used.texts.values()) + "\n"
    assert "ktgdsl" not in text
    assert "computes_" not in text
    assert problems(text) == ""
    exec(compile(text, "all.py", "exec"), found := {"__name__": "alone"})
    for function in (*LOSSES.values(), *GATES.values(), *COMBINES.values()):
        assert callable(found[used.name(function)])


def test_what_is_used_comes_with_it_and_before_it() -> None:
    used = Definitions()
    used.add(losses.kl_label)
    assert [*used.names.values()] == ["kl_label", "ce", "full"]
    assert [text.split("(")[0] for text in used.texts.values()] == [
        "def full",
        "def ce",
        "def kl_label",
    ]
    assert used.imports == {
        "import torch",
        "from torch import Tensor",
        "from torch.nn.functional import nll_loss",
    }


def test_no_annotation_is_quoted_and_no_method_left_that_nobody_calls() -> None:
    used = Definitions()
    used.add(Augment, networks.ResNet)
    text = "\n".join(used.texts.values())
    assert "-> AugmentDraws:" in text
    assert "before_relu" not in text
    assert "from ktgdsl" not in import_block(used.imports)


def test_imports_are_merged_and_sorted() -> None:
    lines = {"import torch", "import math", "from torch import nn", "from torch import Tensor"}
    assert import_block(lines) == "import math\n\nimport torch\nfrom torch import Tensor, nn"


def test_long_lines_are_broken_at_commas_and_clauses() -> None:
    names = [f"name_{number}" for number in range(20)]
    call, total = (
        f"    found = call({', '.join(names)})",
        f"x = [{' + '.join(names)} for each in y]",
    )
    broken = wrapped(f"{call}\n{total}")
    assert max(map(len, wrapped(call).split("\n"))) <= WIDTH
    assert ast.dump(ast.parse(wrapped(call).strip())) == ast.dump(ast.parse(call.strip()))
    assert ast.dump(ast.parse(wrapped(total))) == ast.dump(ast.parse(total))
    assert "    for each in y\n]" in broken
    assert wrapped("short(a, b)") == "short(a, b)"
    signature = f"def f({', '.join(names[:10])}) -> dict[str, Tensor]:"
    assert wrapped(signature).split("\n")[::2] == ["def f(", ") -> dict[str, Tensor]:"]


def test_literals_have_double_quotes() -> None:
    assert literal({"a": ("b",), "c": [1.5, None]}) == '{"a": ("b",), "c": [1.5, None]}'
