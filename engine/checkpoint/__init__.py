"""A model's files: which ones there must be, and what config.json and the safetensors headers say. No tensor is read here."""
