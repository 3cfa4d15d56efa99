"""Curves of runs: what was recorded by epoch, as charts in a terminal, as SVG and as PNG."""
