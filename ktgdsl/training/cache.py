"""Where what can be had again is kept: pre-trained weights and downloaded data."""

import os
from pathlib import Path


def cache_root() -> Path:
    """$KTGDSL_CACHE, else ktgdsl in $XDG_CACHE_HOME or in ~/.cache. RuntimeError without a home."""
    if own := os.environ.get("KTGDSL_CACHE"):
        return Path(own).expanduser()
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared) / "ktgdsl"
    return Path.home() / ".cache" / "ktgdsl"
