"""Model files of either kind: images drawn from what they hold."""

from collections.abc import Sequence

import torch

from ladder_ebgan.gan.models import TrainedGAN, load_gan, sample_gan
from ladder_ebgan.gan.recipe import GANRecipe
from ladder_ebgan.model_files import ModelFile
from ladder_ebgan.models import TrainedModel, load
from ladder_ebgan.sampling import Samples, sample


def sample_any(
    files: Sequence[ModelFile], device: torch.device, n: int, latent_seed: int
) -> tuple[Samples, TrainedModel | TrainedGAN]:
    """Draw n images from the generator of model files that were chosen together, and return the model as well.

    Raises:
        UsageError: a file is damaged, the files were trained differently, or there is no generator.
    """
    if isinstance(files[0].recipe, GANRecipe):
        gan = load_gan(files[0], device)
        return sample_gan(gan, n, latent_seed), gan
    model = load(files, device)
    return sample(model, n, latent_seed), model
