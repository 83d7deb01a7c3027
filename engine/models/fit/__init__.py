"""Whether a model fits: `arithmetic.py` says what it takes; `python -m engine.models.fit` prints it (a package, so that both work)."""

from .arithmetic import Fit, Verdict, compute_dtype, corrected, judge, kv_cache_bytes, weight_bytes

__all__ = ["Fit", "Verdict", "compute_dtype", "corrected", "judge", "kv_cache_bytes", "weight_bytes"]
