"""Where the tests and what they read lie."""

from pathlib import Path

TESTS = Path(__file__).parent
ROOT = TESTS.parent
SPECS = ROOT / "specs"
