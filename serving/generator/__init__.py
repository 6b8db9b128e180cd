"""Generates text with one loaded decoder, many requests at once. Knows nothing of Triton."""
