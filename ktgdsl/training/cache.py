"""The cache folder, for pre-trained weights, downloaded data and compiled code."""

import os
from pathlib import Path


def cache_root() -> Path:
    """$KTGDSL_CACHE, else ktgdsl in $XDG_CACHE_HOME or in ~/.cache. RuntimeError without a home."""
    if folder := os.environ.get("KTGDSL_CACHE"):
        return Path(folder).expanduser()
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared) / "ktgdsl"
    return Path.home() / ".cache" / "ktgdsl"
