"""A run computes with the same number of threads from its start to its end, also after it was resumed."""

from __future__ import annotations

from pathlib import Path

import torch

from engine.finetune.trainer.process import THREADS, set_threads


def test_the_number_of_threads_is_chosen_once(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    try:
        set_threads(tmp_path)
        assert int((tmp_path / THREADS).read_text()) == torch.get_num_threads()
        (tmp_path / THREADS).write_text("2")
        set_threads(tmp_path)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
