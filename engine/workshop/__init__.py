"""Runs of the code agent that belong to their owner, not to a page: worked on in threads, kept, followed from anywhere."""
