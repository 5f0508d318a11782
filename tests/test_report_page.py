import base64
import html
import io
import json
import re
import shlex
import shutil
import tomllib
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from PIL import Image

from ladder_ebgan.cli import cli
from ladder_ebgan.errors import UsageError
from ladder_ebgan.recipe import load_recipe, parse_recipe
from ladder_ebgan.report.outputs import table_of
from ladder_ebgan.report.page import PAPERS, moment, output, report_page, trainings, verdict
from ladder_ebgan.report.page_figures import KINDS, PageFigure, page_figures
from ladder_ebgan.report.table import Comparison
from ladder_ebgan.report.table_layout import cell_grid, comparison_lines, footnotes, paper_lines
from ladder_ebgan.results import CurvePoint, Result
from ladder_ebgan.runs import RunFolder, open_run_folder, read_record
from ladder_ebgan.statistics import compare_paired

EARLIER = "Drawn before the last steps and results"
VOID = {"meta", "link", "img", "br"}  # elements without an end
ALONE = {"h1", "title", "main", "header", "footer", "nav"}  # once a page


class Page(HTMLParser):
    """What a page holds; fails where a tag is not closed by its own."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.of: dict[str, list[str]] = {}  # the text of each element, by its tag, the innermost in all around it
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"<{tag}> has an attribute twice"
        self.tags.append((tag, dict(attrs)))
        self.of.setdefault(tag, []).append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag in set(self.open):
            self.of[tag][-1] += data

    def attributes(self, tag: str, name: str) -> list[str]:
        """The attribute of all elements of a tag; "" where one lacks it."""
        return [str(attributes.get(name) or "") for of, attributes in self.tags if of == tag]

    def text(self) -> str:
        return " ".join(self.of["body"][0].split())


@pytest.fixture
def run(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, with one figure."""
    folder = tiny.copied_run(tmp_path_factory, tmp_path / "run")
    for path in (folder / "figures").glob("*.[ps][nv]g"):
        if path.stem != "error_by_seed":
            path.unlink()
    return folder


def changed(folder: Path, start: dict[str, Any] | None = None, **record: Any) -> Path:
    """Change the last start of a run, and its record."""
    new = read_record(folder) | record
    new["starts"][-1] |= start or {}
    (folder / "run.json").write_text(json.dumps(new))
    return folder


def page_of(folder: Path) -> Page:
    return Page(report_page(folder))


def recipe_of(page: Page) -> str:
    return next(text for text in page.of["code"] if "[network]" in text)


def test_the_page_is_well_formed_and_complete_in_itself(run: Path) -> None:
    text = report_page(run)
    page = Page(text)
    assert text.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert [tag for tag, _ in page.tags if tag in ALONE and len(page.of[tag]) != 1] == []
    assert page.of["title"] == page.of["h1"] == ["ladder and ebgan-ladder on digits"]
    assert "script" not in page.of
    (style,) = page.of["style"]
    assert "@media print" in style
    assert "prefers-color-scheme: dark" in style
    assert not re.search(r"url\(|@import", style)
    assert page.attributes("img", "src")
    assert all(address.startswith("data:") for address in page.attributes("img", "src"))
    assert page.attributes("link", "href") == ["data:,"]
    addresses = [address for _, attributes in page.tags for name, address in attributes.items() if name == "href"]
    assert {address for address in addresses if ":" in str(address)} - {"data:,"} <= set(PAPERS.values())
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(set(ids)) == len(ids)
    assert {address for address in addresses if str(address).startswith("#")} <= {f"#{name}" for name in ids}
    assert set(page.attributes("section", "aria-labelledby")) == set(ids)


def test_who_cannot_see_it_is_told_as_well(run: Path) -> None:
    page = page_of(run)
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all(len(alternative) > 20 for alternative in page.attributes("img", "alt"))
    assert set(page.attributes("th", "scope")) == {"col", "row", "rowgroup"}
    regions = [attributes for _, attributes in page.tags if attributes.get("role") == "region"]
    assert len(regions) == len(page.of["table"])
    assert all(attributes["aria-label"] and attributes["tabindex"] == "0" for attributes in regions)


