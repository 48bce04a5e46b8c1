"""What a report consists of, whatever it is written as: blocks in order."""

from dataclasses import dataclass, field


@dataclass
class Caution:
    text: str


@dataclass
class Heading:
    level: int
    text: str
    anchor: str = ""


@dataclass
class Paragraph:
    text: str


@dataclass
class Bullets:
    items: list


@dataclass
class Code:
    text: str


@dataclass
class Cell:
    """Lines below each other, the first one large; note is the number of the
    table's note that explains it."""
    lines: list
    bold: bool = False
    note: int = 0
    subject: str = ""  # whose colour marks it


@dataclass
class Table:
    """The first cell of each row heads it."""
    head: list
    rows: list
    notes: list = field(default_factory=list)
    label: str = ""
    figures: bool = True  # or words


@dataclass
class Pictures:
    pictures: list
