"""Check a built site: `python docs/check_site.py build/docs`.

Errors: a link to a page or anchor that does not exist, and anything a page would load from elsewhere
(scripts, styles, fonts, pictures). Links that a reader may follow to other sites are listed in
external-links.txt, beside the site, and not fetched.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_LOADING = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "audio": "src"}
_CSS_URL = re.compile(r"""(?:url\(\s*|@import\s+)["']?((?:https?:)?//[^"')\s]+)""")
_LINK_RELATIONS = {"stylesheet", "icon", "preload", "prefetch", "preconnect", "modulepreload", "dns-prefetch"}


@dataclass
class Page(HTMLParser):
    """What a page links to, what it loads, and its anchors."""

    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect one tag."""
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if values.get(name)}
        if tag in ("a", "area") and "href" in values:
            self.links.append(values["href"])
        if tag == "link" and set(values.get("rel", "").split()) & _LINK_RELATIONS:
            self.loads.append(values.get("href", ""))
        if values.get(_LOADING.get(tag, "")):
            self.loads.append(values[_LOADING[tag]])
        self.loads += _CSS_URL.findall(values.get("style", ""))


def read(path: Path) -> Page:
    """Parse a page."""
    page, text = Page(), path.read_text(encoding="utf-8")
    page.feed(text)
    for style in re.findall(r"<style.*?</style>", text, re.DOTALL):
        page.loads += _CSS_URL.findall(style)
    return page


def is_external(link: str) -> bool:
    """Whether a link leaves the site."""
    parts = urlsplit(link)
    return bool(parts.netloc) or parts.scheme in ("http", "https", "ftp")


def problems_of(site: Path) -> tuple[list[str], dict[str, set[str]]]:
    """What is wrong, and the external links with the pages that have them."""
    pages = {path: read(path) for path in sorted(site.rglob("*.html"))}
    wrong, external = [], defaultdict[str, set[str]](set)
    for path, page in pages.items():
        here = path.relative_to(site).as_posix()
        for link in page.links:
            if is_external(link):
                external[link].add(here)
            elif fault := fault_of(link, path, pages):
                wrong.append(f"{here}: {fault}")
        for load in page.loads:
            if is_external(load):
                wrong.append(f"{here}: loads {load}")
            elif fault := fault_of(load, path, pages):
                wrong.append(f"{here}: {fault}")
    for style in sorted(site.rglob("*.css")):
        found = _CSS_URL.findall(style.read_text(encoding="utf-8"))
        wrong += [f"{style.relative_to(site)}: loads {url}" for url in found]
    return wrong, external


def fault_of(link: str, path: Path, pages: dict[Path, Page]) -> str:
    """What is wrong with a link inside the site; empty if nothing."""
    parts = urlsplit(link)
    if parts.scheme in ("data", "mailto", "javascript"):
        return ""
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path.resolve()
    target = target / "index.html" if target.is_dir() else target
    if not target.is_file():
        return f"{link} leads nowhere"
    anchor = unquote(parts.fragment)
    if anchor and target in pages and anchor not in pages[target].anchors | {"top"}:
        return f"{link} names an anchor that is not there"
    return ""


def main(argv: list[str]) -> int:
    """Check the site; 1 if something is wrong."""
    site = Path(argv[0]).resolve()
    wrong, external = problems_of(site)
    lines = [f"{link}  ({min(pages)}, {len(pages)} pages)" for link, pages in sorted(external.items())]
    (site.parent / "external-links.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    sys.stderr.write("".join(f"{fault}\n" for fault in wrong))
    listed = f"{len(external)} external links, not fetched, in external-links.txt"
    sys.stdout.write(f"{site}: {len(wrong)} faults; {listed}\n")
    return 1 if wrong or not any(site.glob("*.html")) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
