"""The figures of a run, one module for each kind; functions take arrays and rows, `of_run` finds them in a folder.

A figure is stored as `<name>.png` and `<name>.svg`; the path that a function takes is without the suffix. Importing
is cheap: matplotlib is loaded when the first figure is drawn. docs/figures.md says how to read them.
"""

from ladder_ebgan.report.figures.confusion import confusion_matrix
from ladder_ebgan.report.figures.curves import energies, learning_curves
from ladder_ebgan.report.figures.errors import error_by_seed
from ladder_ebgan.report.figures.histograms import energy_histograms
from ladder_ebgan.report.figures.mistakes import worst_mistakes
from ladder_ebgan.report.figures.of_run import write_figures
from ladder_ebgan.report.figures.pictures import generated_images, labeled_images

__all__ = [
    "confusion_matrix",
    "energies",
    "energy_histograms",
    "error_by_seed",
    "generated_images",
    "labeled_images",
    "learning_curves",
    "worst_mistakes",
    "write_figures",
]
