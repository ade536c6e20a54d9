"""The command line: one module per command group; `main` holds the table of commands and the way errors are told."""
