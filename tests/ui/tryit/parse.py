"""What a piece of the box's HTML says."""

import html
import re


def text(shown: str) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", shown))


def rows(shown: str) -> list[tuple[str, str]]:
    """Names and scores of the tables."""
    return [(text(name), text(score)) for name, score in re.findall(r'<tr><th scope="row">(.*?)</th><td>(.*?)</td></tr>', shown)]
