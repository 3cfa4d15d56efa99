"""Random streams by name, so that one part of a run never changes what another draws."""

import hashlib


def derive(seed: int, *parts: str | int) -> int:
    """A 63-bit seed for the stream that `parts` names, e.g. `derive(0, "initial", "a")`.

    Streams of different names are independent, and a stream does not depend on which
    others exist.
    """
    name = "\x1f".join(str(part) for part in (seed, *parts))
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") >> 1
