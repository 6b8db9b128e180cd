"""Fits intent classifiers to labelled questions, and judges whether a new one may replace the old."""
