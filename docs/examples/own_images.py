"""Images in folders, one folder for each class, and a folder of images without a label."""

from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from ladder_ebgan import LadderClassifier

# Stand-ins for one's own images, in example-images: 0 to 9 with ten images each, and the rest in unsorted.
digits = load_digits()
taken = dict.fromkeys(range(10), 0)
for i, (pixels, digit) in enumerate(zip(digits.images[:1500], digits.target, strict=False)):
    taken[digit] += 1
    folder = Path("example-images", str(digit) if taken[digit] <= 10 else "unsorted")
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray((pixels * 255 / 16).astype(np.uint8)).save(folder / f"{i:04}.png")

# From here on it is what one would write for any images of one size.
paths = sorted(Path("example-images").glob("*/*.png"))
X = np.array([np.asarray(Image.open(path).convert("L")).ravel() / 255 for path in paths])
y = np.array(["" if path.parent.name == "unsorted" else path.parent.name for path in paths])
print(f"{len(X)} images of {X.shape[1]} pixels, {(y != '').sum()} with a label")

ladder = LadderClassifier(n_steps=600, random_state=0).fit(X, y)
unsorted = y == ""
sure = ladder.predict_proba(X[unsorted]).max(axis=1) > 0.99
print(f"{100 * sure.mean():.0f} % of the unsorted images have a class with a probability above 0.99")

truth = digits.target[[int(path.stem) for path in np.array(paths)[unsorted]]].astype(str)
right = ladder.predict(X[unsorted]) == truth
print(f"right: {100 * right.mean():.1f} % of all, {100 * right[sure].mean():.1f} % of those")
ladder.save("digits.safetensors")  # ladder-ebgan predict digits.safetensors rows.npz --output predictions.csv
