"""Python-based backends that Triton runs; each folder is one backend."""
