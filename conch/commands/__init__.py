"""One module for each `conch` subcommand; conch.cli imports a module only when its command is asked for."""
