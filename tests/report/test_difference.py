"""`difference`: where two plans differ in meaning."""

import ktgdsl
from ktgdsl.report.difference import difference


def cohort(target: str, one: str, other: str) -> ktgdsl.Plan:
    return ktgdsl.loads(
        f"""graph g {{
            node {target}, {one} = resnet8 node {other} = resnet14 target {target}
            edge label -> * edge {one} -> {target} : kl via correct
            edge {other} -> {target}, {one} : kl(T=2) via linear
        }}
        train {{ epochs = 3 }}"""
    )


def test_diff_names_what_differs() -> None:
    one = cohort("t", "a", "b")
    other = ktgdsl.loads(
        "graph h { node t, a = resnet8 node b = resnet20 target t edge label -> * "
        "edge a -> t : kl via linear edge b -> t : kl(T=2) via linear } "
        "train { epochs = 4 }"
    )
    rows = [line.split("  ") for line in difference(one, other).splitlines()[1:]]
    assert {row[0].strip() for row in rows} == {
        "node b",
        "edge a -> t",
        "edge b -> a",
        "train.epochs",
    }
    values = {row[0]: [cell.strip() for cell in row[1:] if cell.strip()] for row in rows}
    assert values["train.epochs"] == ["3", "4"]
    assert values["edge a -> t"] == [
        "kl(T=1, scale=1) via correct",
        "kl(T=1, scale=1) via linear(start=0, stop=1)",
    ]
    assert values["edge b -> a"][1] == "-"
    narrow = difference(one, other, ("one.ktg", "other.ktg"), width=60)
    assert "train.epochs\n  one.ktg    3\n  other.ktg  4\n" in narrow
    assert max(map(len, narrow.splitlines())) <= 60


def test_diff_says_when_nothing_differs() -> None:
    one = cohort("t", "a", "b")
    assert difference(one, cohort("t", "a", "b")) == "the same training\n"
    renamed = difference(one, cohort("t", "y", "z"))
    assert renamed.endswith(
        "the same graph: only auxiliary nodes have other names or another order\n"
    )
