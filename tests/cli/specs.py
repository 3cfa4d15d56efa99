"""Specs that several tests of the command line use."""

from tests.paths import ROOT

DML3 = str(ROOT / "specs" / "dml3.ktg")
TYPO = "graph g { node a = resnet8 target a edge label -> a : ce via lineer }"
DROPPED = "graph g { node a, b = resnet8 target a edge label -> * }"
UGLY = "# mine\ngraph g {node a=resnet8\ntarget a edge label->a}"
