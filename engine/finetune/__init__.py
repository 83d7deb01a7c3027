"""Fine-tuning: from a file of examples to a better model in the same chat."""
