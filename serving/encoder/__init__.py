"""Texts in, embeddings out: tokenise, cut into micro-batches, run the engine. Knows nothing of Triton."""
