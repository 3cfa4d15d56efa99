"""`folder("path")`: classes, facts, and images that do not fit."""

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import ktgdsl
from ktgdsl.compiler import compile_source
from ktgdsl.diagnostics.source import Source
from ktgdsl.errors import KtgWarning
from ktgdsl.plan.model import Call, Percent, Plan
from ktgdsl.training.datasets.read import complete
from ktgdsl.training.run_folder import RunFolder
from tests import lookalikes
from tests.plans import tiny_plan
from tests.training.datasets.plans import error_of, folder_data, loaded, user_data


class TestFolder:
    def test_the_facts_are_looked_up(self, tmp_path: Path) -> None:
        lookalikes.folder(tmp_path / "set")
        plan = tiny_plan().model_copy(update={"data": folder_data(tmp_path)})
        facts = complete(plan).data.known_facts
        assert facts.classes == 3
        assert facts.shape == (3, 9, 10)
        assert (facts.train_samples, facts.test_samples) == (15, 6)

    def test_classes_are_in_the_order_of_their_names(self, tmp_path: Path) -> None:
        lookalikes.folder(tmp_path / "set", mode="L")
        splits = loaded(folder_data(tmp_path))
        assert splits.train.image.shape == (15, 1, 9, 10)
        assert splits.train.label.tolist() == [0] * 4 + [1] * 5 + [2] * 6
        assert splits.test.image[:, 0, 0, 0].tolist() == [1, 6, 51, 56, 101, 106]

    def test_a_percentage_of_them_is_held_out(self, tmp_path: Path) -> None:
        lookalikes.folder(tmp_path / "set")
        data = folder_data(
            tmp_path, validation=Percent(percent=20), holdout=True, labeled=Percent(percent=40)
        )
        splits = loaded(data)
        assert splits.validation is not None
        assert splits.validation.label.bincount().tolist() == [1, 1, 1]
        assert len(splits.train) == 12
        assert int((splits.train.label >= 0).sum()) == 6

    def test_an_image_of_another_size_is_named(self, tmp_path: Path) -> None:
        lookalikes.folder(tmp_path / "set")
        odd = tmp_path / "set" / "train" / "bee" / "7.png"
        Image.new("RGB", (10, 10)).save(odd)
        error = error_of(folder_data(tmp_path))
        assert error.message.startswith(f"the image {odd} has 10x10 pixels, and ")
        assert error.message.endswith(
            "9x10: all images of a data set have the same size, unless `resize` gives them one"
        )

    def test_a_file_that_is_no_image_is_named(self, tmp_path: Path) -> None:
        lookalikes.folder(tmp_path / "set")
        bad = tmp_path / "set" / "test" / "cat" / "7.png"
        bad.write_text("no image")
        assert f"the image {bad} cannot be read" in error_of(folder_data(tmp_path)).message

    def test_missing_files_are_named(self, tmp_path: Path) -> None:
        assert "there is no folder of images" in error_of(folder_data(tmp_path)).message
        (tmp_path / "set").mkdir()
        assert "there is no folder " in error_of(folder_data(tmp_path)).message
        (tmp_path / "set" / "train").mkdir()
        assert "there is no folder of a class" in error_of(folder_data(tmp_path)).message
        (tmp_path / "set" / "train" / "ant").mkdir()
        (tmp_path / "set" / "test" / "ant").mkdir(parents=True)
        message = error_of(folder_data(tmp_path)).message
        assert message == f"there is no image in {tmp_path / 'set' / 'train' / 'ant'}"
        (tmp_path / "set" / "test" / "bee").mkdir()
        assert "the class `bee`" in error_of(folder_data(tmp_path)).message

    def test_what_systems_add_is_neither_an_image_nor_a_class(self, tmp_path: Path) -> None:
        lookalikes.folder(tmp_path / "set")
        train = tmp_path / "set" / "train"
        for name in (".git", "__MACOSX", "@eaDir"):
            (train / name).mkdir()
            Image.new("RGB", (10, 9)).save(train / name / "0.png")
        (train / "__MACOSX" / "ant").mkdir()
        (train / "ant" / "._0.png").write_bytes(b"a resource fork")
        (train / "ant" / ".cache").mkdir()
        (train / "ant" / ".cache" / "0.png").write_bytes(b"hidden")
        (train / "ant" / "Thumbs.db").write_bytes(b"of Windows")
        (train / "Thumbs.db").write_bytes(b"of Windows")
        splits = loaded(folder_data(tmp_path))
        assert splits.classes == ("ant", "bee", "cat")
        assert splits.train.label.tolist() == [0] * 4 + [1] * 5 + [2] * 6

    def test_a_linked_folder_is_followed_once(self, tmp_path: Path) -> None:
        lookalikes.folder(tmp_path / "set")
        ant = tmp_path / "set" / "train" / "ant"
        (tmp_path / "elsewhere").mkdir()
        Image.new("RGB", (10, 9), (99, 0, 255)).save(tmp_path / "elsewhere" / "0.png")
        (ant / "more").symlink_to(tmp_path / "elsewhere")
        (ant / "again").symlink_to(tmp_path / "elsewhere")
        (ant / "around").symlink_to(ant)
        splits = loaded(folder_data(tmp_path))
        assert splits.train.label.tolist() == [0] * 5 + [1] * 5 + [2] * 6
        assert sorted(splits.train.image[:5, 0, 0, 0].tolist()) == [0, 5, 10, 15, 99]

    @pytest.mark.parametrize(
        ("link", "target", "expected"),
        [
            ("train/bee/more", "../ant", "4 images are of two classes"),
            ("train/bee/all", "..", "10 images are of two classes"),
            ("train/dog", "cat", "6 images are of two classes"),
            ("train/bee/9.png", "../ant/0.png", "1 image is of two classes"),
            ("test/bee/more", "../../train/bee", "5 images are to train on and to test on"),
        ],
    )
    def test_a_link_that_makes_two_samples_of_an_image_is_named(
        self, tmp_path: Path, link: str, target: str, expected: str
    ) -> None:
        lookalikes.folder(tmp_path / "set")
        place = tmp_path / "set" / link
        place.symlink_to(target)
        with pytest.warns(KtgWarning) as caught:
            loaded(folder_data(tmp_path))
        (each,) = (each.message for each in caught)
        assert isinstance(each, KtgWarning)
        assert each.diagnostic.code == "W307"
        assert str(each).startswith(f"{expected}, such as {place}")
        assert str(each).endswith(f" by the link {place}")

    @pytest.mark.parametrize("place", ["train/ant/7.png", "train/ant/more", "train/dog"])
    def test_a_link_that_leads_nowhere_is_named(self, tmp_path: Path, place: str) -> None:
        lookalikes.folder(tmp_path / "set")
        (tmp_path / "set" / place).symlink_to("gone")
        message = error_of(folder_data(tmp_path)).message
        expected = f"the link {tmp_path / 'set' / place} leads to gone, which is not there"
        assert message == expected

    def test_a_tilde_is_the_home(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        lookalikes.folder(tmp_path / "home" / "set")
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        source = Source(
            "s.ktg",
            "graph g { node a = resnet8 target a edge label -> a }\n"
            'data folder("set") { root = "~" }',
        )
        plan = compile_source(source, tmp_path / "spec").plan
        assert plan is not None
        assert plan.data.root == str(tmp_path / "home")
        call = Call(name="folder", arguments={"path": "~/set"})
        assert loaded(user_data(call, tmp_path)).classes == ("ant", "bee", "cat")

    def test_images_of_different_sizes_are_resized(self, tmp_path: Path) -> None:
        lookalikes.folder(tmp_path / "set")
        odd = tmp_path / "set" / "train" / "bee" / "7.png"
        Image.new("RGB", (20, 33), (7, 0, 255)).save(odd)
        data = folder_data(tmp_path, resize=(6, 8))
        splits = loaded(data)
        assert splits.train.image.shape == (16, 3, 6, 8)
        assert set(splits.train.image[9, 0].flatten().tolist()) == {7}
        plan = complete(tiny_plan().model_copy(update={"data": data})).data
        assert plan.shape == plan.known_facts.shape == (3, 6, 8)

    def test_transparent_images_are_asked_about(self, tmp_path: Path) -> None:
        lookalikes.folder(tmp_path / "set")
        clear = tmp_path / "set" / "train" / "bee" / "7.png"
        Image.new("RGBA", (10, 9), (200, 100, 50, 0)).save(clear)
        with pytest.warns(KtgWarning) as caught:
            splits = loaded(folder_data(tmp_path))
        assert str(caught[0].message) == (
            f"1 of 22 images have transparent parts, such as {clear}: these are black"
        )
        assert not splits.train.image[9].any()

    def test_the_classes_that_the_user_expects_have_to_be_there(self, tmp_path: Path) -> None:
        lookalikes.folder(tmp_path / "set")
        error = error_of(folder_data(tmp_path, classes_expected=4))
        assert error.message.endswith("have 3 classes, not 4")

    def test_more_than_there_is_cannot_be_held_out(self, tmp_path: Path) -> None:
        lookalikes.folder(tmp_path / "set")
        error = error_of(folder_data(tmp_path, validation=15, holdout=True))
        assert "`validation` takes 15 of the training samples" in error.message

    @pytest.mark.usefixtures("forked_workers")
    def test_a_spec_is_run_and_searched(self, tmp_path: Path) -> None:
        lookalikes.folder(tmp_path / "set")
        spec = tmp_path / "spec.ktg"
        text = (
            "graph g { node a = resnet8 target a edge label -> a }\n"
            'data folder("set") { batch = 4  augment = standard }\n'
            "train { epochs = 1 }"
        )
        spec.write_text(text)
        plan = ktgdsl.load(spec)
        assert plan.data.facts is None
        result = ktgdsl.run(plan, out=tmp_path / "out", device="cpu")
        kept = Plan.from_json((tmp_path / "out" / "plan.json").read_text())
        assert kept.data.known_facts.train_samples == 15
        assert kept.digest == result.digest != plan.digest
        assert RunFolder(tmp_path / "out").classes() == ("ant", "bee", "cat")
        network: Any = ktgdsl.load_network(tmp_path / "out", "a")
        assert network.class_names == ("ant", "bee", "cat")
        assert network(torch.rand(1, *kept.data.shape)).shape == (1, 3)
        spec.write_text(text.replace("resnet8", "resnet8 | resnet14") + " search { trials = 2 }")
        found = ktgdsl.search(ktgdsl.load(spec), out=tmp_path / "found", workers=1, device="cpu")
        assert found.result.states == {"complete": 2}
        assert found.best.data.known_facts.classes == 3
