"""Configuration of the documentation."""

import warnings

import sklearn_genremoe

project = "sklearn-genremoe"
author = "The sklearn-genremoe developers"
copyright = author
release = sklearn_genremoe.__version__
version = release

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "_templates", "auto_examples/*.ipynb", "auto_examples/*.md5"]
templates_path = ["_templates"]

autosummary_generate = True
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

# The gallery runs the examples for real; whatever an example warns about is an error of ours.
warnings.filterwarnings("ignore", category=UserWarning, message=".*non-GUI backend.*")
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/plot_",
    "abort_on_example_error": True,
    "show_memory": False,
    "min_reported_time": 1,
    "download_all_examples": False,
    "remove_config_comments": True,
    "doc_module": ("sklearn_genremoe",),
    "reference_url": {"sklearn_genremoe": None},
    "backreferences_dir": "api/generated/backreferences",
    "capture_repr": ("_repr_html_", "__repr__"),
}

html_theme = "pydata_sphinx_theme"
html_title = "sklearn-genremoe"
html_static_path = ["_static"]
html_css_files = ["style.css"]
html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": "sklearn-genremoe"},
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
}


# Sections of scikit-learn's documentation that inherited docstrings refer to.
OF_SCIKIT_LEARN = {
    "accuracy_score",
    "df_output_transform",
    "sphx_glr_auto_examples_miscellaneous_plot_set_output.py",
}


def keep_text_of_foreign_labels(app, env, node, contnode):
    """Show a reference into scikit-learn's documentation as plain text."""
    return contnode if node.get("reftarget") in OF_SCIKIT_LEARN else None


def setup(app):
    app.connect("missing-reference", keep_text_of_foreign_labels)
