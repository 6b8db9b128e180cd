"""What a user wants: the cascade of model, keyword rules and language model."""
