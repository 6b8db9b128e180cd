"""Conch: the command line that wires export, serving and the control plane together."""

__version__ = "0.1.0"
