"""A model's files: which are required, and what config.json and the safetensors headers contain. No tensor is read here."""
