"""Text generation: prompts, answers and their streams, whoever computes them."""
