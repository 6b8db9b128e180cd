"""Turns checkpoints into immutable, proven versions in a Triton model repository. Never runs inside a server."""
