"""What runs inside the jail. Only the standard library, and nothing of the engine: this package is started on its own."""
