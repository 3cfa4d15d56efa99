"""Misspelt names: what was probably meant."""

from collections.abc import Collection


def closest(word: str, candidates: Collection[str], cutoff: float = 0.6) -> str | None:
    """The candidate that a misspelt word most probably meant, or None.

    `cutoff` is how alike they are at least, from 0 to 1 as of `difflib`.
    """
    import difflib  # only a mistake needs it

    folded = {candidate.casefold(): candidate for candidate in sorted(candidates)}
    if word.casefold() in folded:
        return folded[word.casefold()]
    matches = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=cutoff)
    return folded[matches[0]] if matches else None
