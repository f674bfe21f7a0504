"""Links to the documentation of other projects, which need no network to build.

The address of a class or function follows from its name in each of these projects. A name becomes
a link only if it can be imported, so that a typing error or a name that is gone doesn't.
"""

import functools
import importlib
import inspect

from docutils import nodes

#: By package: where the pages of names are, and what stands for the name in the address.
PAGES = {
    "joblib": "https://joblib.readthedocs.io/en/stable/generated/{page}.html#{name}",
    "librosa": "https://librosa.org/doc/latest/generated/{page}.html#{name}",
    "matplotlib": "https://matplotlib.org/stable/api/_as_gen/{page}.html#{name}",
    "numpy": "https://numpy.org/doc/stable/reference/generated/{page}.html#{name}",
    "pandas": "https://pandas.pydata.org/docs/reference/api/{page}.html#{name}",
    "sklearn": "https://scikit-learn.org/stable/modules/generated/{page}.html#{name}",
    "torch": "https://docs.pytorch.org/docs/stable/generated/{page}.html#{name}",
}
#: Names whose pages don't follow the rule.
SINGLE = {
    "matplotlib.axes.Axes": "https://matplotlib.org/stable/api/_as_gen/matplotlib.axes.Axes.html",
    "numpy.random.Generator": "https://numpy.org/doc/stable/reference/random/generator.html"
    "#numpy.random.Generator",
    "skorch.NeuralNetClassifier": "https://skorch.readthedocs.io/en/stable/classifier.html",
    "sklearn.utils.metadata_routing.MetadataRequest": "https://scikit-learn.org/stable/modules/"
    "generated/sklearn.utils.metadata_routing.MetadataRequest.html",
}
#: Sections and glossary terms of scikit-learn that inherited docstrings refer to.
SECTIONS = {
    "accuracy_score": "modules/model_evaluation.html#accuracy-score",
    "df_output_transform": "auto_examples/miscellaneous/plot_set_output.html",
    "metadata_routing": "metadata_routing.html#metadata-routing",
    "sphx_glr_auto_examples_miscellaneous_plot_set_output.py": "auto_examples/miscellaneous/"
    "plot_set_output.html",
}
SCIKIT_LEARN = "https://scikit-learn.org/stable/"


@functools.cache
def address(name: str) -> str | None:
    """Return where a dotted name of another project is documented, or None."""
    if name in SINGLE:
        return SINGLE[name]
    package = name.partition(".")[0]
    if package not in PAGES:
        return None
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            thing = importlib.import_module(".".join(parts[:end]))
        except ImportError:
            continue
        page = name
        for depth, part in enumerate(parts[end:], end):
            if inspect.isclass(thing):  # a method stands on the page of its class
                page = ".".join(parts[:depth])
            if not hasattr(thing, part):
                return None
            thing = getattr(thing, part)
        return PAGES[package].format(page=page, name=name)
    return None


def resolve(app, env, node, contnode):
    """Turn a reference that Sphinx doesn't know into a link to another project's page."""
    target = node.get("reftarget", "")
    kind = node.get("reftype")
    if kind == "ref" and target in SECTIONS:
        uri = SCIKIT_LEARN + SECTIONS[target]
    elif kind == "term":
        uri = f"{SCIKIT_LEARN}glossary.html#term-{target.replace(' ', '-')}"
    elif node.get("refdomain") == "py":
        uri = address(target)
    else:
        return None
    if uri is None:
        return None
    return nodes.reference("", "", contnode, internal=False, refuri=uri, reftitle=target)


def setup(app):
    app.connect("missing-reference", resolve, priority=600)
    return {"parallel_read_safe": True}
