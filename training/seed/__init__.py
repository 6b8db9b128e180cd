"""The project's own Chinese questions to begin with: written by hand, made from templates; and first keyword rules."""
