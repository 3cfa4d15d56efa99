"""The page about runs and searches: what it says, and that it is whole and safe."""

import json
import re
import shutil
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from ktgdsl.cli import main as cli
from ktgdsl.errors import KtgWarning, RunError
from ktgdsl.files import sealed_json, sha256, unsealed_json
from ktgdsl.report.curves.charts import of_node
from ktgdsl.report.curves.drawing import COLOURS
from ktgdsl.report.curves.recorded import read_run
from ktgdsl.report.curves.recorded_search import read_search
from ktgdsl.report.page.blocks import (
    Article,
    Block,
    Code,
    Folded,
    Notes,
    Page,
    Paragraph,
    Section,
    Table,
)
from ktgdsl.report.page.figures import DARK
from ktgdsl.report.page.page import page_about
from ktgdsl.report.page.render import html
from ktgdsl.report.page.run_article import run_article
from ktgdsl.report.page.search_article import search_article
from ktgdsl.training.result import HeadResult, NodeResult, Score
from ktgdsl.training.run_folder import RunFolder
from tests.cli.test_terminals import RAW
from tests.report.page.conftest import Written
from tests.report.page.folders import HOSTILE, write_search
from tests.report.recorded import write_run

VOID = {"meta", "link", "br", "img", "hr", "path", "line", "polyline", "polygon", "circle", "rect"}


class Outline(HTMLParser):
    """Elements of a page in order, and whether all of them are closed as they were opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "title"):
            self.texts.append(data.strip())

    def of(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every element with that tag."""
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="session")
def outline(written: Written) -> Outline:
    return Outline(written.html)


def test_the_numbers_are_those_of_the_result(written: Written, outline: Outline) -> None:
    for node in written.run.nodes.values():
        assert node.accuracy.std is not None
        assert f"{node.accuracy.mean:.2f} ± {node.accuracy.std:.2f}" in outline.texts
        for value in node.accuracy.runs:
            assert f"{value:.2f}" in outline.texts
    assert str(written.run.nodes["a"].accuracy) in outline.texts  # the large one


def test_it_has_every_part(outline: Outline) -> None:
    parts = [
        "Result", "Graph", "Curves", "Nodes and the edges into them", "Answers", "Settings",
        "Environment", "Code", "Best graphs", "Rungs", "What matters", "Trials", "Space",
    ]  # fmt: skip
    assert set(parts) <= set(outline.texts)
    captions = {
        "Accuracy of a by class", "Confusion of a: a row for each label, a column for each answer",
        "Versions", "Edges", "train", "The ladder of rungs", "All trials", "Phases",
        "The best graphs, and what the checks say of them", "What differs between them",
    }  # fmt: skip
    assert captions <= set(outline.texts)
    labels = [each["aria-label"] for each in outline.of("svg")]
    assert "open share of the gates into a" in labels
    assert "loss of a, by edge" in labels
    assert "graph page" in labels  # the graph
    assert any("def forward(" in text for text in outline.texts)


