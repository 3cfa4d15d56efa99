"""`python -m tests.fuzz.guided TARGET`: inputs that reach new code are changed further.

Needs `pip install atheris`. Options are those of libFuzzer, such as `-max_total_time=600`. It finds
what takes several changes at once. It ends at the first failure; `crash-...` has its input.
"""

import sys
from pathlib import Path
from random import Random

import atheris

with atheris.instrument_imports(include=["ktgdsl"]):
    from tests.fuzz.campaign import failure
    from tests.fuzz.targets import TARGETS

SEEDS = 300


def main() -> None:
    """Fuzz a target until it fails or an option of libFuzzer ends it."""
    name, *options = sys.argv[1:]
    target = TARGETS[name]
    corpus = Path("runs/fuzz") / f"corpus-{name}"
    corpus.mkdir(parents=True, exist_ok=True)
    for number in range(SEEDS):
        text = target.make(Random(f"{name} 0 {number}"))
        (corpus / str(number)).write_bytes(text.encode("utf-8", "surrogatepass"))

    def judge(content: bytes) -> None:
        how, _ = failure(target, content.decode("utf-8", "surrogateescape"))
        if how is not None:
            raise AssertionError(how)

    atheris.Setup([sys.argv[0], "-max_len=1000", *options, str(corpus)], judge)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
