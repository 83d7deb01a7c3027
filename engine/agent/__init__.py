"""The code agent: the model writes a program, the sandbox runs it, the model reads what came of it."""
