"""Tiny-ImageNet: its layout, and files that are missing or damaged."""

from pathlib import Path

import pytest
import torch

from tests import lookalikes
from tests.training.datasets.plans import TINY, data_of, error_of, loaded


class TestTinyImagenet:
    def test_the_published_layout(self, tmp_path: Path) -> None:
        lookalikes.tiny_imagenet(tmp_path)
        for root in (tmp_path, tmp_path / "tiny-imagenet-200"):
            splits = loaded(data_of("tiny_imagenet", root, 12, 4, **TINY))
            assert splits.train.image.shape == (12, 3, 64, 64)
            assert splits.train.label.tolist() == [0] * 6 + [1] * 6
            # The class that wnids.txt names first comes second in the alphabet.
            assert splits.test.label.tolist() == [1, 0, 1, 0]
            grey = splits.test.image[3]
            assert torch.equal(grey, torch.full((3, 64, 64), 128, dtype=torch.uint8))
            red = splits.train.image[:, 0].float().mean(dim=(1, 2))
            assert torch.allclose(red, torch.tensor([200.0] * 6 + [0.0] * 6), atol=3)

    @pytest.mark.parametrize(
        "lost", ["wnids.txt", "val/val_annotations.txt", "val/images/val_2.JPEG"]
    )
    def test_missing_files_are_named(self, tmp_path: Path, lost: str) -> None:
        lookalikes.tiny_imagenet(tmp_path)
        (tmp_path / "tiny-imagenet-200" / lost).unlink()
        error = error_of(data_of("tiny_imagenet", tmp_path, 12, 4, **TINY))
        assert f"tiny-imagenet-200/{lost}" in error.message
        assert error.help is not None
        assert "tiny-imagenet-200.zip" in error.help

    def test_a_missing_training_image_is_an_error(self, tmp_path: Path) -> None:
        classes = lookalikes.tiny_imagenet(tmp_path)
        inner = tmp_path / "tiny-imagenet-200" / "train" / classes[0] / "images"
        next(inner.iterdir()).unlink()
        error = error_of(data_of("tiny_imagenet", tmp_path, 12, 4, **TINY))
        assert "train has 11 images and 11 labels of 12" in error.message

    def test_a_damaged_image_is_named(self, tmp_path: Path) -> None:
        classes = lookalikes.tiny_imagenet(tmp_path)
        file = tmp_path / "tiny-imagenet-200" / "train" / classes[1] / "images"
        file /= f"{classes[1]}_4.JPEG"
        file.write_bytes(file.read_bytes()[:200])
        error = error_of(data_of("tiny_imagenet", tmp_path, 12, 4, **TINY))
        assert f"the image {file} cannot be read" in error.message

    def test_a_table_with_an_unknown_class_is_damaged(self, tmp_path: Path) -> None:
        lookalikes.tiny_imagenet(tmp_path)
        table = tmp_path / "tiny-imagenet-200" / "val" / "val_annotations.txt"
        table.write_text("val_0.JPEG\tn09999999\t0\t0\t1\t1\n")
        error = error_of(data_of("tiny_imagenet", tmp_path, 12, 4, **TINY))
        assert str(table) in error.message
        assert "n09999999" in error.message
