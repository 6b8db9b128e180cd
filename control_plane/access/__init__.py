"""Who may do what: API keys, scopes, limits on requests, and the audit log of what was changed and refused."""
