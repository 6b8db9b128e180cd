"""The backend of embedding and intent models: model.py is what Triton calls."""
