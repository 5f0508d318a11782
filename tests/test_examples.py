"""The worked examples run, and print what their page shows, but for the digits."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "docs" / "examples"
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.py"))


def shown(name: str) -> str:
    """Return what the page says that an example prints."""
    section = (EXAMPLES / "README.md").read_text().partition(f"({name}.py)")[2]
    return section.partition("```\n")[2].partition("```")[0]


def shape(text: str) -> str:
    """Return a text with its numbers, and the widths and names that follow from them, made alike."""
    text = re.sub(r"[+-]?\d+(\.\d+)?", "0", text)
    text = re.sub(r"\((\d+ seeds?): [^)]*\)", r"(\1)", text)
    return re.sub(r"[ ─]+", " ", text).strip()


def test_the_page_shows_every_example() -> None:
    assert NAMES == ["custom_recipe", "ensemble", "few_labels", "outliers", "own_images"]
    assert all(shown(name) for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_an_example_prints_what_its_page_shows(name: str, tmp_path: Path) -> None:
    # One thread: two that wait for a busy core take ten times as long. The program is beside Python.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PATH": path}
    command = [sys.executable, EXAMPLES / f"{name}.py"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert shape(done.stdout) == shape(shown(name))
