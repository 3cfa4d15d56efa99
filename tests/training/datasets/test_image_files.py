"""Images of all modes and orientations are decoded to what an image viewer shows."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ktgdsl.training.datasets.errors import UnreadableError
from ktgdsl.training.datasets.image_files import ImageFiles, pixels
from ktgdsl.training.datasets.image_headers import read_headers

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def decoded(path: Path) -> list[Any]:
    """The pixels of the file, which has the size that its header says."""
    headers = read_headers([path])
    image = ImageFiles([path], headers.channels, headers.size)[0]
    rows: list[Any] = image.permute(1, 2, 0).squeeze(2).tolist()
    return rows


def array(rows: list[Any], kind: str) -> Image.Image:
    return Image.fromarray(np.array(rows, dtype=kind))


@pytest.mark.parametrize(
    ("image", "ending", "expected"),
    [
        (array([[0, 255]], "uint8").convert("1"), "png", [[0, 255]]),
        (array([[0, 128, 65535]], "uint16"), "png", [[0, 0, 255]]),
        (array([[257, 32896, 65407]], "uint16"), "tif", [[1, 128, 255]]),
        (array([[0, 65535]], "int32"), "tif", [[0, 255]]),
        (array([[0.0, 0.5, 1.0]], "float32"), "tif", [[0, 128, 255]]),
        (Image.new("CMYK", (1, 1), (0, 255, 255, 0)), "tif", [[[255, 0, 0]]]),
        (Image.new("RGB", (1, 1), RED).quantize(2), "png", [[[255, 0, 0]]]),
        (Image.new("LA", (1, 1), (200, 255)), "png", [[200]]),
        (Image.new("LA", (1, 1), (200, 51)), "png", [[40]]),
        (Image.new("RGBA", (1, 1), (200, 100, 50, 51)), "png", [[[40, 20, 10]]]),
        (Image.new("RGBA", (1, 1), (200, 100, 50, 0)), "png", [[[0, 0, 0]]]),
    ],
)  # fmt: skip
def test_modes(tmp_path: Path, image: Image.Image, ending: str, expected: list[Any]) -> None:
    path = tmp_path / f"image.{ending}"
    image.save(path)
    assert decoded(path) == expected


def test_a_transparent_colour_is_black(tmp_path: Path) -> None:
    palette = Image.new("P", (2, 1))
    palette.putpalette([*RED, *GREEN])
    palette.putpixel((1, 0), 1)
    palette.save(tmp_path / "palette.png", transparency=1)
    assert decoded(tmp_path / "palette.png") == [[[255, 0, 0], [0, 0, 0]]]
    array([[7, 9]], "uint8").save(tmp_path / "grey.png", transparency=9)
    assert decoded(tmp_path / "grey.png") == [[7, 0]]
    assert read_headers([tmp_path / "palette.png"]).transparent == (tmp_path / "palette.png",)
    Image.new("RGB", (2, 1)).save(tmp_path / "plain.png")
    assert read_headers([tmp_path / "plain.png"]).transparent == ()


@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "webp"])
@pytest.mark.parametrize(
    ("orientation", "expected"),
    [
        (1, [[1, 2, 3], [4, 5, 6]]),
        (2, [[3, 2, 1], [6, 5, 4]]),
        (3, [[6, 5, 4], [3, 2, 1]]),
        (4, [[4, 5, 6], [1, 2, 3]]),
        (5, [[1, 4], [2, 5], [3, 6]]),
        (6, [[4, 1], [5, 2], [6, 3]]),
        (7, [[6, 3], [5, 2], [4, 1]]),
        (8, [[3, 6], [2, 5], [1, 4]]),
    ],
)
def test_the_orientation_tag(
    tmp_path: Path, orientation: int, expected: list[list[int]], ending: str
) -> None:
    # Blocks of 8 x 8 pixels, which JPEG keeps apart.
    blocks = np.kron(np.array([[1, 2, 3], [4, 5, 6]]) * 40, np.ones((16, 16))).astype("uint8")
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"image.{ending}"
    Image.fromarray(blocks).convert("RGB").save(path, exif=exif)
    shown = np.array(decoded(path))[::16, ::16, 0]
    assert (np.rint(shown / 40) == expected).all()


@pytest.mark.parametrize(
    ("rows", "kind", "message"),
    [
        ([[0, 65536]], "int32", "its pixels are from 0 to 65536, and black is 0, white 65535"),
        ([[-1, 5]], "int32", "its pixels are from -1 to 5"),
        ([[0, 255]], "float32", "its pixels are from 0 to 255, and black is 0, white 1"),
        ([[0, float("nan")]], "float32", "its pixels are from nan to nan"),
    ],
)
def test_how_bright_pixels_are_is_not_guessed(rows: list[Any], kind: str, message: str) -> None:
    with pytest.raises(UnreadableError) as caught:
        pixels(array(rows, kind))
    assert str(caught.value).startswith(message)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [12, 20])
def test_more_pixels_than_pillow_allows_are_not_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, side: int
) -> None:
    path = tmp_path / "bomb.png"
    Image.new("L", (side, side)).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 128)
    for read in (lambda: read_headers([path]), lambda: ImageFiles([path], 1)[0]):
        with pytest.raises(UnreadableError, match=f"the image {path} cannot be read"):
            read()


def test_grey_files_of_all_kinds_are_one_channel(tmp_path: Path) -> None:
    kinds = {"a.png": "L", "b.png": "LA", "c.png": "I;16", "d.png": "1", "e.tif": "F"}
    for name, mode in kinds.items():
        Image.new(mode, (3, 2)).save(tmp_path / name)
    paths = [tmp_path / name for name in kinds]
    assert (read_headers(paths).channels, read_headers(paths).size) == (1, (2, 3))
    Image.new("RGB", (3, 2)).save(tmp_path / "f.png")
    assert read_headers([*paths, tmp_path / "f.png"]).channels == 3
    assert ImageFiles(paths, 3, (2, 3)).__getitems__([0, 1, 2, 3, 4]).shape == (5, 3, 2, 3)
