"""What runs inside and around Triton: backends, engines, the server launcher. Knows nothing of the control plane."""
