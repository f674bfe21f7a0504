"""The directive ``measured``: what a program printed, as a chart, with the text behind it.

.. code-block:: rst

   .. measured:: extraction.txt
      :bars: ^(?P<label>all, by DomainUnion) +(?P<value>[\\d.]+) +(?P<value2>[\\d.]+)
      :names: librosa, sklearn-genremoe
      :caption: Milliseconds per clip, less is better.

``bars`` is a regular expression for the lines that become bars, with the groups ``label`` and
``value``, perhaps ``value2`` and so on for more bars per label, and ``error`` for an interval of
``value`` to either side. Charts are drawn from the text at each build, so that they can't differ
from it. Without ``bars`` there is only the text, folded.
"""

import re
from html import escape
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective


def bars(text: str, pattern: str, names: list[str], caption: str, top: float | None) -> str:
    """Return a chart as HTML, which fits every width and both themes."""
    rows = []
    for match in re.finditer(pattern, text, re.MULTILINE):
        groups = match.groupdict()
        values = [float(groups[key]) for key in sorted(groups) if re.fullmatch(r"value\d*", key)]
        error = groups.get("error")
        rows.append((groups["label"].strip(), values, float(error) if error else None))
    if not rows:
        raise ValueError(f"no line matches {pattern!r}")
    top = top or 1.02 * max(max(values) + (error or 0) for _, values, error in rows)
    lines = ['<figure class="chart">', '<div class="chart-rows" role="img" aria-label="']
    lines[-1] += escape(caption + ": " + "; ".join(f"{label} {v}" for label, v, _ in rows)) + '">'
    for label, values, error in rows:
        lines.append(f'<div class="chart-label">{escape(label)}</div><div class="chart-bars">')
        for number, value in enumerate(values):
            note = f"{value:g}" + (f" ± {error:g}" if error else "")
            whisker = ""
            if error:
                left = 100 * (value - error) / top
                whisker = (
                    f'<span class="chart-error" style="left: {left:.2f}%; '
                    f'width: {200 * error / top:.2f}%"></span>'
                )
            lines.append(
                f'<div class="chart-line"><span class="chart-track">'
                f'<span class="chart-bar chart-bar-{number}" style="width: '
                f'{100 * value / top:.2f}%"></span>{whisker}</span>'
                f'<span class="chart-value">{note}</span></div>'
            )
        lines.append("</div>")
    lines.append("</div><figcaption>")
    lines += [
        f'<span class="chart-key chart-bar-{number}"></span>{escape(name)} '
        for number, name in enumerate(names)
    ]
    return "\n".join([*lines, f"{escape(caption)}</figcaption></figure>"])


class Measured(SphinxDirective):
    required_arguments = 1
    option_spec = {
        "bars": directives.unchanged,
        "names": directives.unchanged,
        "caption": directives.unchanged,
        "top": float,
        "title": directives.unchanged,
    }

    def run(self):
        relative, path = self.env.relfn2path(self.arguments[0])
        self.env.note_dependency(relative)
        try:
            text = Path(path).read_text(encoding="utf-8")
            found = []
            if "bars" in self.options:
                names = [name for name in self.options.get("names", "").split(", ") if name]
                chart = bars(
                    text,
                    self.options["bars"],
                    names,
                    self.options.get("caption", ""),
                    self.options.get("top"),
                )
                found.append(nodes.raw("", chart, format="html"))
        except (OSError, ValueError) as error:
            raise self.error(f"{self.arguments[0]}: {error}") from error
        title = self.options.get("title", f"What the program printed ({self.arguments[0]})")
        dropdown = [
            f".. dropdown:: {title}",
            "",
            f"   .. literalinclude:: {self.arguments[0]}",
            "      :language: none",
        ]
        node = nodes.container()
        self.state.nested_parse(
            StringList(dropdown, source=self.get_source_info()[0]), self.content_offset, node
        )
        return [*found, *node.children]


def setup(app):
    app.add_directive("measured", Measured)
    return {"parallel_read_safe": True}