def luminance(color: str) -> float:
    """Relative luminance as the Web Content Accessibility Guidelines 2.2 define it, of #rrggbb."""
    channels = [int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_all_words_have_enough_contrast_in_light_and_dark(run: Path) -> None:
    (style,) = page_of(run).of["style"]
    light, dark = (
        dict(re.findall(r"--(\w+): (#\w{6});", block)) for block in re.findall(r":root \{([^}]*--[^}]*)\}", style)
    )
    assert light.keys() == dark.keys() == {"ink", "soft", "ground", "panel", "line", "link", "mark", "good", "bad"}
    pairs = [(ink, paper) for ink in ("ink", "soft", "link", "good", "bad") for paper in ("ground", "panel")]
    for colors in (light, dark):
        for ink, paper in [*pairs, ("ink", "mark")]:
            dim, bright = sorted([luminance(colors[ink]), luminance(colors[paper])])
            assert (bright + 0.05) / (dim + 0.05) >= 4.5, (ink, paper)


def test_the_page_has_the_table_and_all_that_is_said_below_it(run: Path) -> None:
    page, table = page_of(run), table_of([run])
    budgets, reported, ours = cell_grid(table)
    cells = [" ".join(cell.split()) for cell in page.of["td"] + page.of["th"]]
    assert reported == []
    for expected in [*(f"{labels} labels" for labels in budgets), *(cell for row in ours for cell in row)]:
        assert expected in cells
    (line,) = comparison_lines(table)
    for sentence in [line.removeprefix("20 labels: "), *footnotes(table)]:
        assert sentence in page.text()
    assert "With 20 labels, no test of ebgan-ladder against ladder." in page.text()


def test_reported_rows_link_to_their_papers(run: Path) -> None:
    identity = read_record(run)["identity"]
    identity["data"]["name"] = "mnist"
    page = page_of(changed(run, identity=identity))
    assert {entry.source for entry in table_of([run]).reported} == set(PAPERS)
    assert set(page.attributes("a", "href")) >= set(PAPERS.values())
    assert "Reported in papers" in page.of["th"]


def test_the_page_says_how_we_stand_beside_the_paper(tmp_path: Path) -> None:
    results = Path(__file__).parent.parent / "docs" / "results"
    folder = shutil.copytree(results / "fast-early-cpu", tmp_path / "fast")
    text, lines = page_of(folder).text(), paper_lines(table_of([folder]))
    assert lines
    assert all(line in text for line in lines)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([4.0, 4.0, 10.0], [3.0, 2.0, 7.0], "no difference shown between new and ladder"),  # -2 ± 2.48
        ([4.0, 4.0, 10.0], [3.0, 2.9, 8.9], "new is better than ladder"),  # -1.07 ± 0.14
        ([3.0, 2.9, 8.9], [4.0, 4.0, 10.0], "new is worse than ladder"),
        ([4.0, 4.0], [3.0, 2.9], "no test of new against ladder"),
        ([4.0, 4.0, 4.0], [3.0, 3.0, 3.0], "no test of new against ladder"),  # no deviation to test it by
        ([4.0] * 6, [3.0] * 6, "no t test of new against ladder"),  # but a signed-rank test
    ],
)
def test_a_comparison_in_a_sentence(before: list[float], after: list[float], expected: str) -> None:
    comparison = Comparison(50, "ladder", "new", compare_paired(before, after))
    assert verdict(comparison) == f"With 50 labels, {expected}."


def test_a_variant_is_better_only_with_a_corrected_p() -> None:
    """-1.07 ± 0.14 has p = 0.001."""
    paired = compare_paired([4.0, 4.0, 10.0], [3.0, 2.9, 8.9])
    found = {p: verdict(Comparison(50, "ladder", "new", paired, p, 60)) for p in (0.049, 0.05)}
    assert found[0.049] == "With 50 labels, new is better than ladder."
    assert found[0.05] == "With 50 labels, no difference shown between new and ladder."


def test_a_comparison_without_the_seeds_that_diverged_says_so() -> None:
    paired = compare_paired([4.0, 4.0, 10.0], [3.0, 2.9, 8.9])
    found = verdict(Comparison(50, "ladder", "new", paired, n_left_out=2))
    assert found == "With 50 labels, new is better than ladder, on the seeds that both finished."


