import numpy as np
import pytest
import reference
import torch
from torch import Tensor
from torch.testing import assert_close

from ladder_ebgan.evaluation import (
    IMAGES_AT_ONCE,
    calibrate,
    class_probabilities,
    clean_energies,
    clean_reconstructions,
    error_percent,
    labeled_calibration,
    top_features,
    unlabeled_calibration,
    unlabeled_sample,
)
from ladder_ebgan.ladder import Ladder, Statistics

SIZES = [5, 4, 3]
NETWORK = reference.Network(SIZES, [0.3] * 3, [20.0, 0.0, 0.0])


def ladder_of(seeds: list[int]) -> Ladder:
    ladder = Ladder(seeds, SIZES, NETWORK.denoising_weights, 0.3, 0.3)
    for parameter in ladder.parameters():
        for r, seed in enumerate(seeds):  # the same whichever seeds stand beside
            torch.manual_seed(seed)
            parameter.data[r] += 0.5 * torch.randn_like(parameter[r])
    return ladder


def images_of(n_images: int) -> Tensor:
    return torch.rand(n_images, SIZES[0])


def calibrated(ladder: Ladder, images: Tensor, subsets: list[np.ndarray], batch_size: int) -> Statistics:
    return calibrate(ladder, images, *labeled_calibration(subsets, batch_size))


def unbiased(ladder: Ladder, replica: int, images: Tensor) -> list[tuple[list[float], list[float]]]:
    """Means and unbiased variances of one clean pass, by loops."""
    p, n = reference.parameters_of(ladder, replica), len(images)
    statistics = reference.encode(p, NETWORK, images.tolist(), None).statistics
    return [(mean, [n / (n - 1) * v for v in variance]) for mean, variance in statistics]


def assert_statistics(actual: Statistics, replica: int, expected: list[tuple[list[float], list[float]]]) -> None:
    for layer, (mean, variance) in enumerate(expected):
        assert_close(actual.means[layer][replica, 0], torch.tensor(mean), rtol=1e-4, atol=1e-5)
        assert_close(actual.variances[layer][replica, 0], torch.tensor(variance), rtol=1e-4, atol=1e-5)


def test_as_many_labels_as_a_batch_calibrate_to_the_statistics_of_these_images() -> None:
    ladder, images = ladder_of([1, 2]), images_of(30)
    subsets = [np.arange(10), np.arange(29, 19, -1)]
    statistics = calibrated(ladder, images, subsets, 10)
    for r, subset in enumerate(subsets):
        assert_statistics(statistics, r, unbiased(ladder, r, images[subset]))


def test_larger_budgets_are_averaged_over_minibatches() -> None:
    """25 labels in batches of 10: three minibatches, the last of the places 20..24 and 0..4."""
    ladder, images = ladder_of([1]), images_of(30)
    subset = np.arange(25) + 3
    parts = [subset[:10], subset[10:20], np.concatenate([subset[20:], subset[:5]])]
    passes = [unbiased(ladder, 0, images[part]) for part in parts]
    expected = [
        tuple(np.mean([one[layer][which] for one in passes], axis=0).tolist() for which in (0, 1))
        for layer in range(2)
    ]
    assert_statistics(calibrated(ladder, images, [subset], 10), 0, expected)


def test_a_budget_below_the_batch_size_is_repeated() -> None:
    index, weight = labeled_calibration([np.array([4, 9, 2])], 8)
    assert index.tolist() == [[[4, 9, 2, 4, 9, 2, 4, 9]]]
    assert weight.tolist() == [[1.0]]


def test_budgets_that_differ_within_a_group_calibrate_as_if_alone() -> None:
    images, subsets = images_of(40), [np.arange(10), np.arange(35), np.arange(12)]
    together = calibrated(ladder_of([1, 2, 3]), images, subsets, 10)
    for r, seed in enumerate((1, 2, 3)):
        alone = calibrated(ladder_of([seed]), images, [subsets[r]], 10)
        for layer in range(2):
            assert_close(together.means[layer][r], alone.means[layer][0])
            assert_close(together.variances[layer][r], alone.variances[layer][0])


