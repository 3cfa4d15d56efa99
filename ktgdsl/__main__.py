"""`python -m ktgdsl` is `ktgc`."""

import sys

from ktgdsl.cli import main

sys.exit(main())
