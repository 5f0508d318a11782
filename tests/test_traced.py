"""What is compiled on a GPU is traced here, each function as a single graph: they train as uncompiled ones do."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from conftest import SmallData
from group_run import Run, reported
from test_gan_gpu import EACH, trained
from torch.testing import assert_close

from ladder_ebgan import costs, processor
from ladder_ebgan.gan import training as gan_training
from ladder_ebgan.gan.training import Settings
from ladder_ebgan.products import replica_matmul
from ladder_ebgan.recipe import Recipe

MakeRecipe = Callable[..., Recipe]
FULL = "ladder.denoising_weights=[1000, 10, 0, 2, 0, 0, 0.5]"


@pytest.fixture
def trace(monkeypatch: pytest.MonkeyPatch, products_by_mkl: None) -> Callable[[], list[Any]]:
    """A function after whose call functions are traced, and which returns the list of their graphs."""

    def begin() -> list[Any]:
        torch._dynamo.reset()
        graphs: list[Any] = []

        def backend(graph: Any, _: object) -> Any:
            graphs.append(graph)
            return graph.forward

        def traced(function: Callable[..., Any], compiled: bool, device: torch.device) -> Callable[..., Any]:
            return torch.compile(function, dynamic=False, fullgraph=True, backend=backend)

        for module in (costs, gan_training):
            monkeypatch.setattr(module, "prepared", traced)
        return graphs

    return begin


pytestmark = pytest.mark.filterwarnings(  # PyTorch's own, when it compiles
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"
)


@pytest.mark.parametrize(
    ("model", "recipes", "n_graphs"),
    [
        ("ladder", [[]], 1),
        ("ladder", [[FULL]], 1),
        ("ladder", [[FULL, 'network.combinator="vanilla"']], 1),
        ("ladder", [[FULL, 'network.combinator="amlp"', "network.softmax_gamma=true"]], 1),
        ("ladder", [["ladder.denoising_weights=[0, 0, 0, 0, 0, 0, 0]"]], 1),
        ("ladder", [['ladder.pseudo_label_weight={shape = "linear", steps = [0, 6], values = [0, 1]}']], 1),
        (
            "ladder",
            [["network.input_noise=0.1"], ["ladder.classification_weight=0.2", "network.hidden_noise=0.5"]],
            1,
        ),
        # The costs alone and beside generated images, the generator, and the energy of its images.
        ("ebgan-ladder", [[]], 4),
        ("ebgan-ladder", [["ebgan-ladder.generator.source=noise"]], 3),
        ("ebgan-ladder", [["ebgan-ladder.pulling_away_weight=0.5"]], 4),
        ("ebgan-ladder", [["ebgan-ladder.corrupt_generated=false"]], 4),
        # The costs alone, the generator, and the energy of its images, once without gradient.
        ("ebgan-ladder", [["ebgan-ladder.margin.steps=[0]", "ebgan-ladder.margin.values=[0.0]"]], 4),
    ],
)
def test_a_traced_step_is_the_step(
    model: str,
    recipes: list[list[str]],
    n_graphs: int,
    small: MakeRecipe,
    data: SmallData,
    trace: Callable[[], list[Any]],
) -> None:
    given = [small(*each) for each in recipes]
    expected, graphs = Run(given, model, [0, 1][: len(given)], data).train(), trace()
    traced = Run(given, model, [0, 1][: len(given)], data).train()
    assert len(graphs) == n_graphs
    for a, b in zip(reported(expected), reported(traced), strict=True):
        assert_close(b, a, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("settings", EACH)
def test_a_traced_step_of_a_gan_is_the_step(settings: Settings, trace: Callable[[], list[Any]]) -> None:
    (_, expected), graphs = trained(settings, "cpu"), trace()
    _, traced = trained(settings, "cpu")
    assert 2 <= len(graphs) <= 4
    for (_, a), (_, b) in zip(expected, traced, strict=True):
        assert_close(b, a, rtol=1e-4, atol=1e-4)


def test_products_are_traced_as_those_of_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor, "has_avx512_beyond_mkl", lambda: True)
    called: list[str] = []

    def backend(graph: Any, _: object) -> Any:
        called.extend(str(node.target) for node in graph.graph.nodes)
        return graph.forward

    traced = torch.compile(replica_matmul, backend=backend, dynamic=False, fullgraph=True)
    traced(torch.ones(2, 3, 4), torch.ones(2, 4, 5))
    assert any("bmm" in name for name in called)
    assert not any("mkldnn" in name for name in called)
