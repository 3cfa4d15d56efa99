"""Misspelt names: what was probably meant."""

from collections.abc import Collection


def closest(word: str, candidates: Collection[str]) -> str | None:
    """The candidate that a misspelt word most probably meant, or None."""
    import difflib  # only a mistake needs it

    folded = {candidate.casefold(): candidate for candidate in sorted(candidates)}
    if word.casefold() in folded:
        return folded[word.casefold()]
    matches = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=0.6)
    return folded[matches[0]] if matches else None
