"""The report as Markdown, its pictures as files beside it."""

import re

from . import document

FOLDER = "pictures"


def render(blocks):
    return "\n".join(_WRITERS[type(block)](block) for block in blocks)


def escape(text):
    """What Markdown or HTML would take for its own; in one line."""
    text = re.sub(r"\s+", " ", text)
    text = re.sub(r"([\\`*<|])", r"\\\1", text)
    return re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", text)


def _caution(block):
    return f"**{escape(block.text)}**\n"


def _heading(block):
    return f"{'#' * block.level} {escape(block.text)}\n"


def _paragraph(block):
    return f"{escape(block.text)}\n"


def _bullets(block):
    return "".join(f"- {escape(item)}\n" for item in block.items)


def _code(block):
    return "".join(f"    {line}\n" for line in block.text.splitlines())


def _table(table):
    side = "--:" if table.figures else "---"
    sides = ["---"] + [side] * (len(table.head) - 1)
    lines = [_row(table.head), _row_of(sides)]
    lines += [_row(row) for row in table.rows]
    text = "\n".join(lines) + "\n"
    if table.notes:
        text += "\n" + "".join(f"- [{i}] {escape(note)}\n"
                               for i, note in enumerate(table.notes, 1))
    return text


def _row(cells):
    return _row_of([_content(cell) for cell in cells])


def _row_of(texts):
    return "| " + " | ".join(texts) + " |"


def _content(cell):
    first, *others = map(escape, cell.lines)
    if cell.bold:
        first = f"**{first}**"
    if cell.note:
        first += f" [{cell.note}]"
    return "<br>".join([first, *others])


def _pictures(block):
    texts = []
    for picture in block.pictures:
        shown = f"![{escape(picture.title)}]({FOLDER}/{picture.name}.svg)"
        if picture.missing:
            shown = f"No picture: {escape(picture.missing)}"
        texts.append(f"**{escape(picture.title)}.** {escape(picture.text)}\n\n"
                     f"{shown}\n")
    return "\n".join(texts)


_WRITERS = {
    document.Caution: _caution, document.Heading: _heading,
    document.Paragraph: _paragraph, document.Bullets: _bullets,
    document.Code: _code, document.Table: _table,
    document.Pictures: _pictures}
