"""Lines of text that fit a terminal."""

import textwrap

NARROWEST = 20  # what is left for a text is not squeezed below this


def hanging(head: str, body: str, width: int | None) -> str:
    """Return `head` and `body`, wrapped at `width` if one is given; later lines begin below the body."""
    if width is None:
        return f"{head}{body}".rstrip()
    room = max(width - len(head), NARROWEST)
    lines = textwrap.wrap(body, room, break_long_words=False, break_on_hyphens=False) or [""]
    return (head + f"\n{' ' * len(head)}".join(lines)).rstrip()
