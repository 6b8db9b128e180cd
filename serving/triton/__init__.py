"""Finds, configures and starts a tritonserver. Knows nothing of models or of the control plane."""
