"""The question log: what was asked, masked, and what the platform answered; never what it cost the request."""
