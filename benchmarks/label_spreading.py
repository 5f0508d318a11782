"""Test error of scikit-learn's LabelSpreading on the labelled images of a run folder, beside the run's own errors.

python benchmarks/label_spreading.py RUN_FOLDER

It sees what the networks see: all training images of MNIST, the labels of the run's subset only.
"""

import sys
from pathlib import Path

import numpy as np
from sklearn.semi_supervised import LabelSpreading

from ladder_ebgan.data import load_dataset
from ladder_ebgan.runs import RunFolder, read_record, replica_name


def main() -> None:
    path = Path(sys.argv[1])
    results = RunFolder(path, read_record(path)).results()
    mnist = load_dataset("mnist")
    for labels, seed in sorted({(result.labels, result.seed) for result in results}):
        replicas = [result for result in results if (result.labels, result.seed) == (labels, seed)]
        name = replica_name(replicas[0].model, labels, seed)
        with np.load(path / "predictions" / f"{name}.npz", allow_pickle=False) as arrays:
            subset = arrays["labeled_indices"]
        targets = np.full(len(mnist.train_labels), -1)
        targets[subset] = mnist.train_labels[subset]
        spreading = LabelSpreading(kernel="knn", n_jobs=-1).fit(mnist.train_images, targets)
        error = 100 * np.mean(spreading.predict(mnist.test_images) != mnist.test_labels)
        ours = ", ".join(f"{result.model} {result.test_error_percent:.2f} %" for result in replicas)
        print(f"{labels} labels, seed {seed}: LabelSpreading(kernel='knn') {error:.2f} %, {ours}", flush=True)


if __name__ == "__main__":
    main()
