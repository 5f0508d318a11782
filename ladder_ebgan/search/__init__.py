"""Hyper-parameter search by the error on images held out of the training set. The test set is never read.

A *setting* is a recipe with some of its numbers chosen anew; it is one trial of an Optuna study. It is trained
once for each of a few labelled subsets. Settings that share shapes and steps train together, as replicas.
"""
