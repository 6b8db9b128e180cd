"""Decoders of 8 bits in machine code of our own, for processors that multiply bytes in one instruction."""
