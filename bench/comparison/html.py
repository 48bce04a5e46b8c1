"""The report as one page that needs nothing else: no network, no scripts.

It is well-formed XML, too, so that a test can read it strictly."""

from html import escape

from . import document

CSS = """
:root{--paper:#fff;--ink:#1d1d1f;--soft:#5a5a60;--line:#dcdce0;--head:#f4f4f6;
--warn:#7a3b00;--warnpaper:#fff3e2;color-scheme:light dark}
@media (prefers-color-scheme:dark){:root{--paper:#17171a;--ink:#ececef;
--soft:#a8a8b0;--line:#3d3d45;--head:#222227;--warn:#ffcf94;
--warnpaper:#3a2708}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:72rem;padding:1rem;background:var(--paper);
color:var(--ink);font:16px/1.5 system-ui,sans-serif;overflow-wrap:break-word}
h1{font-size:1.6rem;line-height:1.2;margin:.5rem 0}
h2{font-size:1.25rem;margin:2rem 0 .5rem}
h3{font-size:1.05rem;margin:1.5rem 0 .25rem}
p,ul{max-width:44rem;margin:.5rem 0}
ul{padding-left:1.2rem}
.caution{max-width:none;margin:0 0 1rem;padding:.6rem .8rem;
background:var(--warnpaper);color:var(--warn);font-weight:600;
border-radius:.4rem}
.box{overflow-x:auto;margin:.75rem 0;border:1px solid var(--line);
border-radius:.4rem;max-width:max-content}
table{border-collapse:collapse;font-size:.875rem;
font-variant-numeric:tabular-nums}
th,td{padding:.35rem .6rem;text-align:left;vertical-align:top;
border-bottom:1px solid var(--line)}
tr:last-child>*{border-bottom:0}
thead th{background:var(--head);white-space:nowrap}
.figures td{text-align:right;white-space:nowrap}
.figures th{min-width:8rem;max-width:16rem;font-weight:500}
.figures thead th{min-width:0;text-align:right;font-weight:600}
.figures tr>:first-child{position:sticky;left:0;background:var(--paper);
text-align:left;border-right:1px solid var(--line)}
.figures thead tr>:first-child{background:var(--head)}
.figures td.none{color:var(--soft);white-space:normal}
small{display:block;color:var(--soft);font-weight:400;font-size:.75rem}
td b{font-weight:750}
sup a{padding:0 .15em}
.mark{display:inline-block;width:.7em;height:.7em;margin-right:.35em;
border-radius:.15em;background:currentColor}
.notes{font-size:.8125rem;color:var(--soft);list-style:none;padding:0}
.pictures{display:grid;gap:1.5rem;margin:1rem 0;
grid-template-columns:repeat(auto-fill,minmax(min(100%,20rem),1fr))}
figure{margin:0}
figure svg{display:block;width:100%;max-width:30rem;height:auto}
figcaption{font-size:.8125rem;color:var(--soft);margin-bottom:.3rem}
figcaption b{display:block;color:var(--ink);font-size:.9375rem}
pre{overflow-x:auto;background:var(--head);padding:.6rem .8rem;
border-radius:.4rem;font-size:.875rem}
@media (max-width:30rem){.figures th{min-width:6.5rem;max-width:8rem}
th,td{padding:.3rem .45rem}}
"""


def render(blocks, title, style, places):
    """style is the pictures' CSS; places has the number of each subject's
    class in it."""
    body = "\n".join(_Writer(places).write(block, i)
                     for i, block in enumerate(blocks))
    return ('<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"/>\n'
            '<meta name="viewport" content="width=device-width, '
            'initial-scale=1"/>\n'
            f"<title>{escape(title)}</title>\n<style>{CSS}{style}</style>"
            f"</head>\n<body>\n{body}\n</body></html>\n")


class _Writer:
    def __init__(self, places):
        self.places = places
        self.number = 0

    def write(self, block, number):
        """number tells the block's notes from those of others."""
        self.number = number
        writers = {
            document.Caution: self._caution, document.Heading: self._heading,
            document.Paragraph: lambda b: f"<p>{escape(b.text)}</p>",
            document.Bullets: self._bullets,
            document.Code: lambda b: f"<pre>{escape(b.text)}</pre>",
            document.Table: self._table, document.Pictures: self._pictures}
        return writers[type(block)](block)

    @staticmethod
    def _caution(block):
        return f'<p class="caution">{escape(block.text)}</p>'

    @staticmethod
    def _heading(block):
        anchor = f' id="{escape(block.anchor)}"' if block.anchor else ""
        return f"<h{block.level}{anchor}>{escape(block.text)}</h{block.level}>"

    @staticmethod
    def _bullets(block):
        items = "".join(f"<li>{escape(item)}</li>" for item in block.items)
        return f"<ul>{items}</ul>"

    def _table(self, table):
        head = "".join(f'<th scope="col">{self._content(cell)}</th>'
                       for cell in table.head)
        rows = "".join(self._row(row) for row in table.rows)
        kind = ' class="figures"' if table.figures else ""
        notes = "".join(
            f'<li id="n{self.number}-{i}"><sup>{i}</sup> {escape(note)}</li>'
            for i, note in enumerate(table.notes, 1))
        if notes:
            notes = f'<ul class="notes">{notes}</ul>'
        return (f'<div class="box" tabindex="0" role="region" '
                f'aria-label="{escape(table.label)}"><table{kind}>'
                f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
                f"</div>{notes}")

    def _row(self, row):
        first, *others = row
        cells = "".join(
            f"<td{_kind(cell)}>{self._content(cell)}</td>" for cell in others)
        return f'<tr><th scope="row">{self._content(first)}</th>{cells}</tr>'

    def _content(self, cell):
        first, *others = cell.lines
        text = escape(first)
        if cell.bold:
            text = f"<b>{text}</b>"
        if cell.subject:
            place = self.places[cell.subject]
            text = f'<span class="mark c-{place}"></span>{text}'
        if cell.note:
            text += (f'<sup><a href="#n{self.number}-{cell.note}">'
                     f"{cell.note}</a></sup>")
        return text + "".join(f"<small>{escape(line)}</small>"
                              for line in others)

    @staticmethod
    def _pictures(block):
        items = []
        for picture in block.pictures:
            shown = picture.svg.replace(
                "<svg", f'<svg aria-label="{escape(picture.title)}"', 1)
            if picture.missing:
                shown = f"<p>No picture: {escape(picture.missing)}</p>"
            items.append(
                f"<figure><figcaption><b>{escape(picture.title)}</b>"
                f"{escape(picture.text)}</figcaption>{shown}</figure>")
        return f'<div class="pictures">{"".join(items)}</div>'


def _kind(cell):
    return ' class="none"' if cell.note and len(cell.lines) == 1 else ""
