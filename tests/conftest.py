"""Settings for the whole suite, made before torch is imported."""

import os

# Threads that spin while they wait make tests crawl where other work shares the cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
