"""A plan as a Python script that stands alone: it trains to the same weights without ktgdsl."""
