"""Writes sections as one HTML page: pictures inside it, no script, nothing from the network."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

PAGE = "report.html"
"""The name of a page beside what it shows."""

# The browser itself holds the page to it: no request leaves the file.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
LONG = 16  # rows; longer tables are folded

STYLE = """
:root { color-scheme: light dark; --text: #1b1f24; --faint: #57606a; --line: #d0d7de; --back: #ffffff;
  --band: #f6f8fa; --link: #0550ae; --mark: #1a7f37 }
@media (prefers-color-scheme: dark) { :root { --text: #e8eaed; --faint: #a3abb4; --line: #3a4048;
  --back: #101317; --band: #191e24; --link: #79b8ff; --mark: #56d364 } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1.5rem; max-width: 72rem; background: var(--back); color: var(--text);
  font: 1rem/1.5 system-ui, sans-serif }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .5rem }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .5rem; padding-top: .75rem; border-top: 1px solid var(--line) }
a { color: var(--link) }
a:focus-visible, summary:focus-visible, .wide:focus-visible { outline: 3px solid var(--link); outline-offset: 2px }
.skip { position: absolute; left: -99rem }
.skip:focus { position: static }
.lead p { margin: .25rem 0; color: var(--faint) }
nav ol { columns: 18rem; padding-left: 1.25rem }
p { max-width: 50rem; overflow-wrap: anywhere }
.wide { overflow-x: auto; margin: 1.25rem 0 .25rem }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums }
caption { text-align: left; font-weight: 600; padding-bottom: .35rem }
th, td { padding: .3rem .7rem; text-align: right; vertical-align: top; border-bottom: 1px solid var(--line) }
th:first-child, .words th, .words td { text-align: left }
tbody th { font-weight: 400 }
table:not(.words) :is(tbody th, td) { white-space: nowrap }
thead th { background: var(--band); vertical-align: bottom }
.notes { margin: 0; padding-left: 1.1rem; color: var(--faint); font-size: .85rem; max-width: 60rem }
figure { margin: 1.25rem 0 }
.row { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr)); gap: 0 1rem }
figure img { display: block; max-width: 100%; height: auto; border-radius: .4rem }
figcaption { color: var(--faint); font-size: .9rem; max-width: 60rem; margin-top: .35rem }
details { margin: .75rem 0 }
summary { cursor: pointer; color: var(--link) }
@media print { details > * { display: block } body { max-width: none } }
"""


@dataclass(frozen=True)
class Table:
    """A table of the report: the first row is the heading, the first cell of a further row heads that row."""

    caption: str
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Picture:
    """A picture of the report: its caption, the PNG file, and what it shows for readers who cannot see it."""

    caption: str
    path: Path
    description: str


@dataclass(frozen=True)
class Row:
    """Pictures side by side, as far as the window is wide enough."""

    pictures: Sequence[Picture]


@dataclass(frozen=True)
class Section:
    """A part of the report: a heading, paragraphs of text, then tables and pictures in their order."""

    title: str
    text: Sequence[str] = ()
    parts: Sequence[Table | Picture | Row] = ()


def page(title: str, lead: Sequence[str], sections: Sequence[Section]) -> str:
    """Writes the whole page.

    Args:
        title: The heading of the page.
        lead: Lines below the heading; addresses in them become links.
        sections: Sections whose titles differ, with captions that differ within each.

    Example:
        >>> "Errors</h2>" in page("A report", ["Some lines."], [Section("Errors")])
        True
    """
    contents = "".join(f'<li><a href="#{_id(s.title)}">{escape(s.title)}</a></li>' for s in sections)
    body = "\n".join(_section(section) for section in sections)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the results</a>
<header>
<h1>{escape(title)}</h1>
<div class="lead">{"".join(f"<p>{_linked(line)}</p>" for line in lead)}</div>
</header>
<nav aria-label="Contents"><ol>{contents}</ol></nav>
<main id="main">
{body}
</main>
</body>
</html>
"""


def _section(section: Section) -> str:
    text = "".join(f"<p>{_linked(paragraph)}</p>" for paragraph in section.text)
    name = _id(section.title)
    parts = ""
    for part in section.parts:
        if isinstance(part, Row):
            parts += f'<div class="row">{"".join(map(_picture, part.pictures))}</div>\n'
        else:
            parts += (_table(part, name) if isinstance(part, Table) else _picture(part)) + "\n"
    return (
        f'<section aria-labelledby="{name}">\n<h2 id="{name}">{escape(section.title)}</h2>\n{text}\n{parts}\n</section>'
    )


def _table(table: Table, section: str) -> str:
    heading, *rows = table.rows
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in heading)
    body = ""
    for first, *others in rows:
        cells = "".join(f"<td>{_linked(cell)}</td>" for cell in others)
        body += f'<tr><th scope="row">{_linked(first)}</th>{cells}</tr>\n'
    number = re.compile(r"[-+<]?\d+(\.\d+)?(\D|$)")
    has_numbers = any(number.match(cell) and len(cell) < 40 for row in rows for cell in row[1:])
    kind = "" if has_numbers else ' class="words"'
    name = f"{section}-{_id(table.caption)}"
    notes = "".join(f"<li>{escape(note)}</li>" for note in table.notes)
    # A region that takes the focus, so that the arrow keys move a table that is wider than the window.
    shown = (
        f'<div class="wide" role="region" tabindex="0" aria-labelledby="{name}">\n<table{kind}>'
        f'<caption id="{name}">{escape(table.caption)}</caption>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table>\n</div>"
        + (f'\n<ul class="notes">{notes}</ul>' if notes else "")
    )
    if len(rows) <= LONG:
        return shown
    return f"<details><summary>{escape(table.caption)}: {len(rows)} rows</summary>\n{shown}\n</details>"


def _picture(picture: Picture) -> str:
    data = base64.b64encode(picture.path.read_bytes()).decode()
    return (
        f'<figure><img alt="{escape(picture.description)}" src="data:image/png;base64,{data}">'
        f"<figcaption>{escape(picture.caption)}</figcaption></figure>"
    )


def _linked(text: str) -> str:
    return re.sub(r"https?://[^\s<>,;]*[^\s<>,;.]", lambda found: f'<a href="{found[0]}">{found[0]}</a>', escape(text))


def _id(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
