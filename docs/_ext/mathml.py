"""TeX to MathML at build time: the pages load no script and no font for their equations."""

from __future__ import annotations

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.typing import ExtensionMetadata
from sphinx.writers.html5 import HTML5Translator

logger = logging.getLogger(__name__)


def render(writer: HTML5Translator, node: nodes.math | nodes.math_block) -> None:
    """Write an equation; one that cannot be converted is a warning, hence an error of `make docs`."""
    block = isinstance(node, nodes.math_block)
    try:
        markup = tex2mathml(node.astext().strip(), as_block=block)
    except MathError as error:
        logger.warning("equation %r: %s", node.astext(), error, location=node)
        markup = f"<code>{writer.encode(node.astext())}</code>"
    writer.body.append(f'<div class="equation">{markup}</div>' if block else markup)
    raise nodes.SkipNode


def setup(app: Sphinx) -> ExtensionMetadata:
    """Connect to Sphinx."""
    app.add_html_math_renderer("mathml", inline_renderers=(render, None), block_renderers=(render, None))
    return {"parallel_read_safe": True}
