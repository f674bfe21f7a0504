"""The diagram of an estimator in notebooks, for estimators with many parts side by side."""

from sklearn.utils import estimator_html_repr

# scikit-learn's diagram is as wide as its parts are together, some 1,800 px for seven experts.
# Here they are smaller, and go on in a new row where the page ends.
_STYLE = """\
<style>
.genremoe-diagram .sk-parallel { flex-wrap: wrap; }
.genremoe-diagram .sk-parallel .sk-parallel-item { flex: 0 1 auto; max-width: 100%; }
.genremoe-diagram .sk-parallel-item .sk-serial { padding: 0 0.2em; }
.genremoe-diagram .sk-parallel-item { font-size: 0.78em; }
.genremoe-diagram .sk-parallel-item .sk-parallel-item { font-size: 1em; }
.genremoe-diagram .sk-container { max-width: 100%; }
.genremoe-diagram div.sk-top-container.sk-global { overflow-x: auto !important; }
.genremoe-diagram .sk-container label.sk-toggleable__label { padding: 0.35em; gap: 0.3em; }
.genremoe-diagram .sk-parallel-item .sk-label label { padding-bottom: 0.15em; }
.genremoe-diagram .sk-toggleable__content { overflow-x: auto; }
</style>
"""


class DiagramMixin:
    """Make the diagram fit into the width of the page. scikit-learn < 1.7 doesn't ask for it."""

    def _html_repr(self) -> str:
        return f'{_STYLE}<div class="genremoe-diagram">{estimator_html_repr(self)}</div>'
