"""Chromium, which opens a page from disk and notes what it says and asks for."""

import re
import shutil
from contextlib import contextmanager
from html.parser import HTMLParser

import pytest
from playwright.sync_api import sync_playwright

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@contextmanager
def chromium():
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


@contextmanager
def opened(browser, path, *, width=1400, scheme="light"):
    """Open a file in a tab; at the end, nothing may have been said in the console, and nothing asked of a network."""
    said, asked = [], []
    tab = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce")
    tab.set_default_timeout(10_000)
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(path.as_uri())
    yield tab
    tab.close()
    assert said == []
    assert [address for address in asked if not address.startswith(("file:", "data:"))] == []


def brightness(color):
    return sum(map(int, re.findall(r"\d+", color)[:3]))


class Parsed(HTMLParser):
    """The tags of a page, its scripts, and what is read of it, with one space between words and between blocks."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.scripts, self.stack, self.words = [], [], [], []
        self.feed(text)
        self.text = " ".join("".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self.stack.append(tag)
        elif tag not in ("bdi", "code", "strong", "a"):
            self.words.append(" ")

    def handle_endtag(self, tag):
        if tag in ("script", "style"):
            self.stack.pop()

    def handle_data(self, data):
        if not self.stack:
            self.words.append(data)
        elif self.stack[-1] == "script":
            self.scripts.append(data)

    def all(self, name):
        return [attributes for tag, attributes in self.tags if tag == name]
