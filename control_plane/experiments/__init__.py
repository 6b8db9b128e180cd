"""Experiments: two versions of the intent model on real questions, what they did, and when to stop."""
