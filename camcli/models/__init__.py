"""Classifiers cut in two: features and tail."""
