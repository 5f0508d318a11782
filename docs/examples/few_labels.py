"""A table of measurements of wines: five labels of each of three cultivars, the other rows without one."""

import numpy as np
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split

from ladder_ebgan import LadderClassifier

wine = load_wine(as_frame=True)
cultivar = wine.target.map({0: "Barolo", 1: "Grignolino", 2: "Barbera"})
X, X_test, y, y_test = train_test_split(wine.data, cultivar, test_size=0.3, stratify=cultivar, random_state=1)

rng = np.random.default_rng(1)
labeled = np.concatenate([rng.choice(y.index[y == name], 5, replace=False) for name in sorted(set(y))])
y = y.where(y.index.isin(labeled))  # a missing value is a row without a label
print(f"{y.notna().sum()} labels, {y.isna().sum()} rows without one")

ladder = LadderClassifier(n_steps=1000, random_state=0).fit(X, y)
supervised = LadderClassifier(n_steps=1000, denoising_weights=0, random_state=0).fit(X, y)
print(f"of the test rows right: {100 * ladder.score(X_test, y_test):.1f} %")
print(f"by the same network without the other rows: {100 * supervised.score(X_test, y_test):.1f} %")

probabilities = ladder.predict_proba(X_test.head(2))
for label, row in zip(ladder.predict(X_test.head(2)), probabilities, strict=True):
    print(label, dict(zip(ladder.classes_, row.round(2).tolist(), strict=True)))
