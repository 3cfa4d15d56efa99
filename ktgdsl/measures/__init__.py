"""Measures of classification: counts of answers, and what follows from them."""
