"""What maintainers and the Makefile run; not part of the installed packages."""
