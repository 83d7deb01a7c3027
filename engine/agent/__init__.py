"""The code agent: the model writes a program, the sandbox runs it, and the model reads the result."""

from ..storage.agent_records import AgentRun, KeptFile, Step, Task
from .events import CodeWritten, Final, StepEnded, StepError, Stopped
from .export import to_notebook, to_script

__all__ = [
    "AgentRun",
    "CodeWritten",
    "Final",
    "KeptFile",
    "Step",
    "StepEnded",
    "StepError",
    "Stopped",
    "Task",
    "to_notebook",
    "to_script",
]
