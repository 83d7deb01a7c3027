"""Models that turn a text into a vector, so that texts of similar meaning are found, and models that score a text for a question.

They compute on the CPU beside the chat model, one at a time, and are freed when they are not used.
"""

from .embedder import Kind
from .embedders import DOWNLOAD_BYTES, EmbedderInfo, Embedders, Question

__all__ = ["DOWNLOAD_BYTES", "EmbedderInfo", "Embedders", "Kind", "Question"]
