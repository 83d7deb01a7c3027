"""The menu beside the message box from which collections of files are chosen. files.js completes their names in the message box, too."""

from __future__ import annotations

import html

from engine import EngineError

from .context import Context
from .language import text


def files_menu(context: Context) -> str:
    """Each name that is chosen is written into the message as #name. "" if the database cannot be read: the list of chats says why."""
    try:
        collections = context.knowledge.list(context.visitor.owner)
    except EngineError:
        return ""
    language = context.language
    title = html.escape(text(language, "files.title"))
    named = (html.escape(each.name) for each in collections)
    names = "".join(f'<button type="button" data-insert="{name}">#{name}</button>' for name in named)
    manage = html.escape(text(language, "files.manage" if collections else "files.add"))
    found = html.escape(text(language, "files.found"))
    return (f'<details class="mc-menu mc-files-menu" data-found="{found}"><summary aria-label="{title}" title="{title}">#</summary>'
            f'<div>{names}<button type="button" data-open-tab="knowledge">{manage}</button></div></details>')
