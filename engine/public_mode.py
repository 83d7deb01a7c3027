"""What a public page allows, in one table. README.md lists it, and tests/ui/test_public_page.py tries each line over HTTP.

The rules themselves are enforced where the work is done; the limits below are read there.
"""

from __future__ import annotations

from dataclasses import dataclass

from .limits import OF_PUBLIC

MAX_REPLIES = 32                    # in progress at once; MINDCUBES_MAX_WAITING
MAX_TASKS_OF_VISITOR = 1            # of the code agent
PROGRAM_S = 10.0                    # of one run of a program
SANDBOX_TIERS = ("wasm",)           # shares less of the machine with visitors than the other one
MAX_FILE_BYTES = 20 << 20
MAX_REQUEST_BYTES = 64 << 20        # all files that are uploaded at once
TRAINING_S = 1800.0                 # of one fine-tuning run
TRAINING_EXAMPLES = 5_000
KEPT_RUNS = 5                       # of a visitor
KEPT_DISK = 0.1                     # share of the disk that no run may use


@dataclass(frozen=True, slots=True)
class PublicRule:
    """`name`: that of its test. `sentence`: for people, in Markdown."""

    name: str
    sentence: str


RULES = (
    PublicRule("models", "Visitors download and load only the built-in model, those of the catalog that are not gated, and those in "
                         "`MINDCUBES_ALLOWED_MODELS`; never a folder."),
    PublicRule("swap", "A model that someone else is using is not replaced."),
    PublicRule("operator", "Only the operator can unload, delete, save to the disk and measure; without `MINDCUBES_OPERATOR`, nobody can."),
    PublicRule("sandbox", f"Programs of the agent run only in the sandbox {' or '.join(SANDBOX_TIERS)}, for {PROGRAM_S:.0f} s at most."),
    PublicRule("replies", f"At most {MAX_REPLIES} replies are in progress, {OF_PUBLIC.replies_at_once} of one visitor, and "
                          f"{MAX_TASKS_OF_VISITOR} agent task of one visitor."),
    PublicRule("use", f"A visitor sends at most {OF_PUBLIC.messages_per_minute} messages a minute, of at most "
                      f"{OF_PUBLIC.message_chars:,} characters, and uses at most {OF_PUBLIC.tokens_per_day:,} tokens a day."),
    PublicRule("uploads", f"A file has at most {MAX_FILE_BYTES >> 20} MiB, all files of one request {MAX_REQUEST_BYTES >> 20} MiB; they "
                          "are deleted after a day, except the newest 5 tables of examples of a visitor."),
    PublicRule("knowledge", f"A visitor's collections of files hold at most {OF_PUBLIC.knowledge_documents} documents, "
                            f"{OF_PUBLIC.knowledge_mb} MB of text and {OF_PUBLIC.knowledge_pieces:,} pieces together, and no folder of the "
                            "server is read. While those of all visitors hold more than 1 GiB, nothing is added."),
    PublicRule("training", f"Only who has signed in can fine-tune, one run at a time, with {TRAINING_EXAMPLES:,} examples for "
                           f"{TRAINING_S / 60:.0f} minutes at most; the newest {KEPT_RUNS} runs are kept, and a tenth of the disk stays "
                           "free. The operator has no such limits."),
    PublicRule("errors", "An unexpected error shows one sentence and no details."),
    PublicRule("endpoints", "Programs can call only what `tests/ui/approved_endpoints.txt` lists; no other route of the server answers."),
    PublicRule("paths", "No file is served except those of the page, of uploads, of agent runs and of exported fine-tuning results."),
    PublicRule("addresses", "The server requests no address that a visitor names."),
    PublicRule("scripts", "Markup in messages, replies and files is shown, and its scripts do not run."),
    PublicRule("tools", "Servers of tools are those in the operator's file, and each call of one, and each program, is approved by the "
                        "visitor whose chat it is: nothing is trusted."),
    PublicRule("visitors", "A visitor can read, follow, stop and change only their own chats, collections, agent runs, tables and "
                           "fine-tuning runs."),
)


def table() -> str:
    """Return the rules as a list in Markdown."""
    return "\n".join(f"- **{rule.name}**: {rule.sentence}" for rule in RULES)
