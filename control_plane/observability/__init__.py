"""What the platform tells of itself: metrics, usage, structured logs, request ids."""
