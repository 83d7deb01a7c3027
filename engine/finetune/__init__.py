"""Fine-tuning: from a file of examples to a better model in the same chat."""

from .checks import Report, check, prepare
from .columns import guess_columns, guess_task
from .encoded import Piece
from .encoding import Encoder, token_limit
from .errors import REFUSALS, TableNotFound, TableRefused
from .examiner import Examiner
from .example_set import example_plan, example_table
from .examples import Answered, ClassifiedText, Dialogue, Example, PlainText, Prepared, TaggedWords
from .fine_tunes import FineTunes
from .job import downloads_folder
from .plan import HEADED, ROLES, FineTunePlan, Method, Role, Task, TrainingOptions
from .problems import ERRORS, WARNINGS, Problem
from .room import is_room_taken
from .run import PARTS, Estimate, LabelScore, Measured, MemoryPart, Metrics, Mistake, Phase, Point, Run, Value
from .table import Table
from .tables import Tables
from .using import use_result

__all__ = [
    "ERRORS", "HEADED", "PARTS", "REFUSALS", "ROLES", "WARNINGS", "Answered", "ClassifiedText", "Dialogue", "Encoder", "Estimate",
    "Examiner", "Example", "FineTunePlan", "FineTunes", "LabelScore", "Measured", "MemoryPart", "Method", "Metrics", "Mistake",
    "Phase", "Piece", "PlainText", "Point", "Prepared", "Problem", "Report", "Role", "Run", "Table", "TableNotFound",
    "TableRefused", "Tables", "TaggedWords", "Task", "TrainingOptions", "Value", "check", "downloads_folder", "example_plan",
    "example_table", "guess_columns", "guess_task", "is_room_taken", "prepare", "token_limit", "use_result",
]
