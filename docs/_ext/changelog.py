"""The directive ``changelog``: CHANGELOG.md as part of a page."""

import re
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList

CHANGELOG = Path(__file__).parents[2] / "CHANGELOG.md"


def as_rst(text: str) -> str:
    """Turn the little Markdown that the changelog uses into reStructuredText."""
    lines = []
    for line in text.splitlines():
        if line.startswith("# "):
            continue  # the page has a title of its own
        if heading := re.match(r"(#{2,3}) (.+)", line):
            lines += ["", heading[2], {2: "-", 3: "~"}[len(heading[1])] * len(heading[2]), ""]
            continue
        line = re.sub(r"\[([^]]+)\]\(([^)]+)\)", r"`\1 <\2>`__", line)
        lines.append(re.sub(r"(?<!`)`([^`]+)`(?![`_])", r"``\1``", line))
    return "\n".join(lines)


class Changelog(Directive):
    def run(self):
        self.state.document.settings.env.note_dependency(str(CHANGELOG))
        text = as_rst(CHANGELOG.read_text(encoding="utf-8"))
        node = nodes.section()
        node.document = self.state.document
        self.state.nested_parse(
            StringList(text.splitlines(), source=str(CHANGELOG)), 0, node, match_titles=True
        )
        return node.children


def setup(app):
    app.add_directive("changelog", Changelog)
    return {"parallel_read_safe": True}