def test_weights_of_minibatches_sum_to_one_and_are_zero_beyond_a_replicas_own() -> None:
    _, weight = labeled_calibration([np.arange(10), np.arange(35)], 10)
    assert weight.tolist() == [[1.0, 0.0, 0.0, 0.0], [0.25] * 4]


def test_a_labelled_calibration_reads_the_subset_only() -> None:
    index, _ = labeled_calibration([np.array([3, 8]), np.arange(20, 45)], 10)
    assert set(index[0].flatten().tolist()) == {3, 8}
    assert set(index[1].flatten().tolist()) == set(range(20, 45))


def test_unlabeled_calibration_covers_all_images_once_in_an_order_of_the_seed() -> None:
    index, weight = unlabeled_calibration(35, [0, 1], 10, at_most=100)
    assert index.shape == (2, 3, 10)
    assert all(len(set(index[r].flatten().tolist())) == 30 for r in range(2))
    assert int(index.max()) < 35
    assert not torch.equal(index[0], index[1])
    assert_close(weight, torch.full((2, 3), 1 / 3))
    alone, _ = unlabeled_calibration(35, [1], 10, at_most=2)
    assert torch.equal(alone[0], index[1, :2])


def test_fewer_images_than_a_batch_make_one_minibatch() -> None:
    index, weight = unlabeled_calibration(6, [0], 10, at_most=5)
    assert sorted(index.flatten().tolist()) == list(range(6))
    assert weight.tolist() == [[1.0]]


def test_probabilities_equal_loops() -> None:
    ladder, images = ladder_of([1, 2]), images_of(20)
    subset = np.arange(10)
    probabilities = class_probabilities(ladder, calibrated(ladder, images, [subset] * 2, 10), images)
    for r in range(2):
        fixed = unbiased(ladder, r, images[subset])
        logits = reference.encode(reference.parameters_of(ladder, r), NETWORK, images.tolist(), None, fixed).logits
        expected = torch.tensor(logits).softmax(dim=-1)
        assert_close(probabilities[r], expected, rtol=1e-4, atol=1e-5)


def test_what_an_image_is_taken_for_does_not_depend_on_the_images_beside_it() -> None:
    ladder, images = ladder_of([1, 2]), images_of(40)
    statistics = calibrated(ladder, images, [np.arange(10)] * 2, 10)
    together = class_probabilities(ladder, statistics, images)
    for i in (0, 17, 39):
        assert_close(class_probabilities(ladder, statistics, images[i : i + 1])[:, 0], together[:, i])
    reversed_order = class_probabilities(ladder, statistics, images.flip(0))
    assert_close(reversed_order.flip(1), together)


def test_more_images_than_fit_at_once_keep_their_order() -> None:
    ladder, images = ladder_of([1]), images_of(IMAGES_AT_ONCE + 7)
    statistics = calibrated(ladder, images, [np.arange(10)], 10)
    together = class_probabilities(ladder, statistics, images)
    assert together.shape == (1, IMAGES_AT_ONCE + 7, 3)
    assert_close(together[:, -7:], class_probabilities(ladder, statistics, images[-7:]))


def test_replicas_may_have_images_of_their_own() -> None:
    ladder, images = ladder_of([1, 2]), images_of(12)
    statistics = calibrated(ladder, images, [np.arange(10)] * 2, 10)
    own = torch.stack([images, images.flip(0)])
    shared = class_probabilities(ladder, statistics, images)
    assert_close(class_probabilities(ladder, statistics, own), torch.stack([shared[0], shared[1].flip(0)]))


def test_evaluation_leaves_no_gradient_and_the_ladder_untouched() -> None:
    ladder, images = ladder_of([1]), images_of(12)
    before = [parameter.detach().clone() for parameter in ladder.parameters()]
    statistics = calibrated(ladder, images, [np.arange(10)], 10)
    assert not class_probabilities(ladder, statistics, images).requires_grad
    assert all(torch.equal(a, b) for a, b in zip(before, ladder.parameters(), strict=True))


