"""How much memory models hold, and which of them give way when another needs it."""
