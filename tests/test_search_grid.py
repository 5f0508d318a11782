"""Grids read from the folders of searches, and what figures 2 and 3 have of them."""

import json
from collections.abc import Iterator
from pathlib import Path

import gan_search
import grids
import pytest
from optuna.trial import TrialState

from ladder_ebgan.errors import UsageError
from ladder_ebgan.search.events import Stepped
from ladder_ebgan.search.grid import Grid, Optimizers, read_grid
from ladder_ebgan.search.grid_comparison import compare_grids
from ladder_ebgan.search.study import SCORES
from ladder_ebgan.search.trainer import BatchTrained


@pytest.fixture(autouse=True)
def fake_scores(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with gan_search.patched(monkeypatch):
        yield


def test_a_grid_is_read_from_its_folder(tmp_path: Path) -> None:
    space = gan_search.write_space(tmp_path, ("[3, 2]", "[3, 4]"))
    _, trials = gan_search.run(gan_search.request(tmp_path, space, "generator.n_layers=4"))
    found = read_grid(tmp_path / "out")
    assert (found.folder, found.model) == (tmp_path / "out", "gan")
    assert (len(found.runs), found.n_unfinished, found.n_settings) == (8, 0, gan_search.N_SETTINGS)
    assert (found.n_diverged, found.n_architectures) == (0, 2)
    assert [run.score for run in found.runs] == [trial.value for trial in trials]
    assert {run.architecture for run in found.runs} == {(4, 4, 2, 6, 0.0), (4, 5, 2, 6, 0.0)}
    assert {run.most_layers for run in found.runs} == {4}
    assert {run.n_modes for run in found.runs} == {10}
    assert found.covered == {"generator.n_layers": [4]}
    rates = {Optimizers(d, "sgd", rate, rate) for d in ("adam", "sgd") for rate in (0.01, 0.001)}
    assert {run.optimizers for run in found.runs} == rates
    shared = {key: found.shared[key] for key in ("n_steps", "padding", "latent_size")}
    assert shared == {"n_steps": 6, "padding": 0, "latent_size": 3}
    assert found.shared["data"]["name"] == "digits"
    assert found.shared["training"]["batch_size"] == 20


def test_a_variant_is_read_as_it_was_trained(tmp_path: Path) -> None:
    variant = ('variants.wide.of="ebgan"', 'variants.wide.set=["discriminator.dropout=0.25"]')
    changes = (
        '"ebgan.discriminator.n_layers=2",',
        f'"ebgan.discriminator.n_layers=2", {json.dumps(variant)[1:-1]},',
    )
    space = gan_search.write_space(tmp_path, changes, ('model = "ebgan"', 'model = "wide"'), model="ebgan")
    gan_search.run(gan_search.request(tmp_path, space, n_trials=1))
    found = read_grid(tmp_path / "out")
    assert found.model == "wide"
    assert [run.architecture[-1] for run in found.runs] == [0.25]
    assert found.shared["n_steps"] == 6


def test_diverged_runs_count_with_0_and_unfinished_ones_not_at_all(tmp_path: Path) -> None:
    space = gan_search.write_space(tmp_path, ("[0.01, 0.001]", "[0.01, 1e30]"), ('"adam", "sgd"', '"sgd"'))
    gan_search.run(gan_search.request(tmp_path, space, n_trials=2))
    stop = Stepped(2)
    _, trials = gan_search.run(
        gan_search.request(tmp_path, space, n_trials=4),
        stop_after=lambda event: isinstance(event, BatchTrained) and event.said == stop,
    )
    found = read_grid(tmp_path / "out")
    (kept,) = [trial for trial in trials if trial.state == TrialState.COMPLETE and SCORES in trial.user_attrs]
    assert sorted(run.score for run in found.runs) == [0, kept.value]
    assert [(run.diverged, run.n_modes) for run in found.runs if run.score == 0] == [(True, 0)]
    assert (found.n_diverged, found.n_unfinished, found.n_settings) == (1, 2, 8)


def test_other_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is not the folder of a search: it has no search\.json"):
        read_grid(tmp_path)
    gan_search.run(gan_search.request(tmp_path, gan_search.write_random_space(tmp_path, 1)))
    with pytest.raises(UsageError, match=r"out is no search of a grid of GANs: give one such as .* grid-ebgan"):
        read_grid(tmp_path / "out")


def test_a_journal_that_is_gone_or_damaged_is_refused(tmp_path: Path) -> None:
    gan_search.run(gan_search.request(tmp_path, gan_search.write_space(tmp_path), n_trials=1))
    journal = tmp_path / "out/study.journal"
    journal.write_text("{}\n{}\n")
    with pytest.raises(UsageError, match=r"study.journal is damaged"):
        read_grid(tmp_path / "out")
    journal.unlink()
    with pytest.raises(UsageError, match="there is no journal of a search"):
        read_grid(tmp_path / "out")


# What is compared.


def test_figure_2_is_by_the_deeper_side() -> None:
    panels = grids.compared().of_figure("figure2")
    assert [panel.title for panel in panels] == ["(a) all", "(b) at most 4 layers", "(c) at most 3 layers"]
    scores = [[[run.score for run in side.runs] for side in (p.ebgan, p.gan) if side] for p in panels]
    assert scores == [[[6, 4, 7], [1, 5, 0, 2]], [[6, 4], [1, 5]], [[6]]]
    assert [panel.comparison is None for panel in panels] == [False, False, True]


def test_figure_3_is_by_optimisers_beside_all_ebgans() -> None:
    panels = grids.compared().of_figure("figure3")
    assert [panel.title for panel in panels] == ["D adam, G adam, 0.001", "D sgd, G adam, 0.01"]
    assert [[run.score for run in panel.gan.runs] for panel in panels if panel.gan] == [[5, 2], [1, 0]]
    assert [[run.score for run in panel.ebgan.runs] for panel in panels if panel.ebgan] == [[6, 4, 7]] * 2


def test_panels_stand_by_optimiser_then_from_the_largest_rate_on() -> None:
    each = [Optimizers("sgd", "adam", 0.1, 0.1), Optimizers("adam", "sgd", 0.01, 0.1), grids.ADAM]
    each += [Optimizers("adam", "sgd", 0.1, 0.1), Optimizers("adam", "sgd", 0.01, 0.2)]
    gan = grids.grid("gan", [grids.run(1, 1, optimizers=optimizers) for optimizers in each])
    panels = compare_grids(grids.grid("ebgan", []), gan, 8.0).of_figure("figure3")
    titles = ["G adam, 0.001", "G sgd, 0.1", "G sgd, 0.01, 0.2", "G sgd, 0.01, 0.1"]
    assert [panel.title for panel in panels] == [*(f"D adam, {title}" for title in titles), "D sgd, G adam, 0.1"]
    assert [panel.ebgan for panel in panels] == [None] * 5


def test_the_numbers_of_a_panel_are_worked_by_hand() -> None:
    """Of 12 pairs with 1, 5, 0 and 2 the EBGANs' 6 and 7 win four each, and 4 wins three."""
    found = grids.compared()
    panel = found.panels[0]
    assert found.thresholds == [2, 4, 6]
    assert panel.ebgan is not None
    assert panel.gan is not None
    assert panel.comparison is not None
    assert panel.comparison.probability == pytest.approx(11 / 12)
    assert (panel.ebgan.level.median, panel.gan.level.median) == (6, 1.5)
    assert [share.share for share in panel.ebgan.level.above] == [1, 1, pytest.approx(2 / 3)]
    assert [share.share for share in panel.gan.level.above] == [0.5, 0.25, 0]
    assert panel.ebgan.all_digits.share == pytest.approx(2 / 3)
    assert panel.gan.all_digits.share == 0.25
    assert (panel.ebgan.level.n_clusters, panel.gan.level.n_clusters) == (3, 2)


def test_thresholds_may_be_ones_own() -> None:
    assert grids.compared((5, 3, 5)).thresholds == [3, 5]


def shares_nothing(model: str, **shared: object) -> Grid:
    return grids.grid(model, [], shared={**grids.SHARED, **shared})


@pytest.mark.parametrize(
    ("ebgan", "gan", "said"),
    [
        (shares_nothing("gan"), shares_nothing("gan"), "give the folder of the search of EBGANs first, then"),
        (shares_nothing("ebgan"), shares_nothing("ebgan"), "give the folder of the search of EBGANs first, then"),
        (
            shares_nothing("ebgan"),
            grids.grid("ebgan-pt", [], has_energy=True),
            "give the folder of the search of EBGA",
        ),
        (
            shares_nothing("ebgan", n_steps=20),
            shares_nothing("gan"),
            "the two searches cannot be compared: n_steps is 20 in ebgan, 30000 in gan",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused(ebgan: Grid, gan: Grid, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        compare_grids(ebgan, gan, 8.0)
