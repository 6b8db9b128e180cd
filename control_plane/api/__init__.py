"""The HTTP routes, one module for each API; they validate, call a service and shape the answer."""
