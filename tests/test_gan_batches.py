import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from ladder_ebgan.batches import WINDOW_STEPS, BatchStream
from ladder_ebgan.errors import UsageError
from ladder_ebgan.gan.batches import GANBatchStream
from ladder_ebgan.gan.frame import framed, framed_size, unframed


def test_digits_are_padded_to_32_by_32_and_scaled() -> None:
    """Black, in the padding too, is -1, white 1; the picture stays in the middle."""
    images = torch.rand(2, 3, 784)
    images[0, 0] = 1.0
    assert framed_size([28, 28], 2) == 1024
    pictures = framed(images, [28, 28], 2).reshape(2, 3, 32, 32)
    assert_close(pictures[..., 2:30, 2:30].flatten(2), 2 * images - 1)
    assert (pictures[0, 0, 2:30, 2:30] == 1).all()
    border = torch.ones(32, 32, dtype=torch.bool)
    border[2:30, 2:30] = False
    assert (pictures[..., border] == -1).all()


@given(
    shape=st.one_of(
        st.tuples(st.integers(1, 5), st.integers(1, 5)),
        st.tuples(st.integers(1, 5), st.integers(1, 5), st.sampled_from([1, 3])),
    ),
    padding=st.integers(0, 3),
)
def test_a_frame_is_taken_off_again(shape: tuple[int, ...], padding: int) -> None:
    images = torch.rand(2, int(np.prod(shape)))
    inside = framed(images, shape, padding)
    assert inside.shape == (2, framed_size(shape, padding))
    assert_close(unframed(inside, shape, padding), images)


def test_features_without_an_image_shape_cannot_be_padded() -> None:
    assert framed_size([9], 0) == 9
    assert_close(framed(torch.tensor([[0.0, 0.5, 1.0]]), [3], 0), torch.tensor([[-1.0, 0.0, 1.0]]))
    with pytest.raises(UsageError, match="padding is 2, but the data has 9 features and no image shape"):
        framed_size([9], 2)


def stream(seeds: list[int], n_noise: int = 3) -> GANBatchStream:
    images = torch.arange(30 * 4).reshape(30, 4) / 120
    return GANBatchStream(images, [2, 2], 1, seeds, 5, 2, n_noise)


def test_a_batch_is_a_function_of_seed_and_step() -> None:
    together, alone = stream([3, 7]), stream([7])
    together.seek(4)
    alone.seek(2)
    alone.advance()
    alone.advance()
    for a, b in zip(together.current(), alone.current(), strict=True):
        assert a is not None
        assert b is not None
        assert torch.equal(a[1], b[0])
        assert not torch.equal(a[0], a[1])


def test_shapes_are_those_of_the_arguments() -> None:
    batches = stream([3, 7])
    batches.seek(0)
    batch = batches.current()
    assert batch.images.shape == (2, 5, 16)
    assert batch.latents.shape == (2, 5, 2)
    assert batch.noise is not None
    assert batch.noise.shape == (2, 10, 3)
    assert stream([3], 0).current().noise is None


def test_real_images_come_in_the_order_in_which_a_ladder_sees_its_unlabelled_ones() -> None:
    gan = stream([7])
    ladder = BatchStream(gan.images, torch.zeros(30, dtype=torch.int64), [np.arange(3)], [7], 5, 1, None)
    for step in (0, 9):
        gan.seek(step)
        ladder.seek(step)
        assert_close(gan.current().images, framed(ladder.current().images[:, 5:], [2, 2], 1))


def test_an_epoch_has_every_image_once() -> None:
    batches, seen = stream([7]), []
    batches.seek(0)
    for _ in range(6):
        seen.append(unframed(batches.current().images[0], [2, 2], 1)[:, 0])
        batches.advance()
    assert WINDOW_STEPS >= 6
    assert sorted((torch.cat(seen) * 30).round().int().tolist()) == list(range(30))
