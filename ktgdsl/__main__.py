"""`python -m ktgdsl` is `ktgc`."""

import sys

from ktgdsl.cli.main import command

sys.exit(command())
