"""`python -m ktgdsl` is `ktgc`."""

import sys

from ktgdsl.cli import command

sys.exit(command())
