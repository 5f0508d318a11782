"""How good generated digits are: scores by a classifier that was trained on MNIST.

measure(images, reference, classifier)   all scores of generated images against real ones
load_classifier(device)                  the packaged classifier
cropped(images)                          digits of 32 x 32 in [-1, 1] as `measure` takes them

docs/quality.md says what each score is and what it can see.
"""

from ladder_ebgan.quality.classifier import Classifier, load_classifier
from ladder_ebgan.quality.measure import Described, Quality, compare, cropped, describe, measure, modified_score

__all__ = [
    "Classifier",
    "Described",
    "Quality",
    "compare",
    "cropped",
    "describe",
    "load_classifier",
    "measure",
    "modified_score",
]
