"""Files that carry the digest of their content: what comes back, and damage anywhere in them."""

import json

import pytest

from ktgdsl.files import seal, sealed_json, sha256, unsealed, unsealed_json

CONTENT = {"a": [1, 2.5, None], "b": {"sha256": "inner", "é": "x, y"}}


def test_a_digest_is_that_of_sha256sum() -> None:
    assert sha256(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_what_was_sealed_comes_back() -> None:
    text = sealed_json(CONTENT)
    assert unsealed_json(text) == (CONTENT, True)
    assert json.loads(text) == {**CONTENT, "sha256": json.loads(text)["sha256"]}
    content = bytes(range(200))
    assert bytes(unsealed(content + seal(content))) == content


def test_json_without_a_digest_is_told_apart() -> None:
    assert unsealed_json(json.dumps(CONTENT)) == (CONTENT, False)


@pytest.mark.parametrize("text", ["", "[]", "{", '"sha256"', '{"sha256": "0"}'])
def test_what_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # the reader of JSON has messages of its own
        unsealed_json(text)


def flips(content: bytes) -> list[bytes]:
    """The content with each of its bits flipped, one at a time."""
    number = int.from_bytes(content, "big")
    return [(number ^ 1 << at).to_bytes(len(content), "big") for at in range(8 * len(content))]


def test_no_flipped_bit_of_json_passes() -> None:
    for flipped in flips(sealed_json(CONTENT).encode()):
        try:
            content, is_sealed = unsealed_json(flipped.decode())
        except ValueError:
            continue
        # The name of the digest was hit, and whoever needs one refuses such a file.
        assert not is_sealed
        assert content != CONTENT


def test_no_flipped_bit_of_a_binary_file_passes() -> None:
    content = b"some bytes of a checkpoint"
    for flipped in [*flips(content + seal(content)), b"", content, seal(content)[1:]]:
        with pytest.raises(ValueError, match="is not what was written"):
            unsealed(flipped)
