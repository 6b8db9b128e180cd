"""What is read from a question without a model: the time that it is about, and the keywords of rules."""
