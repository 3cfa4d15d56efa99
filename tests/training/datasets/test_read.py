"""The lookup of data sets."""

from ktgdsl.training.datasets.read import READERS
from ktgdsl.vocabulary.registry import words


def test_every_data_set_of_the_language_has_a_reader() -> None:
    assert sorted(READERS) == words("dataset")
