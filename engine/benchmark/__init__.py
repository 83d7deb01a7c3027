"""How fast, how good, at what memory: measured, kept and compared. Holds no model; drives the engine like everybody else."""