def test_the_recipe_reads_as_the_recipe_of_the_run_and_marks_what_was_changed(run: Path) -> None:
    page = page_of(run)
    tables = tomllib.loads(recipe_of(page))
    recipe = parse_recipe(tables, "page")
    assert recipe.identity() == read_record(run)["identity"]["recipe"]
    assert (recipe.labels, recipe.n_seeds) == ([20], 2)
    marked = page.of["mark"][1:]  # after the word in the sentence above
    assert len(marked) == len(tiny.SETTINGS) + 2
    assert "hidden_sizes = [12, 10, 8, 8, 8]" in marked
    assert "hidden_sizes = [12, 10, 8, 8, 8]  # packaged: [1000, 500, 250, 250, 250]\n" in recipe_of(page)
    assert "n_seeds = 2  # packaged: 15\n" in recipe_of(page)
    assert "input_noise = 0.3\n" in recipe_of(page)


def test_a_packaged_recipe_as_it_is_has_no_marks(run: Path) -> None:
    recipe = load_recipe("demo")
    identity = read_record(run)["identity"] | {"recipe": recipe.identity()}
    groups = [{"model": "ladder", "replicas": [[100, seed] for seed in range(recipe.n_seeds)]}]
    page = page_of(changed(run, {"recipe_name": "demo"}, identity=identity, groups=groups))
    assert "mark" not in page.of
    assert parse_recipe(tomllib.loads(recipe_of(page)), "page") == recipe


def test_a_setting_that_the_packaged_recipe_leaves_out_is_marked(run: Path) -> None:
    recipe = load_recipe("demo", ["ladder.vat_weight=2", "training.averaging_decay=0.5"])
    identity = read_record(run)["identity"] | {"recipe": recipe.identity()}
    groups = [{"model": "ladder", "replicas": [[100, seed] for seed in (3, 7)]}]
    page = page_of(changed(run, {"recipe_name": "demo"}, identity=identity, groups=groups))
    assert page.of["mark"][1:] == ["averaging_decay = 0.5", "vat_weight = 2.0"]
    assert "vat_weight = 2.0  # packaged: not set\n" in recipe_of(page)
    assert "--recipe recipe.toml --seed-list 3,7" in page.text()


def test_labelled_images_that_are_no_seeds_own(run: Path) -> None:
    sentence = "A seed gives all models the same labelled images and the same initial weights"
    assert sentence in page_of(run).text()
    recipe = read_record(run)["identity"]["recipe"]
    recipe["variants"] = {"shared": {"of": "ladder", "set": ["labeled_subset_seed=1"]}}
    groups = [*read_record(run)["groups"], {"model": "shared", "replicas": [[20, 0]]}]
    identity = read_record(run)["identity"] | {"recipe": recipe}
    text = page_of(changed(run, identity=identity, groups=groups)).text()
    assert "A seed gives all models the same initial weights" in text


def test_commands_are_those_that_go_on(run: Path) -> None:
    page = page_of(changed(run, {"command": ["run", "--fresh", "--data", "digits"]}))
    assert "ladder-ebgan run --data digits" in page.text()
    assert "run --fresh" not in page.text()


def test_a_recipe_of_ones_own_is_compared_with_nothing(run: Path) -> None:
    assert "mark" not in page_of(changed(run, {"recipe_name": "mine.toml"})).of


def png(*pixels: tuple[int, ...], width: int = 1200) -> bytes:
    """A PNG file of noise in some colours, of different channels or all grey."""
    rng, content = np.random.default_rng(0), io.BytesIO()
    colors = np.array(pixels, np.uint8)
    Image.fromarray(colors[rng.integers(len(colors), size=(20, width))]).save(content, "png")
    return content.getvalue()


def embedded(figure: PageFigure) -> bytes:
    return base64.b64decode(figure.address.partition(",")[2])


def drawn(figure: PageFigure) -> Image.Image:
    return Image.open(io.BytesIO(embedded(figure)))


