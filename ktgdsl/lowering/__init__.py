"""Checked tree to plan: names, nodes, edges, terms, blocks, phases and passes. No torch."""
