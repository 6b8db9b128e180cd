"""Long work in processes of its own: what is to be done, who does it, how far it is. The table is the truth."""
