"""The text of files: documents are read in a child process (child.py), which imports this package without the engine."""