def test_figures_are_in_order_and_the_smaller_file_of_each(tmp_path: Path) -> None:
    small, large = b'<svg version="1.1" width="360.0pt"/>', b"<svg>" + b" " * 99_999
    files = {
        "worst_mistakes_ebgan-ladder_200": {".png": png((0, 0, 0), (9, 9, 9))},
        "worst_mistakes_ladder_1000": {".png": png((0, 0, 0), (9, 9, 9))},
        "worst_mistakes_ladder_200": {".png": png((0, 0, 0), (9, 9, 9))},
        "learning_curves": {".png": png((0, 0, 0), (9, 9, 9), width=75), ".svg": large},
        "error_by_seed": {".png": png((0, 0, 0), (9, 9, 9)), ".svg": small, ".txt": b""},
        ".energies.png": {".tmp": b""},
        ".energies": {".png": b""},
        "my_own": {".svg": b"<svg/>"},
    }
    for stem, contents in files.items():
        for suffix, content in contents.items():
            (tmp_path / f"{stem}{suffix}").write_bytes(content)
    found = page_figures(tmp_path)
    assert [(figure.title, figure.address.partition(";")[0], figure.width) for figure in found] == [
        ("Test error of each seed", "data:image/svg+xml", 480),  # 360 points of which an inch has 72
        ("Learning curves", "data:image/png", 48),  # 75 dots of which an inch has 150
        ("Worst mistakes, ladder, 200 labels", "data:image/png", 768),
        ("Worst mistakes, ebgan-ladder, 200 labels", "data:image/png", 768),
        ("Worst mistakes, ladder, 1000 labels", "data:image/png", 768),
        ("my own", "data:image/svg+xml", None),
    ]
    assert embedded(found[0]) == small
    assert page_figures(tmp_path / "absent") == []


@pytest.mark.parametrize(
    ("pixels", "expected", "mode"),
    [
        ([(0, 0, 0, 255), (7, 7, 7, 255)], [(0, 0, 0), (7, 7, 7)], "L"),
        ([(0, 0, 0, 255), (7, 7, 8, 255)], [(0, 0, 0), (7, 7, 8)], "RGB"),
        ([(0, 0, 0, 255), (8, 7, 7, 255)], [(0, 0, 0), (8, 7, 7)], "RGB"),
        ([(0, 0, 0, 255), (5, 6, 7, 0)], [(0, 0, 0), (255, 255, 255)], "L"),  # transparent: the paper shows
        ([(0, 0, 0), (7, 7, 8)], [(0, 0, 0), (7, 7, 8)], "RGB"),
    ],
)
def test_a_png_file_keeps_what_is_seen_of_it(
    tmp_path: Path, pixels: list[tuple[int, ...]], expected: list[tuple[int, ...]], mode: str
) -> None:
    (tmp_path / "a.png").write_bytes(png(*pixels))
    (tmp_path / "b.png").write_bytes(png(*expected))
    (figure, _) = page_figures(tmp_path)
    assert drawn(figure).mode == mode
    with Image.open(tmp_path / "b.png") as paper:
        np.testing.assert_array_equal(np.asarray(drawn(figure).convert("RGB")), np.asarray(paper))


def test_a_damaged_figure_is_named(run: Path) -> None:
    path = run / "figures" / "error_by_seed.png"
    path.write_bytes(b"no picture")
    assert tiny.refused("report", str(run)) == f"the figure {path} cannot be read: remove it, or draw it anew"


def test_every_figure_of_a_run_has_a_caption(tmp_path_factory: pytest.TempPathFactory) -> None:
    run = tiny.finished_run(tmp_path_factory)
    page = page_of(run)
    stems = {path.stem for path in (run / "figures").glob("*.png")}
    assert len(page.of["figure"]) == len(stems) >= 3
    assert all(any(caption.startswith(kind[0]) for kind in KINDS.values()) for caption in page.of["figcaption"])
    assert EARLIER not in page.text()


@pytest.mark.parametrize("name", ["results.csv", "history.csv", "figures/drawn_from.sha256"])
def test_figures_of_an_earlier_state_are_called_that(run: Path, name: str) -> None:
    content = (run / name).read_text()
    assert EARLIER not in page_of(run).text()
    (run / name).write_text("".join(content.splitlines(keepends=True)[:-1]))
    assert EARLIER in page_of(run).text()
    (run / name).unlink()
    assert EARLIER in page_of(run).text()


def test_a_run_without_figures_has_a_page(run: Path) -> None:
    for path in (run / "figures").iterdir():
        path.unlink()
    page = page_of(run)
    assert "img" not in page.of
    assert "Figures" not in page.of["a"]


