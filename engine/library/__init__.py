"""From a model name to a loaded model: find, estimate, download, load, delete, and who may do which."""

from .estimates import Machine
from .found_model import FoundAdapter, FoundModel, GgufFile
from .permissions import Permissions, Visitor
from .remedies import Remedy, choice_of
from .remote_models import ServerAnswer

__all__ = [
    "FoundAdapter",
    "FoundModel",
    "GgufFile",
    "Machine",
    "Permissions",
    "Remedy",
    "ServerAnswer",
    "Visitor",
    "choice_of",
]
