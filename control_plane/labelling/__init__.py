"""Labelling: which questions people see, what they say of them, how far they agree, and the taxonomy they go by."""
