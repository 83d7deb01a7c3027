"""Accounts for signing in: `python -m engine.users add NAME` (or delete NAME, or list). The password is asked for, or read from stdin."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Sequence

from .errors import EngineError
from .settings import Settings
from .storage.database import Database
from .visitors import Accounts


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m engine.users", description="As soon as there is an account, the page asks for one.")
    commands = parser.add_subparsers(dest="command", required=True)
    for command, help_text in (("add", "add an account, or change its password"), ("delete", "delete an account; its chats stay")):
        commands.add_parser(command, help=help_text).add_argument("name")
    commands.add_parser("list", help="list the names")
    asked = parser.parse_args(arguments)
    try:
        accounts = Accounts(Database(Settings.from_env().data_dir))
        if asked.command == "add":
            accounts.save(asked.name, _password())
            print(f"{asked.name} can sign in: at once if the page asks for a name already, else after its next start.")
        elif asked.command == "delete":
            accounts.delete(asked.name)
            print(f"{asked.name} can no longer sign in. Whoever is signed in under that name stays so until the page is restarted.")
            if not accounts.names():
                print("There is no account left: from its next start on, the page is open to whoever reaches it.")
        else:
            print("\n".join(accounts.names()) or "There is no account: whoever reaches the page can use it.")
    except EngineError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _password() -> str:
    return getpass.getpass("Password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")


if __name__ == "__main__":
    sys.exit(main())
