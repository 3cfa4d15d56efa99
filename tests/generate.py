"""Hypothesis strategies for specs that mean something."""

from hypothesis import strategies as st

NAMES = ["a", "b", "c", "d"]
NETWORKS = ["resnet8", "resnet14", "wrn10_1", "wrn(10, 2, dropout=0.25)", "resnet(8, width=4)",
            'python("m:f", width=3)']  # fmt: skip
GATES = ["through", "cutoff", "linear", "correct", "linear(1, 0)", "until(60%)", "after(3)",
         "rampup(80)", "cosine(0, 2)", "0.5"]  # fmt: skip
GATES_OF_VIEWS = ["stable(0.5)", "steadier"]
LOSSES = ["kl", "kl(T=4)", "reverse_kl(T=2, scale=1)", "js", "mse", "cosine_distance",
          "mse(on=probabilities)"]  # fmt: skip
OPTIMIZERS = ["sgd", "sgd(lr=0.5, momentum=0.9, nesterov=true)", "adamw(betas=[0.8, 0.99])",
              "adam(weight_decay=0.1)"]  # fmt: skip
SCHEDULES = ["constant(warmup=2)", "step(every=30%, gamma=0.5)", "multistep(at=[10, 60%])",
             "cosine(minimum=0.01, warmup=5%)", "cosine(by=epoch)", "exponential(0.9)",
             "plateau(patience=2, cooldown=1)"]  # fmt: skip
FOLLOWERS = ["ema({})", "ema({}, decay=0.5, warmup=false, buffers=average)", "copy({}, every=3)",
             "copy({}, buffers=own)"]  # fmt: skip
SETTINGS = {
    "epochs": st.integers(1, 300),
    "optimizer": st.sampled_from(OPTIMIZERS),
    "schedule": st.sampled_from(SCHEDULES),
    "seed": st.integers(0, 2**40),
    "repeats": st.integers(1, 5),
    "aggregate": st.sampled_from(["sum", "mean"]),
    "reduce": st.sampled_from(["mean", "active", "sum"]),
    "clip": st.floats(0.001, 1e6).map(repr),
    "checkpoint": st.integers(1, 9) | st.sampled_from(["1 step", "500 steps"]),
}
DATA = {
    "batch": st.integers(1, 2000),
    "validation": st.one_of(st.integers(1, 1296), st.sampled_from(["20%", "12.5%"])),
    "holdout": st.sampled_from(["true", "false"]),
    "drop_last": st.sampled_from(["true", "false"]),
    "evaluation_batch": st.integers(1, 5000),
}


def gates(words: list[str]) -> st.SearchStrategy[str]:
    """Gates made of some words."""
    return st.recursive(
        st.sampled_from(words),
        lambda inner: (
            st.builds("({} {} {})".format, inner, st.sampled_from("*+"), inner)
            | st.builds("{} / 3".format, inner)
        ),
        max_leaves=5,
    )


losses = st.recursive(
    st.sampled_from(LOSSES),
    lambda inner: (
        st.builds("({} {} {})".format, inner, st.sampled_from("+-"), inner)
        | st.builds("0.3 * {}".format, inner)
    ),
    max_leaves=4,
)


@st.composite
def specs(draw: st.DrawFn) -> str:
    """A sound spec: its target `a` learns from the labels, and everything else is random."""
    networks = {name: draw(st.sampled_from(NETWORKS)) for name in NAMES}
    lines = [f"node {name} = {network}" for name, network in networks.items()]
    lines += ["target a", "edge label -> * : ce"]
    views = draw(st.booleans())
    weights = gates([*GATES, *(GATES_OF_VIEWS if views else ())])
    if draw(st.booleans()):
        lines.append(f"edge * -> * : {draw(losses)} via {draw(weights)}")
    if views:
        lines.append(f"edge a -> a : {draw(losses)} via {draw(weights)}")
    pair = st.permutations(NAMES).map(lambda names: (names[0], names[1]))
    for source, destination in draw(st.lists(pair, max_size=5, unique=True)):
        terms = draw(st.lists(st.tuples(losses, weights), min_size=1, max_size=3))
        written = ", ".join(f"{loss} via {gate}" for loss, gate in terms)
        lines.append(f"edge {source} -> {destination} : {written}")
    for name in draw(st.lists(st.sampled_from("ef"), unique=True)):
        rule, followed = draw(st.sampled_from(FOLLOWERS)), draw(st.sampled_from(NAMES))
        lines.append(f"node {name} = {rule.format(followed)}")
        lines.append(f"edge {name} -> a : {draw(losses)} via {draw(weights)}")
    alike = [name for name, network in networks.items() if network == networks["a"]]
    if len(alike) > 1 and "python" not in networks["a"] and draw(st.booleans()):
        layers = draw(st.sampled_from(["stem", "stem, stage1"]))
        lines.append(f"share {', '.join(alike)} {{ layers = [{layers}] grad = mean }}")
    train = draw(st.fixed_dictionaries({}, optional=SETTINGS))
    data = draw(st.fixed_dictionaries({}, optional=DATA))
    data |= {"augment": "paper", "views": 2} if views else {}
    blocks = [
        f"{head} {{ {' '.join(f'{name} = {value}' for name, value in settings.items())} }}"
        for head, settings in (("data digits", data), ("train", train))
    ]
    return "\n".join(["graph g {", *lines, "}", *blocks])
