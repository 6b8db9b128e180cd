"""Batches that train the intent model, and the versions that come of them."""
