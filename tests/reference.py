"""The papers' equations as plain loops over examples and units, in float64 and for one replica at a time.

Written from Rasmus et al. 2015 (arXiv 1507.02672), Pezeshki et al. 2016 (arXiv 1511.06430) and Zhao et al. 2017
(arXiv 1609.03126), to be compared with the batched code. Gradients are central differences, so whatever the batched
code detaches shows itself.

A matrix is a list of rows, one row an example. Parameters of a replica are float64 arrays under the names that
the modules give them: encoder.k holds W of layer k + 1, decoder_weight.l the V from layer l + 1 down to l,
combinator.l the vectors of layer l's denoising function.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

Matrix = list[list[float]]
Parameters = dict[str, np.ndarray]

EPSILON = 1e-10


def linear(x: Matrix, weight: Matrix) -> Matrix:
    return [[sum(a * weight[i][j] for i, a in enumerate(row)) for j in range(len(weight[0]))] for row in x]


def mean_and_variance(z: Matrix) -> tuple[list[float], list[float]]:
    """Of each unit over the examples; the variance divides by their number."""
    n, units = len(z), range(len(z[0]))
    mean = [sum(row[j] for row in z) / n for j in units]
    return mean, [sum((row[j] - mean[j]) ** 2 for row in z) / n for j in units]


def normalize(z: Matrix, mean: Sequence[float], variance: Sequence[float]) -> Matrix:
    return [[(a - m) / math.sqrt(v + EPSILON) for a, m, v in zip(row, mean, variance, strict=True)] for row in z]


def batch_norm(z: Matrix) -> Matrix:
    return normalize(z, *mean_and_variance(z))


def add_noise(z: Matrix, noise: Matrix | None, std: float) -> Matrix:
    if noise is None:
        return z
    return [[a + std * b for a, b in zip(row, beside, strict=True)] for row, beside in zip(z, noise, strict=True)]


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def log_softmax(logits: Sequence[float]) -> list[float]:
    log_sum = math.log(sum(math.exp(a) for a in logits))
    return [a - log_sum for a in logits]


def gaussian_combinator(z: float, u: float, a: Sequence[float]) -> float:
    """One unit of one example; `a` holds a1..a10."""
    mu = a[0] * sigmoid(a[1] * u + a[2]) + a[3] * u + a[4]
    v = a[5] * sigmoid(a[6] * u + a[7]) + a[8] * u + a[9]
    return (z - mu) * v + mu


def vanilla_combinator(z: float, u: float, a: Sequence[float]) -> float:
    """`a` holds b0, w0z, w0u, w0zu, w_sigma, b1, w1z, w1u, w1zu."""
    inner = a[5] + a[6] * z + a[7] * u + a[8] * z * u
    return a[0] + a[1] * z + a[2] * u + a[3] * z * u + a[4] * sigmoid(inner)


def amlp_combinator(z: float, u: float, a: Sequence[float]) -> float:
    """`a` holds, of four hidden units each, the biases, the weights of u, z and uz, those to z_hat; its bias."""
    z_hat = a[20]
    for k in range(4):
        x = a[k] + a[4 + k] * u + a[8 + k] * z + a[12 + k] * u * z
        z_hat += a[16 + k] * (x if x > 0 else 0.1 * x)
    return z_hat


COMBINATORS = {"gaussian": gaussian_combinator, "vanilla": vanilla_combinator, "amlp": amlp_combinator}


@dataclass
class Network:
    """What a ladder is, beside its parameters."""

    sizes: Sequence[int]
    noise_stds: Sequence[float]  # of layers 0..L
    denoising_weights: Sequence[float]  # of layers 0..L, on the mean square over units and examples
    combinator: str = "gaussian"

    def lambda_energy(self) -> float:
        """Weight of the squared error of layer 0 summed over pixels."""
        return self.denoising_weights[0] / self.sizes[0]


@dataclass
class Pass:
    """One pass through the encoder of images that are normalised together; the halves of a batch take two."""

    z: list[Matrix]  # layers 0..L
    statistics: list[tuple[list[float], list[float]]]  # of layers 1..L, before normalisation
    logits: Matrix
    code: Matrix = field(default_factory=list)  # h of the highest hidden layer


def encode(
    p: Parameters,
    net: Network,
    x: Matrix,
    noise: Matrix | None,
    fixed: Sequence[tuple[list[float], list[float]]] | None = None,
) -> Pass:
    """The corrupted pass, the clean one without noise, the evaluation with `fixed` means and variances."""
    ends = np.cumsum(net.sizes).tolist()

    def of_layer(layer: int) -> Matrix | None:
        return noise and [row[ends[layer] - net.sizes[layer] : ends[layer]] for row in noise]

    z = add_noise(x, of_layer(0), net.noise_stds[0])
    done = Pass([z], [], [])
    h, top = z, len(net.sizes) - 1
    for layer in range(1, top + 1):
        z_pre = linear(h, p[f"encoder.{layer - 1}"].tolist())
        statistics = fixed[layer - 1] if fixed else mean_and_variance(z_pre)
        z = add_noise(normalize(z_pre, *statistics), of_layer(layer), net.noise_stds[layer])
        beta = p[f"beta.{layer - 1}"].ravel().tolist()
        shifted = [[a + b for a, b in zip(row, beta, strict=True)] for row in z]
        if layer < top:
            h = done.code = [[max(0.0, a) for a in row] for row in shifted]
        else:
            gamma = p["gamma"].ravel().tolist()
            done.logits = [[g * a for g, a in zip(gamma, row, strict=True)] for row in shifted]
        done.z.append(z)
        done.statistics.append(statistics)
    return done


def decode(
    p: Parameters,
    net: Network,
    corrupted: Pass,
    lowest: int,
    fixed: dict[int, tuple[list[float], list[float]]] | None = None,
) -> dict[int, Matrix]:
    """From the top down; normalised by the statistics of these images, or in evaluation by `fixed` ones."""
    top = len(net.sizes) - 1
    z_hat: dict[int, Matrix] = {}
    for layer in range(top, lowest - 1, -1):
        if layer == top:
            below = [[math.exp(a) for a in log_softmax(row)] for row in corrupted.logits]
        else:
            below = linear(z_hat[layer + 1], p[f"decoder_weight.{layer}"].tolist())
        u = normalize(below, *fixed[layer]) if fixed else batch_norm(below)
        a = p[f"combinator.{layer}"].squeeze(-2).T.tolist()
        combine = COMBINATORS[net.combinator]
        z_hat[layer] = [
            [combine(z, v, a[j]) for j, (z, v) in enumerate(zip(*rows, strict=True))]
            for rows in zip(corrupted.z[layer], u, strict=True)
        ]
    return z_hat


def energy(reconstruction: Matrix, x: Matrix) -> list[float]:
    """Squared error of each example, summed over pixels."""
    return [sum((a - b) ** 2 for a, b in zip(*rows, strict=True)) for rows in zip(reconstruction, x, strict=True)]


def mean_square(z_hat: Matrix, z: Matrix) -> float:
    return sum(energy(z_hat, z)) / (len(z) * len(z[0]))


@dataclass
class Images:
    """A batch of one replica; `noise` has a row for each labelled, then for each unlabelled image."""

    labeled: Matrix
    labels: list[int]
    unlabeled: Matrix
    noise: Matrix


@dataclass
class Costs:
    total: float
    classification: float
    denoising: float
    energy: float


def classification_cost(logits: Matrix, labels: Sequence[int]) -> float:
    return -sum(log_softmax(row)[label] for row, label in zip(logits, labels, strict=True)) / len(labels)


def ladder_costs(p: Parameters, net: Network, images: Images, classification_weight: float) -> Costs:
    n_labeled = len(images.labels)
    labeled = encode(p, net, images.labeled, images.noise[:n_labeled])
    classification = classification_cost(labeled.logits, images.labels)
    weighted = [layer for layer, weight in enumerate(net.denoising_weights) if weight]
    denoising = bottom = 0.0
    if weighted:
        corrupted = encode(p, net, images.unlabeled, images.noise[n_labeled:])
        clean = encode(p, net, images.unlabeled, None)
        z_hat = decode(p, net, corrupted, min(weighted))
        for layer in weighted:
            if layer == 0:
                cost = mean_square(z_hat[0], images.unlabeled)
                bottom = sum(energy(z_hat[0], images.unlabeled)) / len(images.unlabeled)
            else:
                cost = mean_square(normalize(z_hat[layer], *clean.statistics[layer - 1]), clean.z[layer])
            denoising += net.denoising_weights[layer] * cost
    return Costs(classification_weight * classification + denoising, classification, denoising, bottom)


def generate(p: Parameters, n_layers: int, latents: Matrix) -> Matrix:
    """Normalisation and ReLU after every layer but the last, which ends in a sigmoid."""
    h = latents
    for layer in range(n_layers):
        bias = p[f"bias.{layer}"].ravel().tolist()
        z = linear(h, p[f"weight.{layer}"].tolist())
        last = layer == n_layers - 1
        shifted = [[a + b for a, b in zip(row, bias, strict=True)] for row in (z if last else batch_norm(z))]
        h = [[sigmoid(a) if last else max(0.0, a) for a in row] for row in shifted]
    return h


def energies(p: Parameters, net: Network, x: Matrix, noise: Matrix | None) -> list[float]:
    """D(x) of each image, normalised by the statistics of these images alone."""
    return energy(decode(p, net, encode(p, net, x, noise), 0)[0], x)


def hinge(energies_generated: Sequence[float], margin: float) -> float:
    """Mean over the examples of [m - D(G(z))]^+."""
    return sum(max(0.0, margin - e) for e in energies_generated) / len(energies_generated)


def discriminator_loss(real: Sequence[float], generated: Sequence[float], margin: float) -> float:
    """Eq. (1), averaged over the batch."""
    return sum(real) / len(real) + hinge(generated, margin)


def generator_loss(generated: Sequence[float]) -> float:
    """Eq. (2), averaged over the batch."""
    return sum(generated) / len(generated)


def pulling_away(code: Matrix) -> float:
    """Eq. (14): the mean squared cosine of all ordered pairs; a row of zeros has none."""
    total, n = 0.0, len(code)
    for i, a in enumerate(code):
        for j, b in enumerate(code):
            lengths = math.hypot(*a) * math.hypot(*b)
            if i != j and lengths:
                total += (sum(x * y for x, y in zip(a, b, strict=True)) / lengths) ** 2
    return total / (n * (n - 1))


def numerical_gradient(function: Callable[[Parameters], float], p: Parameters, h: float = 1e-6) -> Parameters:
    """Central differences of `function` by every single parameter."""
    gradient = {name: np.zeros_like(array) for name, array in p.items()}
    for name, array in p.items():
        for place in np.ndindex(array.shape):
            kept = array[place]
            array[place] = kept + h
            above = function(p)
            array[place] = kept - h
            gradient[name][place] = (above - function(p)) / (2 * h)
            array[place] = kept
    return gradient


class Adam:
    """Kingma, Ba 2015, Algorithm 1, on a dictionary of arrays."""

    def __init__(self, p: Parameters, beta1: float, beta2: float, epsilon: float) -> None:
        self.p = {name: array.copy() for name, array in p.items()}
        self.m = {name: np.zeros_like(array) for name, array in p.items()}
        self.v = {name: np.zeros_like(array) for name, array in p.items()}
        self.beta1, self.beta2, self.epsilon, self.t = beta1, beta2, epsilon, 0

    def step(self, gradient: Parameters, learning_rate: float) -> None:
        self.t += 1
        for name, g in gradient.items():
            self.m[name] = self.beta1 * self.m[name] + (1 - self.beta1) * g
            self.v[name] = self.beta2 * self.v[name] + (1 - self.beta2) * g**2
            m_hat = self.m[name] / (1 - self.beta1**self.t)
            v_hat = self.v[name] / (1 - self.beta2**self.t)
            self.p[name] = self.p[name] - learning_rate * m_hat / (np.sqrt(v_hat) + self.epsilon)


# Between the batched code and the loops.


def parameters_of(module: nn.Module, replica: int) -> Parameters:
    return {name: array_of(p[replica]) for name, p in module.named_parameters()}


def gradients_of(module: nn.Module, replica: int) -> Parameters:
    """The .grad of one replica; zeros where there is none."""
    return {
        name: np.zeros(p.shape[1:]) if p.grad is None else array_of(p.grad[replica])
        for name, p in module.named_parameters()
    }


def array_of(tensor: Tensor) -> np.ndarray:
    return tensor.detach().double().numpy().copy()


def assert_same(actual: Parameters, expected: Parameters, rtol: float = 1e-4, atol: float = 1e-5) -> None:
    assert actual.keys() == expected.keys()
    for name in expected:
        np.testing.assert_allclose(actual[name], expected[name], rtol, atol, err_msg=name)


def images_of(images: Tensor, labels: Tensor, noise: Tensor, replica: int) -> Images:
    """Replica's part of the arguments of a step, labelled images first."""
    rows, n_labeled = images[replica].tolist(), labels.shape[1]
    return Images(rows[:n_labeled], labels[replica].tolist(), rows[n_labeled:], noise[replica].tolist())


@torch.no_grad()
def randomize(module: nn.Module, std: float = 0.6) -> None:
    """Give every parameter a value of its own; at the initial ones many gradients vanish."""
    for parameter in module.parameters():
        parameter.add_(std * torch.randn_like(parameter))


def snapshot(module: nn.Module | None) -> list[Tensor]:
    assert module is not None
    return [parameter.detach().clone() for parameter in module.parameters()]


def assert_equal(first: list[Tensor], second: list[Tensor]) -> None:
    assert len(first) == len(second)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
