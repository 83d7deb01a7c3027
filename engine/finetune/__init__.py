"""Fine-tuning: from a file of examples to a better model in the same chat."""

from .checks import Report, check, prepare
from .columns import guess_columns, guess_task
from .encoded import Piece
from .encoding import Encoder, token_limit
from .examples import Answered, ClassifiedText, Dialogue, Example, PlainText, Prepared, TaggedWords
from .plan import HEADED, ROLES, FineTunePlan, Method, Role, Task, TrainingOptions
from .problems import ERRORS, WARNINGS, Problem
from .table import Table
from .tables import Tables

__all__ = [
    "ERRORS", "HEADED", "ROLES", "WARNINGS", "Answered", "ClassifiedText", "Dialogue", "Encoder", "Example", "FineTunePlan", "Method",
    "Piece", "PlainText", "Prepared", "Problem", "Report", "Role", "Table", "Tables", "TaggedWords", "Task", "TrainingOptions", "check",
    "guess_columns", "guess_task", "prepare", "token_limit",
]
