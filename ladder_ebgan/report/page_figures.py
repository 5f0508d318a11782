"""The figures of a run folder as an HTML page holds them: inside it, with captions and descriptions."""

import base64
import re
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageChops

from ladder_ebgan.errors import UsageError
from ladder_ebgan.report.figures.drawing import DPI
from ladder_ebgan.report.table import MODELS

CSS_DPI = 96
MIME_TYPES = {".svg": "image/svg+xml", ".png": "image/png"}
# What a figure shows, by the beginning of its name, in the order of the page. The caption is for everybody, the
# description for who cannot see it; what follows the beginning is the name of a model or a number of labels.
KINDS = {
    "error_by_seed": (
        "Test error of each seed",
        "Points of one seed are joined: they share initial weights and, as a rule, labelled images. The mean is "
        "beside them.",
        "Test errors as points, a column for each model; the section Every seed has their numbers.",
    ),
    "learning_curves": (
        "Learning curves",
        "Error on training images whose labels the training never sees: the mean over seeds, and a band from the "
        "lowest to the highest.",
        "A line for each model, of the error over the training steps; history.csv has their numbers.",
    ),
    "energies": (
        "Energies and margin",
        "The energy of an image is its reconstruction error. The discriminator raises that of generated images "
        "with less energy than the margin, whose share is that of the open hinges.",
        "Lines of the energies of real and generated images, of the margin, and of the share of open hinges over "
        "the training steps; history.csv has their numbers.",
    ),
    "energy_histograms": (
        "Energies over time",
        "How the energies of real and of generated images are spread at each point of the learning curves, all "
        "seeds together, and the margin, below which the discriminator learns from generated images.",
        "Two maps, of real and of generated images: the share of them with an energy, over the training steps; "
        "energies.csv has their numbers.",
    ),
    "generated_images": (
        "Generated images",
        "Drawn by the generator of each seed after its last adversarial step.",
        "Rows of small images, at least one for each seed.",
    ),
    "labeled_images": (
        "Labelled images",
        "Training images whose labels the classifier is given, under the first seed that has them.",
        "Small images, a panel for each seed with images of its own, in it a row for each class.",
    ),
    "worst_mistakes": (
        "Worst mistakes",
        "Test images that were taken for a wrong class with the highest probability.",
        "Small test images, each with the class that it was given and the true one.",
    ),
    "confusion_matrix": (
        "Confusion matrix",
        "How many test images of each class were taken for which: the mean over seeds.",
        "A square of numbers, a row for each true class, a column for each class that was given.",
    ),
}


@dataclass(frozen=True)
class PageFigure:
    """A figure: what is said about it, and the file itself as an address."""

    title: str
    caption: str
    description: str
    address: str
    width: int | None  # CSS pixels; None where it is not known


def page_figures(folder: Path, examples: str = "images") -> list[PageFigure]:
    """Return the figures of a folder, each as SVG or as PNG, whichever is smaller; none if there is no folder.

    What they say of images they say of `examples`.
    """
    stems = {path.stem for path in folder.glob("*") if path.suffix in MIME_TYPES and not path.name.startswith(".")}
    return [_figure(folder, stem, examples) for stem in sorted(stems, key=_place)]


def _parts(stem: str) -> tuple[str | None, str, int | None]:
    """Return the kind of a figure, and whose it is: of which model, if of one, and with how many labels."""
    kind = next((kind for kind in KINDS if stem == kind or stem.startswith(f"{kind}_")), None)
    words = [word for word in stem.removeprefix(kind or "").split("_") if word]
    labels = int(words.pop()) if words and words[-1].isdecimal() else None
    return kind, " ".join(words), labels


def _place(stem: str) -> tuple[int, int, int, str]:
    """Return the place of a figure on the page: by its kind, then by labels, then by model."""
    kind, model, labels = _parts(stem)
    place = len(KINDS) if kind is None else list(KINDS).index(kind)
    return place, labels or 0, MODELS.index(model) if model in MODELS else len(MODELS), stem


def _figure(folder: Path, stem: str, examples: str) -> PageFigure:
    kind, model, labels = _parts(stem)
    title, caption, description = ("", "", "") if kind is None else KINDS[kind]
    if examples == "rows":  # of a table
        caption, description = (
            text.replace("images", "rows").replace("an image", "a row") for text in (caption, description)
        )
    files = {suffix: folder / f"{stem}{suffix}" for suffix in MIME_TYPES}
    readers = {".svg": _svg, ".png": _png}
    found = {suffix: readers[suffix](path) for suffix, path in files.items() if path.exists()}
    suffix = min(found, key=lambda suffix: len(found[suffix][0]))
    content, width = found[suffix]
    return PageFigure(
        title=", ".join(part for part in (title, model, "" if labels is None else f"{labels} labels") if part),
        caption=caption,
        description=description,
        address=f"data:{MIME_TYPES[suffix]};base64,{base64.b64encode(content).decode()}",
        width=width,
    )


def _svg(path: Path) -> tuple[bytes, int | None]:
    """Return an SVG file and its CSS width, if it has one in points."""
    content = path.read_bytes()
    width = re.search(rb'<svg[^>]* width="([\d.]+)pt"', content)
    return content, round(float(width[1]) * CSS_DPI / 72) if width else None


def _png(path: Path) -> tuple[bytes, int]:
    """Return a PNG file in fewer bytes, on white paper and without colours where all is grey, and its CSS width."""
    try:
        with Image.open(path, formats=["PNG"]) as image:
            inked = image.convert("RGBA")
    except OSError as error:
        raise UsageError(f"the figure {path} cannot be read: remove it, or draw it anew") from error
    opaque = Image.alpha_composite(Image.new("RGBA", inked.size, "white"), inked).convert("RGB")
    red, green, blue = opaque.split()
    grey = not (ImageChops.difference(red, green).getbbox() or ImageChops.difference(red, blue).getbbox())
    smaller = BytesIO()
    (red if grey else opaque).save(smaller, "png")
    return smaller.getvalue(), round(opaque.width * CSS_DPI / DPI)