def unbiased_decoder(ladder: Ladder, replica: int, images: Tensor) -> dict[int, tuple[list[float], list[float]]]:
    """Means and unbiased variances of what comes down the decoder in one clean pass, by loops."""
    p, n, top = reference.parameters_of(ladder, replica), len(images), len(SIZES) - 1
    clean = reference.encode(p, NETWORK, images.tolist(), None)
    z_hat = reference.decode(p, NETWORK, clean, 0)
    signals = {top: torch.tensor(clean.logits).softmax(dim=-1).tolist()}
    signals |= {k: reference.linear(z_hat[k + 1], p[f"decoder_weight.{k}"].tolist()) for k in range(top)}
    moments = {layer: reference.mean_and_variance(signal) for layer, signal in signals.items()}
    return {layer: (mean, [n / (n - 1) * v for v in variance]) for layer, (mean, variance) in moments.items()}


def test_the_decoder_is_calibrated_from_the_same_minibatches() -> None:
    """15 labels in batches of 10: the places 0..9, then 10..14 and 0..4."""
    ladder, images, subset = ladder_of([1, 2]), images_of(30), np.arange(15) + 3
    index, weight = labeled_calibration([subset] * 2, 10)
    statistics = calibrate(ladder, images, index, weight, with_decoder=True)
    assert statistics.decoder is not None
    assert set(statistics.decoder) == {0, 1, 2}
    parts = [subset[:10], np.concatenate([subset[10:], subset[:5]])]
    for r in range(2):
        passes = [unbiased_decoder(ladder, r, images[part]) for part in parts]
        for layer, moments in statistics.decoder.items():
            for which, found in enumerate(moments):
                expected = np.mean([one[layer][which] for one in passes], axis=0)
                assert_close(found[r, 0].double(), torch.from_numpy(expected), rtol=1e-4, atol=1e-5)


