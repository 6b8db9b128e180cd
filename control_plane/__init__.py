"""Flask application that decides what Triton serves and answers REST and OpenAI-compatible requests."""
