"""The database: connections, transactions, migrations and leases. The only package that opens sessions."""
