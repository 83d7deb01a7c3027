"""Work independent of any page: tasks in their own threads, followed and stopped from anywhere, and jobs stored in the database."""

from ..storage.runs import Job
from .jobs import MAX_RUNNING, JobProgress, Jobs, JobStopped, JobWork
from .task import HEARTBEAT_S, BackgroundTask, StopSignal, TaskRegistry, follow, in_thread

__all__ = [
    "BackgroundTask", "HEARTBEAT_S", "Job", "JobProgress", "JobStopped", "JobWork", "Jobs", "MAX_RUNNING", "StopSignal", "TaskRegistry",
    "follow", "in_thread",
]