def test_a_screen_reader_and_a_keyboard_find_their_way(outline: Outline) -> None:
    assert outline.of("html")[0]["lang"] == "en"
    assert len(outline.of("main")) == 1
    ids = [each["id"] for _, each in outline.elements if "id" in each]
    assert len(ids) == len(set(ids))
    for link in outline.of("a"):
        assert (link["href"] or "").removeprefix("#") in ids
    for _, attributes in outline.elements:
        if attributes.get("aria-labelledby"):
            assert attributes["aria-labelledby"] in ids
        if attributes.get("tabindex") == "0":  # what scrolls has a name and takes the focus
            assert attributes["role"] == "region"
    levels = [int(tag[1]) for tag, _ in outline.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert len(outline.of("caption")) == len(outline.of("table"))
    assert all(each.get("scope") in ("col", "row") for each in outline.of("th"))
    assert all(each.get("role") == "img" and each["aria-label"] for each in outline.of("svg"))
    assert all(each.get("aria-label") for each in outline.of("nav"))


def test_it_names_nothing_that_would_be_loaded(written: Written, outline: Outline) -> None:
    assert "default-src 'none'" in written.html
    assert not outline.of("script")
    assert not outline.of("img")
    named = [
        value or ""
        for _, attributes in outline.elements
        for name, value in attributes.items()
        if name in ("src", "href", "xlink:href", "action", "data")
    ]
    assert all(value.startswith(("#", "data:")) for value in named)
    assert not re.search(r"url\(|@import|https?://", re.sub(r"<pre.*?</pre>", "", written.html))


def test_hostile_names_are_text(written: Written, outline: Outline) -> None:
    assert not RAW.search(written.html)
    assert "alert(1)" in written.html
    assert "<script" not in written.html
    assert not outline.of("b")
    assert any(name.startswith("on") for _, each in outline.elements for name in each) is False


def test_what_a_template_gets_is_escaped_everywhere() -> None:
    table = Table(HOSTILE, (HOSTILE,), ((HOSTILE,),))
    blocks: list[Block] = [
        Paragraph(HOSTILE),
        table,
        Code(HOSTILE, HOSTILE),
        Folded(HOSTILE, [table]),
    ]
    article = Article(HOSTILE, HOSTILE, HOSTILE, HOSTILE, [Section(HOSTILE, blocks)])
    for articles in ([article], [article, article]):
        text = html(Page(HOSTILE, [Section(HOSTILE, blocks)], articles, HOSTILE))
        assert not RAW.search(text)
        assert not Outline(text).of("b")
        assert not Outline(text).of("script")


def test_a_tab_in_code_is_no_escape() -> None:
    page = Page("", [Section("", [Code("x", "\tone\n")])], [], "")
    assert "<code>    one\n</code>" in html(page)


def test_dark_colours_are_for_all_that_drawings_have(written: Written) -> None:
    used = set(re.findall(r'(?:fill|stroke)="(#[0-9A-F]{6})"', written.html))
    assert set(COLOURS) <= set(DARK)
    assert used - set(DARK) <= {"#FFFFFF", "#C8281E"}  # the ground, and the target, red in both


@pytest.mark.parametrize("ground", ["light", "dark"])
def test_texts_have_contrast(ground: str) -> None:
    """4.5 to 1, as the Web Content Accessibility Guidelines 2.2 want of texts."""
    card = {"light": "#ffffff", "dark": "#1b1f25"}[ground]
    texts = ["#222222", "#666666", *COLOURS]
    for colour in texts:
        shown = colour if ground == "light" else DARK[colour]
        assert contrast(shown, card) >= 4.5, shown


def contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def tables(article: Article) -> dict[str, Table]:
    return {
        block.caption: block
        for section in article.sections
        for block in section.blocks
        if isinstance(block, Table)
    }


def test_the_ladder_counts_who_got_to_a_rung(tmp_path: Path) -> None:
    study = write_search(tmp_path / "found")
    found = tables(search_article(read_search(tmp_path / "found")))
    ladder = found["The ladder of rungs"].rows
    assert [row[0] for row in ladder] == ["1", "2", "4"]
    # Each trial is better than those before it, so that none is ended.
    assert [row[1:3] for row in ladder] == [("6", "0")] * 3
    assert ladder[-1][3:] == ("66.50", "69.00")
    checks = found["The best graphs, and what the checks say of them"].rows
    assert [row[0] for row in checks] == [
        "trial 5",
        "trial 4",
        "trial 3",
        "target alone, on labels",
    ]
    assert checks[0][1:3] == ("69.00 %", "71.50 ± 0.71 % (n = 2)")
    importances = found["How much of the accuracy each open value decides"].rows
    assert sum(float(row[1]) for row in importances) == pytest.approx(100, abs=0.2)
    assert {row[0] for row in importances} == set(study.trials[0].params)


def test_each_best_graph_is_called_by_its_trial(tmp_path: Path) -> None:
    write_search(tmp_path / "found")
    article = search_article(read_search(tmp_path / "found"))
    text = html(Page("", [], [article], ""))
    pictures = [str(each["aria-label"]) for each in Outline(text).of("svg")]
    assert [each for each in pictures if "trial" in each][:3] == [
        f"graph found, trial {number}: {64 + number}.00 % after 4 epochs" for number in (5, 4, 3)
    ]
    assert {"Open values", "Nodes (at the first valid point)"} <= set(tables(article))


def test_quoted_code_in_sentences_is_code() -> None:
    blocks: list[Block] = [Paragraph("say `<b>` here"), Notes(["one ` alone"])]
    text = html(Page("", [Section("", blocks)], [], ""))
    assert "<code>&lt;b&gt;</code>" in text
    assert "one ` alone" in text


def test_a_search_under_way_is_shown_and_left_alone(tmp_path: Path) -> None:
    write_search(tmp_path / "found", finished=False)
    journal = tmp_path / "found" / "study.journal"
    journal.write_bytes(journal.read_bytes() + b'{"torn')
    lock = journal.with_name("study.journal.lock")
    lock.touch()
    before = journal.read_bytes()
    with RunFolder(tmp_path / "found").locked():
        article = search_article(read_search(tmp_path / "found"))
    assert (article.value, len(tables(article)["The ladder of rungs"].rows)) == ("not finished", 3)
    assert journal.read_bytes() == before
    assert lock.exists()
    with pytest.warns(KtgWarning, match="lacks its end"):  # that nobody is writing now
        read_search(tmp_path / "found")
    journal.write_bytes(b"{}\n" + before)
    with pytest.raises(RunError, match=r"found/study\.journal is damaged"):
        read_search(tmp_path / "found")


def test_a_run_under_way_says_how_far_it_is(tmp_path: Path) -> None:
    write_run(tmp_path / "run", {"a": [[50.0, 60.0]], "b": [[1.0, 2.0]]}, finished=False)
    article = run_article(read_run(tmp_path / "run", "run"))
    assert article.value == "not finished"
    (text,) = article.sections[0].blocks
    assert text == Paragraph("The run is not finished: epoch 2 of repeat 1 is done.")


def test_several_runs_are_beside_one_another(tmp_path: Path) -> None:
    for name, value in (("one", 60.0), ("two", 70.0)):
        write_run(tmp_path / name, {"a": [[50.0, value]], "b": [[1.0, 2.0]]})
    page = page_about([tmp_path / "one", tmp_path / "two"], evaluated=False)
    table = page.together[0].blocks[0]
    assert isinstance(table, Table)
    assert [(row[0], row[-1]) for row in table.rows] == [("one", "60.00 %"), ("two", "70.00 %")]
    assert page.together[1].title == "Runs over one another"


def test_what_cannot_be_evaluated_says_why(tmp_path: Path) -> None:
    write_run(tmp_path / "run", {"a": [[50.0]], "b": [[1.0]]})  # it has no weights
    article = page_about([tmp_path / "run"]).articles[0]
    (section,) = [each for each in article.sections if each.title == "Answers"]
    text, help = section.blocks
    assert isinstance(text, Paragraph)
    assert isinstance(help, Notes)
    gone = tmp_path / "run/nodes/a.safetensors"
    assert text.text == f"The networks could not be evaluated: {gone} is gone."


def test_an_accuracy_that_is_another_now_is_noted(written: Written, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(written.run.folder, folder)
    nodes = {**written.run.nodes, "a": NodeResult(accuracy=Score.of([1.0, 2.0]))}
    changed = written.run.model_copy(update={"nodes": nodes})
    (folder / "result.json").write_text(changed.to_json())
    with pytest.warns(KtgWarning, match=r"1\.50 ± 0\.71"):
        article = page_about([folder]).articles[0]
    (section,) = [each for each in article.sections if each.title == "Answers"]
    (notes,) = [block for block in section.blocks if isinstance(block, Notes)]
    assert "the test accuracy of a is" in notes.lines[0]


def test_without_jinja_the_message_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ktgdsl.report.page.render.find_spec", lambda name: None)
    assert cli.main(["report", "nowhere"]) == 1
    assert "E504" in (shown := capsys.readouterr().err)
    assert "pip install jinja2, or ktgdsl with [report]" in shown


def test_a_page_goes_to_html(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["report", "run", "-o", "x.pdf"])
    assert "it ends in .html" in capsys.readouterr().err


def test_heads_have_rows_and_curves(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", {"a": [[50.0]], "b": [[1.0]]})
    lines = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    lines[0]["heads"] = {"size": {"accuracy": 1.0, "test_accuracy": 44.0}}
    run.metrics.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    result = run.result()
    assert result is not None
    a = NodeResult(accuracy=Score.of([50.0]), heads={"size": HeadResult(accuracy=Score.of([44.0]))})
    result = result.model_copy(update={"nodes": {**result.nodes, "a": a}})
    (run.path / "result.json").write_text(result.to_json())
    recorded = read_run(run.path, "run")
    rows = tables(run_article(recorded))["Accuracy of each node"].rows
    assert [(row[0], row[-1]) for row in rows] == [
        ("a", "50.00"),
        ("a.size", "44.00"),
        ("b", "1.00"),
    ]
    accuracy = of_node(recorded, "a")[0]
    assert [each.name for each in accuracy.series] == ["test", "training", "test, size"]
    assert accuracy.series[2].last.mean == 44.0


def test_a_page_that_cannot_be_written_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_search(tmp_path / "found")
    out = tmp_path / "none" / "x.html"
    assert cli.main(["report", str(tmp_path / "found"), "-o", str(out)]) == 1
    assert "cannot be written: No such file or directory" in capsys.readouterr().err


def test_a_journal_without_its_last_entry_is_not_shown(tmp_path: Path) -> None:
    write_search(tmp_path / "found")
    journal = tmp_path / "found" / "study.journal"
    lines = journal.read_bytes().splitlines(keepends=True)
    for cut in (lines[:-1], [*lines[:-1], lines[-1][:-5]]):
        journal.write_bytes(b"".join(cut))
        with pytest.raises(RunError, match="cut off: it lacks its end"):
            read_search(tmp_path / "found")


def test_a_copy_that_is_damaged_is_noted_where_it_is_shown(tmp_path: Path) -> None:
    write_search(tmp_path / "found")
    environment = tmp_path / "found" / "environment.json"
    content, _ = unsealed_json(environment.read_text())
    space = tmp_path / "found" / "space.ktg"
    environment.write_text(sealed_json({**content, "space": sha256(space.read_bytes())}))
    assert "damaged" not in html(page_about([tmp_path / "found"]))
    space.write_bytes(space.read_bytes() + b"\xff")
    with pytest.warns(KtgWarning, match="is not what was written there"):
        assert "is not what was written there: it is damaged" in html(
            page_about([tmp_path / "found"])
        )
