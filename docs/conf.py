"""Configuration of the documentation. The build needs no network, and neither do its pages."""

import inspect
import sys
import warnings
from pathlib import Path

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx_gallery.sorting import FunctionSortKey

import sklearn_genremoe

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "sklearn-genremoe"
author = "The sklearn-genremoe developers"
copyright = author
release = sklearn_genremoe.__version__
version = release

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "changelog",
    "links",
    "measured",
]
exclude_patterns = [
    "_build",
    "_extra",
    "_templates",
    "auto_examples/*.ipynb",
    "auto_examples/*.md5",
]
templates_path = ["_templates"]

autosummary_generate = True
autodoc_typehints = "none"
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

# The order to read the examples in. A new example must be placed here: the build stops otherwise.
GALLERY = [
    "plot_quickstart.py",
    "plot_own_folder.py",
    "plot_clean_collection.py",
    "plot_what_domains_show.py",
    "plot_choose_mixer.py",
    "plot_whom_it_trusts.py",
    "plot_artist_leakage.py",
    "plot_imbalance.py",
    "plot_learning_curve.py",
    "plot_own_domain.py",
    "plot_whole_songs.py",
]

# The gallery runs the examples for real; whatever an example warns about is an error of ours.
warnings.filterwarnings("ignore", category=UserWarning, message=".*non-GUI backend.*")
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/plot_",
    "within_subsection_order": FunctionSortKey(GALLERY.index, "the order of GALLERY in conf.py"),
    "abort_on_example_error": True,
    "show_memory": False,
    "min_reported_time": float("inf"),  # what else the machine did isn't told
    "download_all_examples": False,
    "write_computation_times": False,  # that page loads scripts from elsewhere
    "remove_config_comments": True,
    "doc_module": ("sklearn_genremoe",),
    "reference_url": {"sklearn_genremoe": None},
    "backreferences_dir": "api/generated/backreferences",
    "capture_repr": ("_repr_html_", "__repr__"),
}

html_theme = "pydata_sphinx_theme"
html_title = "sklearn-genremoe"
html_static_path = ["_static"]
html_extra_path = ["_extra"]  # the page for addresses that don't exist
html_favicon = "_static/favicon.svg"
html_context = {"default_mode": "auto"}  # the colours that the reader's system has
html_css_files = ["style.css"]
html_math_renderer = "mathml"
html_show_sourcelink = False
# Pages without pages below them need no navigation between these.
ALONE = ["install", "glossary", "faq", "contributing", "changelog", "genindex", "search"]
html_sidebars = {page: [] for page in [*ALONE, "reproduction/**", "performance/index"]}
html_theme_options = {
    "logo": {"text": "sklearn-genremoe"},
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
}


# Names are documented where people import them from; docstrings may also say in which
# subpackage something lives.
SHORT_NAMES = {
    f"{thing.__module__.rpartition('._')[0]}.{name}": f"sklearn_genremoe.{name}"
    for name in sklearn_genremoe.__all__
    if not inspect.ismodule(thing := getattr(sklearn_genremoe, name))
}


def resolve(app, env, node, contnode):
    """Link names by either path."""
    target = node.get("reftarget", "")
    for long, short in SHORT_NAMES.items():
        if target == long or target.startswith(f"{long}."):
            return env.domains.python_domain.resolve_xref(
                env,
                node["refdoc"],
                app.builder,
                node["reftype"],
                short + target[len(long) :],
                node,
                contnode,
            )
    return None


def as_mathml(translator, node):
    """Write a formula as MathML, which every browser shows without a script."""
    block = isinstance(node, nodes.math_block)
    translator.body.append(tex2mathml(node.astext(), as_block=block))
    raise nodes.SkipNode


def setup(app):
    app.connect("missing-reference", resolve)
    app.add_html_math_renderer("mathml", (as_mathml, None), (as_mathml, None))
