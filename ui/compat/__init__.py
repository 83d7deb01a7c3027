"""Everything that this page uses of Gradio and that Gradio does not document, each with the reason.

tests/ui/compat checks all of it with the installed version of Gradio.
"""

from .blocks import PROGRESS_S, QUEUE_S, StrictBlocks, event_data, put_first, skip_statistics, slow_down_queue
from .page_sessions import MAX_PAGES, small_sessions

__all__ = ["MAX_PAGES", "PROGRESS_S", "QUEUE_S", "StrictBlocks", "event_data", "put_first", "skip_statistics", "slow_down_queue",
           "small_sessions"]