def test_every_seed_is_there_and_a_failed_one_says_where_it_failed(run: Path) -> None:
    groups = [
        {"model": model, "replicas": [[20, 0], [20, 1], [20, 2], [20, 3]]} for model in ("ladder", "ebgan-ladder")
    ]
    folder = RunFolder(run, read_record(changed(run, groups=groups)))
    first = folder.results()[0]
    diverged = replace(first, status="diverged", test_error_percent=None)
    lost = [replace(diverged, seed=2, diverged_step=12345), replace(diverged, seed=3, diverged_step=None)]
    folder.add_results([*lost, replace(first, model="ebgan-ladder", seed=3, test_error_percent=12.5)])
    text = page_of(run).text()
    assert "20 2 diverged at step 12,345 – 20 3 diverged 12.50 Recipe" in text
    assert "7 of 8 trainings are done" in text
    assert "2 diverged and are left out of the means." in text
    assert "ebgan-ladder 20 labels: seed 2 0 24" in text


def test_long_lists_are_closed_at_first(run: Path) -> None:
    groups = [{"model": "ladder", "replicas": [[20, seed] for seed in range(21)]}]
    page = page_of(changed(run, groups=groups))
    assert next(attributes for tag, attributes in page.tags if tag == "details") == {}


def test_what_is_unfinished_is_listed_with_the_step_that_it_has_reached(run: Path) -> None:
    assert "Unfinished" not in page_of(run).of["h2"]
    record = read_record(run)
    groups = [*record["groups"], {"model": "ebgan-ladder", "replicas": [[20, 5], [20, 7], [30, 5]]}]
    folder = RunFolder(changed(run, groups=groups), record)
    folder.append_history([CurvePoint("ebgan-ladder", 20, 5, 10, 0.1, *[None] * 7)])
    folder.append_history([CurvePoint("ladder", 20, 5, 20, 0.1, *[None] * 7)])
    page = page_of(run)
    assert "ebgan-ladder 20 labels: seed 5, 7; 30 labels: seed 5 10 24" in page.text()
    assert "4 of 7 trainings are done" in page.text()
    assert "Unfinished" in page.of["h2"]


def test_a_run_without_results_has_a_page(run: Path) -> None:
    for name in ("results.csv", "history.csv", "table.json"):
        (run / name).unlink()
    page = page_of(run)
    assert "no results yet" in page.text()
    assert "0 of 4 trainings are done" in page.text()


def test_the_environment_tells_on_what_it_ran(run: Path) -> None:
    start = {"time": "2026-03-04T23:30:00-02:00", "device": "A chip", "versions": {"ladder_ebgan": "9.8"}}
    page = page_of(changed(run, start))
    assert page.of["th"].count("2026-03-05 01:30 UTC") == 1
    assert "A chip" in page.of["td"]
    assert "ladder-ebgan 9.8" in page.of["td"]
    assert moment("2026-01-02T03:04:05+00:00") == "2026-01-02 03:04 UTC"


def test_trainings_are_counted_by_the_way_they_were_made() -> None:
    def result(model: str, seed: int, seconds: float, device: str) -> Result:
        return Result(model, 100, seed, "ok", 1.0, None, 50, seconds, device, "float32", "0.1.0", "2.13.0")

    rows = [result("b", 0, 10, "x"), result("b", 1, 20, "x"), result("b", 2, 3, "y"), result("a", 0, 4, "x")]
    assert [(row.model, row.device, row.n_replicas, row.seconds) for row in trainings(rows)] == [
        ("b", "x", 2, 15.0),
        ("b", "y", 1, 3.0),
        ("a", "x", 1, 4.0),
    ]


def test_commands_can_be_copied(run: Path) -> None:
    words = ["run", "--data", "my data.npz", "--set", "ladder.n_steps=20", "--output", "it's here"]
    page = page_of(changed(run, {"command": words}))
    commands = [
        shlex.split(line) for code in page.of["code"] for line in code.splitlines() if "ladder-ebgan " in line
    ]
    which = ["--labels", "20", "--seed", "0"]
    assert commands == [
        ["ladder-ebgan", *words],
        ["ladder-ebgan", "table", "it's here", "--format", "markdown"],
        ["ladder-ebgan", "table", "it's here", "--format", "latex"],
        ["ladder-ebgan", "report", "it's here"],
        ["ladder-ebgan", "predict", "it's here", "--model", "ladder", *which, "my data.npz"],
        ["ladder-ebgan", "sample", "it's here", "--model", "ebgan-ladder", *which, "--output", "generated.png"],
    ]
    for _, name, *rest in commands:
        options = {option for parameter in cli.commands[name].params for option in parameter.opts}
        assert {word for word in rest if word.startswith("--")} <= options


