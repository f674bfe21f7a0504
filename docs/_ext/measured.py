"""The directive ``measured``: what a program printed, as a chart, with the text behind it.

.. code-block:: rst

   .. measured:: extraction.txt
      :bars: ^(?P<label>all, by DomainUnion) +(?P<value>[\\d.]+) +(?P<value2>[\\d.]+)
      :names: librosa, sklearn-genremoe
      :caption: Milliseconds per clip, less is better.

``bars`` is a regular expression for the lines that become bars, with the groups ``label`` and
``value``, perhaps ``value2`` and so on for more bars per label, and ``error``, ``error2`` ... for
intervals of values to either side. Charts are drawn from the text at each build, so that they
can't differ from it. Without ``bars`` there is only the text, folded.

Several files give one bar each for a label, so that what different sources say of the same thing
stands together; their texts are folded one by one.
"""

import re
from html import escape
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

# A label and its bars: which one, how long, and its interval, as printed.
Row = tuple[str, list[tuple[int, str, str | None]]]


def rows_of(texts: list[str], pattern: str) -> list[Row]:
    """Return the labels in order, each with its bars."""
    rows: dict[str, list[tuple[int, str, str | None]]] = {}
    for number, text in enumerate(texts):
        matches = list(re.finditer(pattern, text, re.MULTILINE))
        if not matches:
            raise ValueError(f"no line matches {pattern!r}")
        for match in matches:
            groups = match.groupdict()
            keys = [key for key in sorted(groups) if re.fullmatch(r"value\d*", key)]
            row = rows.setdefault(" ".join(groups["label"].split()), [])
            row += [
                (number + shift, groups[key], groups.get(key.replace("value", "error")))
                for shift, key in enumerate(keys)
            ]
    return list(rows.items())


def chart(rows: list[Row], names: list[str], caption: str, top: float | None) -> str:
    """Return a chart as HTML, which fits every width and both themes."""
    ends = (float(value) + float(error or 0) for _, row in rows for _, value, error in row)
    top = top or 1.02 * max(ends)
    spoken = "; ".join(f"{label} {[value for _, value, _ in row]}" for label, row in rows)
    lines = [
        '<figure class="chart">',
        f'<div class="chart-rows" role="img" aria-label="{escape(f"{caption}: {spoken}")}">',
    ]
    for label, row in rows:
        lines.append(f'<div class="chart-label">{escape(label)}</div><div class="chart-bars">')
        for number, value, error in row:
            note = value + (f" ± {error}" if error else "")
            whisker = ""
            if error:
                left = 100 * (float(value) - float(error)) / top
                whisker = (
                    f'<span class="chart-error" style="left: {left:.2f}%; '
                    f'width: {200 * float(error) / top:.2f}%"></span>'
                )
            lines.append(
                f'<div class="chart-line"><span class="chart-track">'
                f'<span class="chart-bar chart-bar-{number}" style="width: '
                f'{100 * float(value) / top:.2f}%"></span>{whisker}</span>'
                f'<span class="chart-value">{note}</span></div>'
            )
        lines.append("</div>")
    lines.append("</div><figcaption>")
    if names:
        keys = (
            f'<span class="chart-name"><span class="chart-key chart-bar-{number}"></span>'
            f"{escape(name)}</span>"
            for number, name in enumerate(names)
        )
        lines.append(f"<div>{' '.join(keys)}</div>")
    return "\n".join([*lines, f"{escape(caption)}</figcaption></figure>"])


class Measured(SphinxDirective):
    required_arguments = 1
    optional_arguments = 3
    option_spec = {
        "bars": directives.unchanged,
        "names": directives.unchanged,
        "caption": directives.unchanged,
        "top": float,
        "title": directives.unchanged,
    }

    def run(self):
        texts = []
        found = []
        try:
            for file in self.arguments:
                relative, path = self.env.relfn2path(file)
                self.env.note_dependency(relative)
                texts.append(Path(path).read_text(encoding="utf-8"))
            if "bars" in self.options:
                html = chart(
                    rows_of(texts, self.options["bars"]),
                    [name for name in self.options.get("names", "").split(", ") if name],
                    self.options.get("caption", ""),
                    self.options.get("top"),
                )
                found.append(nodes.raw("", html, format="html"))
        except (OSError, ValueError) as error:
            raise self.error(f"{' '.join(self.arguments)}: {error}") from error
        folded = []
        for file in self.arguments:
            title = self.options.get("title", f"The text behind it ({file})")
            folded += [f".. dropdown:: {title}", "", f"   .. literalinclude:: {file}"]
            folded += ["      :language: none", ""]
        node = nodes.container()
        self.state.nested_parse(
            StringList(folded, source=self.get_source_info()[0]), self.content_offset, node
        )
        return [*found, *node.children]


def setup(app):
    app.add_directive("measured", Measured)
    return {"parallel_read_safe": True}
