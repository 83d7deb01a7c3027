"""The command `python -m engine.models.fit` (a package, because its modules are imported elsewhere too)."""
