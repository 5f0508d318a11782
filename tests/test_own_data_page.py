"""What docs/own-data.md and the README tell people to do with a table of their own, with fewer steps."""

import re
from pathlib import Path

import pytest
import tiny
from test_own_tables import SHORT

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "own-data.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
TABLES = PAGE.partition("## Images\n")[0]
SHOWN = re.findall(r"```\n\$ ladder-ebgan ([^\n]+)\n(.*?)```", TABLES, re.DOTALL)
RUN, PREDICT = (command.split() for command, _ in SHOWN)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the page's files were made and its first command was run."""
    folder = tmp_path_factory.mktemp("page")
    code = re.findall(r"```python\n(.*?)```", TABLES, re.DOTALL)[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        exec(code, {})  # what the page shows
        outcome = tiny.done(*RUN, *SHORT, "--no-compile", "--processes", "1")
        tiny.done("report", "runs/flowers-auto")
    (folder / "stderr").write_text(outcome.stderr)
    (folder / "stdout").write_text(outcome.stdout)
    return folder


def numberless(text: str) -> list[str]:
    """Lines without what depends on the training: numbers with a point, and the widths of a table."""
    return [re.sub(r"\d+\.\d+|[ ─]{2,}", "#", line).strip("# ") for line in text.splitlines()]


def test_the_files_are_those_of_the_page(here: Path) -> None:
    lines = (here / "flowers.csv").read_text().splitlines()
    shown = [block.split("\n") for block in re.findall(r"```\n(sepal.*?)\n```", TABLES, re.DOTALL)]
    assert shown == [[*lines[:2], "...", lines[-1]]]
    assert (len(lines), len((here / "new.csv").read_text().splitlines())) == (121, 31)


def test_the_run_says_what_the_page_shows(here: Path) -> None:
    before, _, after = SHOWN[0][1].partition("...\n")
    assert (here / "stderr").read_text().startswith(before)
    said = (here / "stdout").read_text() + (here / "stderr").read_text().splitlines(keepends=True)[-1]
    assert numberless(said) == numberless(after)


def test_the_predictions_are_as_the_page_shows_them(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(here)
    outcome = tiny.done(*PREDICT)
    assert outcome.stderr.splitlines()[0] == SHOWN[1][1].splitlines()[0]
    header, *lines = (here / "predictions.csv").read_text().splitlines()
    (shown,) = re.findall(r"```\n(row,label.*?)\n```", TABLES, re.DOTALL)
    assert header == shown.splitlines()[0]
    assert len(lines) == 30
    truth = [line.split(",")[5] for line in lines]
    assert [line.split(",")[5] for line in shown.splitlines()[1:]] == truth[:2]


def test_the_other_commands_of_the_page_work(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(here)
    (compare, sample) = re.findall(r"^ladder-ebgan (.+)$", TABLES, re.MULTILINE)
    more = tiny.done(*compare.split(), *SHORT, "--no-compile", "--processes", "1", "--seeds", "2")
    assert "32 labels: ebgan-ladder against ladder: " in more.stdout
    tiny.done(*sample.split())
    assert (here / "generated.csv").read_text().splitlines()[
        0
    ] == "sepal_length,sepal_width,petal_length,petal_width"
    (describe,) = re.findall(r"`ladder-ebgan (data describe [^`]+)`", TABLES)
    assert "n_labeled     40" in tiny.done(*describe.split()).stdout


def test_a_folder_of_images_is_as_the_page_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    images = PAGE.partition("## Images\n")[2].partition("\n## ")[0]
    (script,) = re.findall(r"```python\n(.*?)```", images, re.DOTALL)
    exec(compile(script, "own-data.md", "exec"), {})
    shown = re.findall(r"```\n\$ ladder-ebgan (.*?)\n(.*?)```", images, re.DOTALL)
    (run, said), (predict, scores) = ((command.split(), text) for command, text in shown)
    outcome = tiny.done(*run, *tiny.settings(), "--no-compile", "--processes", "1")
    before, _, after = said.partition("...\n")
    assert outcome.stderr.startswith(before)
    assert numberless(outcome.stdout + outcome.stderr.splitlines(keepends=True)[-1]) == numberless(after)
    outcome = tiny.done(*predict)
    assert outcome.stderr.splitlines()[0] == scores.splitlines()[0]
    lines = (tmp_path / "predictions.csv").read_text().splitlines()
    (table,) = re.findall(r"```\n(image,label.*?)\n```", images, re.DOTALL)
    assert lines[0] == table.splitlines()[0]
    assert len(lines) == 1798
    section = README.partition("## Your own data")[2].partition("\n## ")[0]
    assert f"\nladder-ebgan {' '.join(run)}\n" in section


def test_the_readme_has_the_commands_of_the_page() -> None:
    section = README.partition("## Your own data")[2].partition("\n## ")[0]
    for command in (RUN, PREDICT):
        assert f"\nladder-ebgan {' '.join(command)}\n" in section
