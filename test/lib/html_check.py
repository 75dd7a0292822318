#!/usr/bin/env python3
"""Whether a page of exabgp-pg-report is as it should be.

    html_check.py FILE [TEXT]...		its text has these
    html_check.py --count FILE ELEMENT.CLASS...	how many there are of each

Every element is closed in order, every SVG is well-formed XML, nothing but known elements and
attributes, no script, nothing that is loaded from elsewhere.
"""
import html.parser
import re
import sys
import xml.etree.ElementTree

VOID = {"meta", "link"}
HTML = set("html head meta link title style body h1 h2 h3 p span div b i dl dt dd table thead tbody tr th td time mark figure figcaption footer".split())
SVG = set("svg title g rect line path text defs pattern".split())
ATTRIBUTES = set("""lang charset name content http-equiv rel href class datetime colspan style width height viewbox role aria-label aria-hidden xmlns id
    patternunits d x y x1 y1 x2 y2 rx fill text-anchor stroke-width transform""".split())


class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.text, self.problems, self.counts = [], [], [], {}

    def handle_starttag(self, tag, attrs):
        if tag not in HTML | SVG:
            self.problems.append(f"element {tag}")
        for name, value in attrs:
            if name not in ATTRIBUTES or name in ("href", "src") and value != "data:,":
                self.problems.append(f"attribute {name}={value} of {tag}")
            if name != "xmlns" and re.search(r"url\((?!#)|https?:", value or ""):
                self.problems.append(f"reference {name}={value} of {tag}")
        key = f"{tag}.{dict(attrs).get('class', '')}"
        for known in {key, key.split(" ", maxsplit=1)[0]}:
            self.counts[known] = self.counts.get(known, 0) + 1
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.problems.append(f"</{tag}> closes something else at {self.getpos()}")

    def handle_data(self, data):
        if self.open and self.open[-1] == "style":
            if re.search(r"url\(|@import|https?:", data):
                self.problems.append("a style that refers to something else")
        else:
            self.text.append(data)


arguments = sys.argv[1:]
count = arguments[0] == "--count"
with open(arguments[count], encoding="utf-8") as f:
    source = f.read()
page = Page()
page.feed(source)
page.close()
if count:
    print(*[page.counts.get(name, 0) for name in arguments[2:]])
    sys.exit()
if page.open:
    page.problems.append(f"not closed: {page.open}")
pictures = re.findall(r"<svg.*?</svg>", source, re.DOTALL)
if len(pictures) != source.count("<svg"):
    page.problems.append("an SVG in an SVG")
for picture in pictures:
    try:
        xml.etree.ElementTree.fromstring(picture)
    except xml.etree.ElementTree.ParseError as e:
        page.problems.append(f"SVG: {e}: {picture[:200]}")
if not source.startswith("<!DOCTYPE html>"):
    page.problems.append("no DOCTYPE")
text = "".join(page.text)
page.problems.extend(f"no text {wanted!r}" for wanted in arguments[1:] if wanted not in text)
print(*page.problems, sep="\n", file=sys.stderr)
sys.exit(bool(page.problems))
