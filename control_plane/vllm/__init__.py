"""What NVIDIA's vLLM backend leaves to those who ask it, and our own backend does itself."""
