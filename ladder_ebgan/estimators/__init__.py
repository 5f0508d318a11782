"""The estimators: ladder networks and EBGAN-LN for people who know scikit-learn."""

from ladder_ebgan.estimators.classifiers import EBGANLadderClassifier, LadderClassifier
from ladder_ebgan.estimators.splitting import LabeledStratifiedKFold

__all__ = ["EBGANLadderClassifier", "LabeledStratifiedKFold", "LadderClassifier"]
