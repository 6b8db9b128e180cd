"""The ways to train: the encoder frozen, or fine-tuned as a whole."""
