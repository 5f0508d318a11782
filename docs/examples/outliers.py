"""The energy finds rows that are not like the others, without a label for them."""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

from ladder_ebgan import LadderClassifier

X, y = load_digits(return_X_y=True)
rng = np.random.default_rng(0)
rows = rng.permutation(len(X))
seen, unseen = X[rows[:1400]], X[rows[1400:]]
few = np.full(len(seen), -1)
few[:100] = y[rows[:100]]
ladder = LadderClassifier(n_steps=600, random_state=0).fit(seen, few)

strange = {
    "pixels shuffled over the rows": rng.permuted(unseen, axis=0),
    "a quarter of the image black": np.where(np.arange(64) % 8 < 2, 0, unseen),
    "upside down": unseen.reshape(-1, 8, 8)[:, ::-1].reshape(-1, 64),
}
normal = -ladder.score_samples(unseen)
print(f"energy of rows never seen: median {np.median(normal):.1f}")
for name, images in strange.items():
    energy = -ladder.score_samples(images)
    auc = roc_auc_score(np.repeat([0, 1], len(unseen)), np.concatenate([normal, energy]))
    print(f"{name}: median {np.median(energy):.1f}, {100 * auc:.0f} % of the pairs ranked rightly")
