"""sentence-transformers behind Flask: how teams serve embeddings before they have a platform.

gunicorn imports `create_app`. The endpoint has OpenAI's shape, as Conch's has, so that one client measures both.
Settings come from the environment because gunicorn owns the command line.
"""

import base64
import os

import numpy as np
import torch
from flask import Flask, Response, jsonify, request
from sentence_transformers import SentenceTransformer


def load_model(checkpoint: str, dtype: str, threads: int) -> SentenceTransformer:
    """Load a checkpoint directory on the CPU; `dtype` is a name in torch, such as "bfloat16"."""
    torch.set_num_threads(threads)
    return SentenceTransformer(checkpoint, device="cpu", model_kwargs={"dtype": getattr(torch, dtype)})


def embed(model: SentenceTransformer, texts: list[str]) -> np.ndarray:
    """Return unit embeddings, float32 [len(texts), dimension]; encode() itself sorts the texts by length."""
    rows = model.encode(texts, batch_size=32, convert_to_tensor=True, normalize_embeddings=True)
    return rows.float().numpy()


def create_app() -> Flask:
    """Build the application around the model in PEER_CHECKPOINT."""
    model = load_model(os.environ["PEER_CHECKPOINT"], os.environ["PEER_DTYPE"], int(os.environ["PEER_TORCH_THREADS"]))
    embed(model, ["warm up"] * 32)
    app = Flask(__name__)

    @app.get("/ready")
    def ready() -> str:
        return "ready"

    @app.post("/v1/embeddings")
    def embeddings() -> Response:
        job = request.get_json()
        rows = embed(model, job["input"])
        if job.get("encoding_format") == "base64":
            encoded = [base64.b64encode(row.astype("<f4").tobytes()).decode() for row in rows]
        else:
            encoded = rows.tolist()
        data = [{"object": "embedding", "index": index, "embedding": row} for index, row in enumerate(encoded)]
        return jsonify({"object": "list", "model": job["model"], "data": data})

    return app
