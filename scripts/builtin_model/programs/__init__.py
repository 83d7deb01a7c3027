"""The programs that the built-in model learns to write."""
