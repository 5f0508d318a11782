"""What `ladder-ebgan score` prints: a table with a line of words for each score, or one JSON object.

Keys of the JSON object: `scored`, what the images are; `n_images`; `n_reference`; `images`, `real_test_images` and
`pixel_noise`, each with modified_inception_score, inception_score, precision, recall, n_modes and class_kl;
`classifier`, what its file says of it.
"""

import json
from dataclasses import asdict
from typing import Any

from ladder_ebgan.quality.comparison import Comparison
from ladder_ebgan.quality.measure import Quality
from ladder_ebgan.report.lines import columns

WORDS = {
    "modified inception score": "sure of each image, and images of all digits: higher is better, no upper limit",
    "inception score": "the same in its usual form: from 1 to 10, higher is better",
    "precision": "share of these images that lie among real ones",
    "recall": "share of real images that lie among these",
    "digits found": "digits that at least 1 % of these images show, of 10",
    "digits' divergence": "how far the digits' shares are from real ones (KL, in nats): 0 is best",
}


def quality_text(scored: str, comparison: Comparison) -> str:
    """Return the table, what each score means, and what was compared with what."""
    names = ["", "these images", "real images", "noise"]
    cells = zip(*map(_cells, (comparison.images, comparison.real, comparison.noise)), strict=True)
    width = max(map(len, WORDS))
    lines = [
        f"{scored}: {comparison.n} images",
        "",
        *columns(names, [(name, *row) for name, row in zip(WORDS, cells, strict=True)]),
        "",
        *(f"{name:{width}}  {meaning}" for name, meaning in WORDS.items()),
        "",
        f"Real images are {comparison.n} test images of MNIST, noise is {comparison.n} images of uniform pixels.",
        f"All were compared with {comparison.n_reference} training images; precision and recall depend on n.",
    ]
    return "\n".join(lines) + "\n"


def quality_json(scored: str, comparison: Comparison, classifier: dict[str, Any]) -> str:
    """Return the JSON object."""
    record = {
        "scored": scored,
        "n_images": comparison.n,
        "n_reference": comparison.n_reference,
        "images": asdict(comparison.images),
        "real_test_images": asdict(comparison.real),
        "pixel_noise": asdict(comparison.noise),
        "classifier": classifier,
    }
    return json.dumps(record, indent=1, allow_nan=False) + "\n"


def _cells(quality: Quality) -> list[str]:
    return [
        f"{quality.modified_inception_score:.3f}",
        f"{quality.inception_score:.3f}",
        f"{quality.precision:.4f}",
        f"{quality.recall:.4f}",
        str(quality.n_modes),
        f"{quality.class_kl:.4f}",
    ]
