"""What runs inside the sandbox. Imports only the standard library and nothing of the engine, since it is started on its own."""
