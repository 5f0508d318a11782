"""Trained GANs: their model files, and images drawn from them."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch

from ladder_ebgan.drawing import draw
from ladder_ebgan.energies import reconstruction_norm
from ladder_ebgan.errors import UsageError
from ladder_ebgan.gan.frame import framed_size, unframed
from ladder_ebgan.gan.recipe import EBGANSettings, GANRecipe
from ladder_ebgan.gan.training import GANState, initial_gan_state
from ladder_ebgan.machine import PRODUCT_DTYPES
from ladder_ebgan.model_files import RUN_FORMAT, ModelFile, in_words
from ladder_ebgan.models import read_checked
from ladder_ebgan.sampling import Samples
from ladder_ebgan.tensor_files import tensor_bytes


def gan_model_bytes(state: GANState, replica: int, metadata: dict[str, Any]) -> bytes:
    """Return one replica's networks as the bytes of a safetensors file; `metadata` says what the model is."""
    tensors = {name: tensor[replica : replica + 1] for name, tensor in _tensors(state).items()}
    return tensor_bytes(tensors, "model", {"format": RUN_FORMAT, **metadata})


def _tensors(state: GANState) -> dict[str, torch.Tensor]:
    modules = {"discriminator": state.discriminator, "generator": state.generator}
    return {f"{name}.{key}": value for name, module in modules.items() for key, value in module.named_parameters()}


@dataclass(frozen=True)
class TrainedGAN:
    """A trained GAN of one seed, on a device."""

    name: str
    seed: int
    state: GANState
    recipe: GANRecipe
    image_shape: tuple[int, ...]

    @property
    def description(self) -> str:
        """The model in words."""
        return in_words(self.name, 0, [self.seed])

    @property
    def examples(self) -> str:
        """What it draws."""
        return "images"

    @property
    def why_no_energy(self) -> str | None:
        """Why images have no energy, as a sentence; None where they have one."""
        if isinstance(self.recipe.settings(self.name), EBGANSettings):
            return None
        return f"No energies: the discriminator of {self.description} gives a logit."


def load_gan(file: ModelFile, device: torch.device) -> TrainedGAN:
    """Load the model file of a GAN.

    Raises:
        UsageError: the file is damaged, or contradicts its metadata.
    """
    assert isinstance(file.recipe, GANRecipe)
    metadata, settings = file.metadata, file.recipe.settings(file.metadata.model)
    n_features = framed_size(metadata.image_shape, settings.padding)
    sizes = {
        "discriminator": settings.discriminator_sizes(n_features),
        "generator": settings.generator.sizes(n_features),
    }
    shapes: dict[str, tuple[int, ...]] = {}
    for name, units in sizes.items():  # before networks are built that the file is too small for
        for layer, (n_in, n_out) in enumerate(pairwise(units)):
            shapes |= {f"{name}.weight.{layer}": (1, n_in, n_out), f"{name}.bias.{layer}": (1, 1, n_out)}
    held = read_checked(file, shapes)
    if held.keys() > shapes.keys():
        extra = min(held.keys() - shapes.keys())
        raise UsageError(f"the model file '{file.path}' contradicts its metadata: it should have no {extra}")
    dtype = PRODUCT_DTYPES[metadata.precision]
    state = initial_gan_state(settings, file.recipe.training, [metadata.seed], n_features, device, dtype)
    with torch.no_grad():
        for name, tensor in _tensors(state).items():
            tensor.requires_grad_(False).copy_(held[name])
    return TrainedGAN(metadata.model, metadata.seed, state, file.recipe, tuple(metadata.image_shape))


@torch.no_grad()
def sample_gan(model: TrainedGAN, n: int, latent_seed: int) -> Samples:
    """Draw n images, as `sampling.sample` does from the generator of a ladder.

    Energies are of whole batches as well, whose statistics normalise them as in training, without dropout.
    """
    settings, batch_size = model.recipe.settings(model.name), model.recipe.training.batch_size
    whole = -(-n // batch_size) * batch_size
    drawn = draw(model.state.generator, [latent_seed], whole, batch_size)
    energies = None
    if isinstance(settings, EBGANSettings):
        parts = drawn.split(batch_size, dim=1)
        judged = [reconstruction_norm(model.state.discriminator(part).output, part)[0] for part in parts]
        energies = torch.cat(judged)[:n].cpu().numpy()
    images = unframed(drawn[0, :n], model.image_shape, settings.padding).cpu().numpy()
    return Samples(images.reshape(n, *model.image_shape), energies)
