"""Three networks at once: what they say together, and where they disagree."""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from ladder_ebgan import LadderClassifier

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=1)
rng = np.random.default_rng(1)
few = np.full(len(y), -1)
for c in range(10):
    few[rng.choice(np.flatnonzero(y == c), 5, replace=False)] = c

ensemble = LadderClassifier(n_replicas=3, n_steps=500, random_state=0).fit(X, few)
each = ensemble.predict_proba_replicas(X_test).argmax(axis=2)  # [replicas, rows]
print("each:", *(f"{100 * np.mean(labels != y_test):.1f} %" for labels in each), "wrong")
wrong = ensemble.predict(X_test) != y_test
print(f"together: {100 * wrong.mean():.1f} % wrong")

agreed = ensemble.disagreement(X_test) == 0
print(
    f"all three agree on {100 * agreed.mean():.0f} % of the rows: {100 * wrong[agreed].mean():.1f} % wrong there,"
)
print(f"{100 * wrong[~agreed].mean():.0f} % where they do not")
