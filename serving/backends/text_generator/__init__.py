"""The backend of text generators: model.py is what Triton calls."""
