"""The command `grid`: it reads two folders and leaves figures and numbers."""

import json
from pathlib import Path

import gan_search
import pytest
import tiny

from ladder_ebgan import quality


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A search of EBGANs and one of GANs, two settings each."""
    found = []
    with pytest.MonkeyPatch.context() as patch, gan_search.patched(patch):
        for model in ("ebgan", "gan"):
            folder = tmp_path_factory.mktemp(model)
            space = gan_search.write_space(folder, model=model)
            gan_search.run(gan_search.request(folder, space, n_trials=2))
            found.append(str(folder / "out"))
    return found


@pytest.fixture(autouse=True)
def real_score(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Real images have 8.0; returns the shapes of those that were scored."""
    scored: list[tuple[int, ...]] = []
    monkeypatch.setattr(quality, "modified_score", lambda images, _: scored.append(tuple(images.shape)) or 8.0)
    return scored


def test_it_leaves_figures_and_numbers(folders: list[str], tmp_path: Path, real_score: list[object]) -> None:
    outcome = tiny.done("grid", *folders, "--output", str(tmp_path / "new/grid"))
    names = ["figure2.png", "figure2.svg", "figure3.png", "figure3.svg", "grid.json", "grid.md"]
    assert sorted(path.name for path in (tmp_path / "new/grid").iterdir()) == names
    assert outcome.stdout.startswith(
        "EBGAN: 2 of 16 settings, of 1 architectures, 0 diverged. Only with generator."
    )
    assert "\nGAN: 2 of 16 settings, of 1 architectures, 0 diverged. Only with generator." in outcome.stdout
    assert "I' >= 2.00" in outcome.stdout
    assert outcome.stderr == ""
    assert real_score == [(10_000, 784)]
    assert (tmp_path / "new/grid/grid.md").read_text().splitlines()[:2] == outcome.stdout.splitlines()[:2]


def test_json_is_the_file(folders: list[str], tmp_path: Path) -> None:
    thresholds = ("--threshold", "5", "--threshold", "0.5")
    outcome = tiny.done("grid", *folders, "--output", str(tmp_path), *thresholds, "--json")
    assert outcome.stdout == (tmp_path / "grid.json").read_text()
    found = json.loads(outcome.stdout)
    assert (found["real_score"], found["thresholds"]) == (8.0, [0.5, 5.0])
    assert [found[name]["folder"] for name in ("ebgan", "gan")] == folders


@pytest.mark.parametrize("score", ["nan", "inf"])
def test_a_threshold_that_is_no_number_is_refused(folders: list[str], tmp_path: Path, score: str) -> None:
    said = tiny.refused("grid", *folders, "--output", str(tmp_path / "grid"), "--threshold", score)
    assert said == f"--threshold {score}: must be a number above 0"
    assert not (tmp_path / "grid").exists()


def test_nothing_is_left_by_what_is_refused(folders: list[str], tmp_path: Path) -> None:
    output = tmp_path / "grid"
    said = tiny.refused("grid", *folders[::-1], "--output", str(output))
    assert said.startswith("give the folder of the search of EBGANs first")
    assert "it has no search.json" in tiny.refused("grid", str(tmp_path), folders[1], "--output", str(output))
    assert "Missing option '--output'" in tiny.invoke("grid", *folders).stderr
    assert not output.exists()
    output.write_text("mine")
    tiny.refused("grid", *folders, "--output", str(output))
    assert output.read_text() == "mine"
