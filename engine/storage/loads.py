"""Time and memory of earlier loads, to predict those of the next load of the same model."""

from __future__ import annotations

import time
from dataclasses import dataclass

from .database import Database


@dataclass(frozen=True, slots=True)
class MeasuredPeak:
    """Peak memory of one load, and the cache it had: `visitors` windows of `context_tokens`."""

    peak_bytes: int
    context_tokens: int
    visitors: int


class LoadHistory:
    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, model: str, quantization: str, device: str, seconds: float, weight_bytes: int) -> None:
        """Store the time and memory of a load. Raises StorageError."""
        with self._database.transaction() as connection:
            connection.execute("INSERT INTO loads VALUES (?, ?, ?, ?, ?, ?)",
                               (model, quantization, device, seconds, weight_bytes, time.time()))

    def last_seconds(self, model: str, quantization: str, device: str) -> float | None:
        """Return the seconds that the latest load of this model took here; None if there was none. Raises StorageError."""
        with self._database.transaction() as connection:
            row = connection.execute(
                "SELECT seconds FROM loads WHERE model = ? AND quantization = ? AND device = ? ORDER BY at DESC LIMIT 1",
                (model, quantization, device)).fetchone()
        return None if row is None else float(row[0])

    def add_peak(self, model: str, quantization: str, device: str, peak: MeasuredPeak) -> None:
        """Store the peak memory of a load, replacing the previous value. Raises StorageError."""
        with self._database.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO load_peaks VALUES (?, ?, ?, ?, ?, ?, ?)",
                               (model, quantization, device, peak.peak_bytes, peak.context_tokens, peak.visitors, time.time()))

    def last_peak(self, model: str, quantization: str, device: str) -> MeasuredPeak | None:
        """Return the peak of the latest measured load of this model here; None if there was none. Raises StorageError."""
        with self._database.transaction() as connection:
            row = connection.execute(
                "SELECT peak_bytes, context_tokens, visitors FROM load_peaks WHERE model = ? AND quantization = ? AND device = ?",
                (model, quantization, device)).fetchone()
        return None if row is None else MeasuredPeak(*row)
