"""Sphinx configuration of the documentation site; `make docs` builds it into build/docs."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx
from sphinx.domains.python import PyObject

import xreid

project = "xreid"
author = "the xreid contributors"
version = release = xreid.__version__
html_title = f"xreid {release}"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "api_pages",
    "docstrings",
    "mathml",
    "navigation",
    "source_links",
]
exclude_patterns = ["_ext", "_static", "Thumbs.db"]

# Markdown as GitHub reads it: no directives in the pages, headings are anchors, $...$ is mathematics.
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
myst_dmath_allow_digits = False
myst_dmath_allow_space = False
html_math_renderer = "mathml"

# Docstrings: Google style; types stand in the signature, once; `x` is code, as in Markdown.
default_role = "code"
napoleon_use_ivar = True
napoleon_use_rtype = False
napoleon_attr_annotations = False
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_class_signature = "mixed"
maximum_signature_line_length = 120
add_module_names = False
viewcode_follow_imported_members = False
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_theme_options = {"top_of_page_buttons": []}
pygments_style = "friendly"
pygments_dark_style = "github-dark"

# A name in a signature may be that of several classes (a Job of an ablation or of the server); one is linked.
suppress_warnings = ["ref.python"]

# One page per subject, in this order. A page that is not there yet is left out; one that is not named here
# stands at the end, so that a new page needs no entry.
navigation = {
    "Begin": ["start", "own_data", "recipes", "limits"],
    "The method": ["method", "training", "ablations", "rivals", "extending"],
    "Data": ["data", "simulator"],
    "Scores": ["protocols", "evaluation", "open_set", "robustness", "report", "export"],
    "From cameras to answers": ["footage", "ingest", "gallery", "search", "serve", "site", "scale"],
    "Reference": ["api/index", "log"],
}


def setup(app: Sphinx) -> None:
    """Name a language that Pygments does not know, and call attributes by their name."""
    app.add_lexer("csv", TextLexer)
    for field in PyObject.doc_field_types:
        if field.name == "variable":
            field.label = "Attributes"
