"""All that reads text of anybody's, by name."""

from functools import partial
from random import Random

from ktgdsl.compiler import compile_source
from ktgdsl.diagnostics.source import Source
from tests.fuzz import folders, front, plans, specs, tables
from tests.fuzz.campaign import Target
from tests.mutate import MUTATIONS, STRANGE, VALUES, WORDS

_OVERRIDDEN = """
let T = 4
graph g {
    node a, b = resnet8
    node c[2] = wrn10_1 { frozen = true }
    node m = ensemble(a, b)
    target a
    edge label, b, m -> a : kl(T=T) via linear
    edge c -> a
}
data digits { batch = 8 }
train { epochs = 2  optimizer = sgd(lr=0.1) }
phase p { learn = [a] }
search { trials = 3 }
"""
_PATHS = (
    "data", "data.batch", "data.root", "train", "train.epochs", "train.optimizer", "train.stop",
    "train.metrics", "pretrain.epochs", "phase.p.epochs", "phase.p.learn", "let.T", "let.U",
    "node.a", "node.a.weights", "node.a.frozen", "node.c", "node.c[0]", "node.c[0].device",
    "node.m", "search.objective", "search.trials", "graph", "edge.a", "target", "", "a.b.c.d",
)  # fmt: skip
_BETWEEN = "\n--set "


def _overrides(random: Random) -> str:
    """One or two overrides, as they follow `--set`."""
    settings = []
    for _ in range(random.choice((1, 1, 1, 2))):
        pool = VALUES if random.random() < 0.7 else (*VALUES, *WORDS, *STRANGE)
        words = random.choices(pool, k=random.choice((1, 1, 1, 1, 2, 4)))
        setting = f"{random.choice(_PATHS)}={' '.join(words)}"
        for _ in range(random.choice((0, 0, 0, 1, 2))):
            setting = random.choice(MUTATIONS)(random, setting)
        settings.append(setting)
    return _BETWEEN.join(settings)


def _judge_overrides(text: str) -> bool:
    source = Source("spec.ktg", _OVERRIDDEN)
    compiled = compile_source(source, front.NOWHERE, text.split(_BETWEEN))
    front.judge_compiled(compiled)
    if compiled.plan is not None:
        plans.show(compiled.plan)
    return compiled.plan is not None


TARGETS = {
    "parser": Target(front.text, front.judge),
    "plan": Target(specs.spec, plans.judge),
    "set": Target(_overrides, _judge_overrides),
    "table": Target(tables.text, tables.judge),
    "metrics": Target(folders.metrics_file, partial(folders.judge, f"run/{folders.METRICS}")),
    **{
        file.replace("/", "-").removesuffix(".json"): Target(
            partial(folders.json_file, file), partial(folders.judge, file)
        )
        for file in (
            *(f"run/{each}" for each in (folders.PLAN, folders.RESULT, folders.ENVIRONMENT)),
            f"run/{folders.CLASSES}", f"search/{folders.PLAN}", f"search/{folders.RESULT}",
        )
    },
}  # fmt: skip
