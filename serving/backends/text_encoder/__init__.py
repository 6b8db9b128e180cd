"""The backend of embedding models: model.py is what Triton calls."""