def test_what_was_not_trained_has_no_commands(run: Path) -> None:
    rows = (run / "results.csv").read_text().splitlines(keepends=True)
    (run / "results.csv").write_text("".join(row for row in rows if not row.startswith("ebgan-ladder")))
    assert "ladder-ebgan predict" in page_of(run).text()
    assert "ladder-ebgan sample" not in page_of(run).text()
    (run / "results.csv").write_text(rows[0])
    assert "ladder-ebgan predict" not in page_of(run).text()


def test_a_command_is_shown_once_and_only_if_it_is_one(run: Path) -> None:
    (start,) = read_record(run)["starts"]
    commands = [["run", "--seeds", "2"], ["run", "--seeds", "3"], ["run", "--seeds", "2"], ["-c", "program"], []]
    page = page_of(changed(run, starts=[start | {"command": command} for command in commands]))
    assert "ladder-ebgan run --seeds 2\nladder-ebgan run --seeds 3" in page.of["code"]
    assert "program" not in page.text()


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["run", "--output", "a b", "--fresh"], "a b"),
        (["run", "--output=c=d"], "c=d"),
        (["run", "--output", "e", "--output=f"], "f"),
        (["run", "--quiet"], "runs/digits-mine"),
    ],
)
def test_the_folder_of_a_start(command: list[str], expected: str) -> None:
    assert output({"command": command, "recipe_name": "some/mine.toml"}, "digits") == expected


def test_words_from_outside_are_escaped(run: Path) -> None:
    evil = '<script>alert("1")</script>&amp;'
    identity = read_record(run)["identity"]
    identity["data"]["name"] = evil
    start = {"device": evil, "recipe_name": evil, "command": ["run", evil]}
    text = report_page(changed(run, start, identity=identity))
    page = Page(text)
    assert "script" not in page.of
    assert page.of["h1"] == [f"ladder and ebgan-ladder on {evil}"]
    assert text.count(html.escape(evil, quote=False).replace('"', "&#34;")) >= 5


def test_the_same_folder_gives_the_same_bytes(run: Path) -> None:
    first = report_page(run)
    (run / "report.html").write_text(first)
    assert report_page(run) == first


def test_the_command_writes_the_page_and_says_where(run: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "new" / "page.html"
    before = tiny.content(run)
    outcome = tiny.done("report", str(run))
    assert outcome == (0, f"{run / 'report.html'}\n", "")
    after = tiny.content(run)
    assert after.pop("report.html") == report_page(run).encode()
    assert after == before
    assert tiny.done("report", str(run), "--output", str(elsewhere)).stdout == f"{elsewhere}\n"
    assert elsewhere.read_bytes() == (run / "report.html").read_bytes()


def test_a_new_start_removes_the_page(run: Path) -> None:
    (run / "report.html").write_text("of the run before")
    with open_run_folder(run, read_record(run), fresh=True):
        pass
    assert not (run / "report.html").exists()


def test_what_is_no_run_or_no_file_is_refused_in_one_line(run: Path, tmp_path: Path) -> None:
    before = tiny.content(tmp_path)
    assert tiny.refused("report", str(tmp_path)) == f"{tmp_path} is not a run folder: it has no run.json"
    expected = rf"^cannot write {run}: Is a directory; name a file with --output$"
    assert re.search(expected, tiny.refused("report", str(run), "--output", str(run)))
    below = run / "run.json" / "page.html"
    assert "name a file with --output" in tiny.refused("report", str(run), "--output", str(below))
    assert tiny.content(tmp_path) == before


def test_a_run_that_has_not_begun_has_nothing_to_report(run: Path) -> None:
    (run / "run.json").write_text(json.dumps(read_record(run) | {"starts": []}))
    with pytest.raises(UsageError, match=r"holds a run that has not begun: there is nothing to report$"):
        report_page(run)