def test_the_encoders_statistics_are_the_same_bits_with_and_without_the_decoders() -> None:
    ladder, images = ladder_of([1, 2]), images_of(30)
    calibration = labeled_calibration([np.arange(15)] * 2, 10)
    alone = calibrate(ladder, images, *calibration)
    both = calibrate(ladder, images, *calibration, with_decoder=True)
    assert alone.decoder is None
    for a, b in zip([*alone.means, *alone.variances], [*both.means, *both.variances], strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(("weights", "decoded"), [([0.0, 0.0, 1.0], {2}), ([0.0] * 3, set())])
def test_only_decoded_layers_have_statistics(weights: list[float], decoded: set[int]) -> None:
    ladder = Ladder([1], SIZES, weights, 0.3, 0.3)
    index, weight = labeled_calibration([np.arange(10)], 10)
    statistics = calibrate(ladder, images_of(10), index, weight, with_decoder=True)
    assert statistics.decoder is not None
    assert set(statistics.decoder) == decoded


def energies_of(ladder: Ladder, images: Tensor, given: Tensor) -> Tensor:
    calibration = labeled_calibration([np.arange(10)] * len(ladder.encoder[0]), 10)
    return clean_energies(ladder, calibrate(ladder, images, *calibration, with_decoder=True), given)


def test_energies_equal_loops() -> None:
    ladder, images = ladder_of([1, 2]), images_of(20)
    energies = energies_of(ladder, images, images)
    assert energies.shape == (2, 20)
    for r in range(2):
        p, rows = reference.parameters_of(ladder, r), images.tolist()
        clean = reference.encode(p, NETWORK, rows, None, unbiased(ladder, r, images[:10]))
        z_hat = reference.decode(p, NETWORK, clean, 0, unbiased_decoder(ladder, r, images[:10]))
        expected = torch.tensor(reference.energy(z_hat[0], rows))
        assert_close(energies[r], expected, rtol=1e-4, atol=1e-5)


def test_the_energy_of_an_image_does_not_depend_on_the_images_beside_it() -> None:
    ladder, images = ladder_of([1, 2]), images_of(IMAGES_AT_ONCE + 5)
    together = energies_of(ladder, images, images)
    for i in (0, 17, IMAGES_AT_ONCE + 3):
        assert_close(energies_of(ladder, images, images[i : i + 1])[:, 0], together[:, i])
    assert not together.requires_grad


PROBABILITIES = torch.tensor([[[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]]])


@pytest.mark.parametrize(
    ("labels", "expected"),
    [([0, 1, 0, 1], 0.0), ([0, 1, 0, 0], 25.0), ([1, 0, 1, 0], 100.0)],
)
def test_error_is_the_share_of_wrong_labels_in_percent(labels: list[int], expected: float) -> None:
    assert error_percent(PROBABILITIES, torch.tensor(labels)).tolist() == [expected]


def test_only_the_first_images_count_where_sizes_say_so() -> None:
    """Wrong are the second and the fourth: 1 of 2, 1 of 3, and nothing to count."""
    labels = torch.tensor([0, 0, 0, 0])
    error = error_percent(PROBABILITIES.expand(3, 4, 2), labels, torch.tensor([2, 3, 0]))
    assert_close(error, torch.tensor([50.0, 100 / 3, torch.nan], dtype=torch.float64), equal_nan=True)


def test_replicas_may_have_labels_of_their_own() -> None:
    labels = torch.tensor([[0, 1, 0, 1], [1, 1, 0, 1]])
    assert error_percent(PROBABILITIES.expand(2, 4, 2), labels).tolist() == [0.0, 25.0]


def test_a_diverged_replica_has_no_error_and_the_others_keep_theirs() -> None:
    """Without care the NaN would count as some class, as it happens the first."""
    diverged = torch.cat([PROBABILITIES, PROBABILITIES, PROBABILITIES])
    diverged[1, 2, 0] = torch.nan
    error = error_percent(diverged, torch.tensor([0, 1, 0, 0]))
    assert_close(error, torch.tensor([25.0, torch.nan, 25.0], dtype=torch.float64), equal_nan=True)


def test_the_unlabeled_sample_has_no_labeled_image_and_belongs_to_the_seed() -> None:
    subset = np.arange(0, 50, 5)
    sample = unlabeled_sample(subset, np.arange(50), 3, 30)
    assert len(set(sample.tolist())) == 30
    assert not set(sample.tolist()) & set(subset.tolist())
    assert sample.tolist() == unlabeled_sample(subset, np.arange(50), 3, 30).tolist()
    assert sample.tolist() != unlabeled_sample(subset, np.arange(50), 4, 30).tolist()


def test_the_unlabeled_sample_is_all_the_rest_where_there_is_no_more() -> None:
    assert sorted(unlabeled_sample(np.array([1, 3]), np.arange(6), 0, 30).tolist()) == [0, 2, 4, 5]
    assert unlabeled_sample(np.arange(6), np.arange(6), 0, 30).size == 0


def test_reconstructions_are_what_energies_are_of() -> None:
    """More images than are evaluated at once, of two replicas."""
    ladder, images = ladder_of([1, 2]), images_of(IMAGES_AT_ONCE + 3)
    index = labeled_calibration([np.arange(30)] * 2, 10)
    statistics = calibrate(ladder, images, *index, with_decoder=True)
    errors = (clean_reconstructions(ladder, statistics, images) - images).square().sum(dim=-1)
    assert_close(errors, clean_energies(ladder, statistics, images))


def test_the_next_layer_is_a_product_of_the_top_features() -> None:
    ladder, images = ladder_of([1, 2]), images_of(IMAGES_AT_ONCE + 3)
    statistics = calibrated(ladder, images, [np.arange(10)] * 2, 10)
    features = top_features(ladder, statistics, images)
    assert features.shape == (2, IMAGES_AT_ONCE + 3, SIZES[-2])
    assert features.min() == 0
    encoding = ladder.encode(images.expand(2, *images.shape), statistics=statistics)
    assert_close(features @ ladder.encoder[-1], encoding.z_pre[-1])
