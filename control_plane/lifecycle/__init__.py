"""What should be live, and making it so: desired state, activation, reconciliation, over one Triton or a fleet."""
