"""Names in help texts: the one that was probably meant, and which there are."""

from collections.abc import Collection, Iterable


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


def listed(names: Iterable[str]) -> str:
    """Names in a sentence."""
    return ", ".join(f"`{name}`" for name in names)


def there_are(names: Collection[str]) -> str:
    """Which names there are, at least one, as part of a sentence."""
    return f"there {'is' if len(names) == 1 else 'are'} {listed(names)}"
