"""The pages in Chromium: nothing on its console, no request, no scroll at the width of a phone, dark, printed, hostile names."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import imuspec
from imuspec import cli
from imuspec.report import cohort_page, write_page
from imuspec.simulation import simulate, wrist_motion, write_geneactiv

pytest.importorskip("matplotlib", reason="the extra report is not installed")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright, of the extra dev, is not installed")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
MARKUP = "<img src=x onerror=alert(1)>"
RECIPE = ["segments.min_wear_h=0.2", "calibration.required=false"]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt install chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as running:
        launched = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One page of each kind, of recordings whose names and headers hold markup."""
    folder = tmp_path_factory.mktemp("pages")
    source = folder / "in"
    source.mkdir()
    simulate(
        source / f"{MARKUP}.cwa", days=0.3, seed=3, sample_rate=25, miscalibration=True, damage=("checksum", "lost")
    )
    simulate(source / "short.cwa", days=0.02, seed=1)
    acceleration, time, _ = wrist_motion(days=0.05, seed=3, sample_rate=50)
    write_geneactiv(source / "g.bin", acceleration, time)
    content = (
        (source / "g.bin").read_bytes().replace(b"Device Location Code:", b"Device Location Code:" + MARKUP.encode(), 1)
    )
    (source / "g.bin").write_bytes(content)
    (source / "broken.cwa").write_text(MARKUP)
    followed = imuspec.Recipe.load("capture24")
    result = {
        "recording": (source / f"{MARKUP}.cwa", followed),
        "excluded": (source / "short.cwa", imuspec.Recipe.load("ukb")),
        "markup": (source / "g.bin", followed.set(*RECIPE)),
        "failed": (source / "broken.cwa", followed),
        "training": (_training(folder / "training"), None),
        "probe": (_probe(folder / "probe"), None),
    }
    for name, (path, recipe) in result.items():
        write_page(path, folder / f"{name}.html", recipe=recipe)
    with pytest.raises(SystemExit) as end:
        cli.main(["prepare", str(source), "--out", str(folder / "cohort"), "--workers", "1", *_set(RECIPE)])
    assert not end.value.code
    cohort_page(imuspec.Cohort(folder / "cohort"), folder / "cohort.html", recordings="all")
    return {path.stem: path for path in folder.glob("*.html")}


def _set(assignments: list[str]) -> list[str]:
    return [word for text in assignments for word in ("--set", text)]


def _training(folder: Path) -> Path:
    folder.mkdir()
    (folder / "recipe.json").write_text(json.dumps({"name": MARKUP, "about": MARKUP}))
    lines = [{"step": i, "epoch": i / 9, "loss": 1 / i, "lr": 0.1, "top1": 0.5, MARKUP: 1.0} for i in range(1, 90)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def _probe(folder: Path) -> Path:
    from imuspec.report.scores import confusion_figure
    from imuspec.report.style import save

    folder.mkdir()
    names = [MARKUP, *(f"a class with a long name {i}" for i in range(7))]
    counts = np.arange(64).reshape(8, 8)
    rows = [
        {"truth": name, **dict(zip(names, line, strict=True))}
        for name, line in zip(names, counts.tolist(), strict=True)
    ]
    (folder / "confusion-last-0-clean.json").write_text(json.dumps(rows))
    (folder / "probe.json").write_text(json.dumps({"run": MARKUP}))
    (folder / "summary.json").write_text(json.dumps([{"layer": MARKUP, **{f"score_{i}": 0.123456 for i in range(14)}}]))
    save(confusion_figure(counts, names, MARKUP), folder / "shots.svg")
    return folder


KINDS = ("recording", "excluded", "markup", "failed", "cohort", "training", "probe")
DRAWN = ("recording", "cohort", "training")


@contextmanager
def opened(browser: Any, path: Path, **settings: Any) -> Iterator[tuple[Any, list[str]]]:
    """Open a page; yield it and everything that it put on its console, asked for, or showed in a dialog."""
    with browser.new_context(**settings) as context:
        page = context.new_page()
        noted: list[str] = []

        def note(line: str) -> None:
            if not line.startswith(("request: data:", f"request: {path.as_uri()}")):
                noted.append(line)

        page.on("console", lambda message: note(f"console: {message.text}"))
        page.on("pageerror", lambda error: note(f"error: {error}"))
        page.on("dialog", lambda dialog: (note(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: note(f"request: {request.url[:200]}"))
        page.goto(path.as_uri())
        yield page, noted


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_asks_for_nothing_and_shows_markup_in_names_and_headers_as_text(
    browser: Any, pages: dict[str, Path], kind: str
) -> None:
    with opened(browser, pages[kind]) as (page, noted):
        page.wait_for_timeout(200)
        assert noted == []
        assert page.title()
        assert page.query_selector("img[src=x]") is None
        assert page.query_selector("[onerror]") is None
        if kind not in ("excluded", "failed", "cohort"):  # the first two have no such name, ids of a cohort are plain
            assert MARKUP in page.evaluate("document.body.textContent")


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_scrolls_only_downwards_and_its_drawings_keep_their_text(
    browser: Any, pages: dict[str, Path], kind: str
) -> None:
    with opened(browser, pages[kind], viewport={"width": 390, "height": 844}) as (page, _):
        if kind in DRAWN:
            assert text_height(page) >= 7.5
        for width in (390, 768, 1280):
            page.set_viewport_size({"width": width, "height": 844})
            if kind in DRAWN and width != 768:
                assert cut_text(page) == [], width
        page.eval_on_selector_all("details:not([open])", "all => all.forEach(details => details.open = true)")
        for width in (1280, 768, 390):
            page.set_viewport_size({"width": width, "height": 844})
            assert page.evaluate("document.documentElement.scrollWidth") <= width


def text_height(page: Any) -> float:
    """Return the height of the smallest text of drawings, px."""
    heights = page.evaluate(
        """() => [...document.querySelectorAll("svg text")].filter(text => text.getClientRects().length)
            .map(text => parseFloat(getComputedStyle(text).fontSize)
                * text.ownerSVGElement.getBoundingClientRect().width / text.ownerSVGElement.viewBox.baseVal.width)"""
    )
    return float(min(heights, default=8))


def cut_text(page: Any) -> list[str]:
    """Return the texts that reach beyond their drawing."""
    cut: list[str] = page.evaluate(
        """() => [...document.querySelectorAll("svg text")].filter(text => text.getClientRects().length)
            .filter(text => {
                const inner = text.getBoundingClientRect(), outer = text.ownerSVGElement.getBoundingClientRect();
                return inner.left < outer.left - 1 || inner.right > outer.right + 1
                    || inner.top < outer.top - 1 || inner.bottom > outer.bottom + 1;
            }).map(text => text.textContent.trim())"""
    )
    return cut


def _lightness(page: Any, selector: str, name: str) -> float:
    colour = page.evaluate(
        "([selector, name]) => getComputedStyle(document.querySelector(selector))[name]", [selector, name]
    )
    numbers = [float(part) for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    return sum(numbers) / 3


@pytest.mark.parametrize("kind", KINDS)
def test_a_dark_screen_gets_a_dark_page_that_prints_light_without_controls_and_without_cut_figures(
    browser: Any, pages: dict[str, Path], kind: str
) -> None:
    with opened(browser, pages[kind], color_scheme="dark", viewport={"width": 700, "height": 1000}) as (page, _):
        assert _lightness(page, "body", "backgroundColor") < 40
        assert _lightness(page, "body", "color") > 180
        if kind in DRAWN:
            assert_marks_follow_the_screen(page)
        page.emulate_media(media="print", color_scheme="dark")
        assert _lightness(page, "body", "backgroundColor") == 255
        assert _lightness(page, "body", "color") == 0
        shown = "elements => elements.filter(element => element.getClientRects().length).length"
        assert page.eval_on_selector_all(".screen, input, details:not([open]) *, .narrow", shown) == 0
        cut = page.evaluate(
            """() => [...document.querySelectorAll("figure svg, figure img")].filter(part => {
                const box = part.getBoundingClientRect();
                return box.width && (box.right > 701 || box.height > 940
                    || getComputedStyle(part.closest("figure")).breakInside !== "avoid");
            }).length"""
        )
        assert cut == 0
        beyond = "tables => tables.filter(table => table.getBoundingClientRect().right > 701).length"
        assert page.eval_on_selector_all("table", beyond) == 0
        assert page.pdf(format="A4").startswith(b"%PDF")


def assert_marks_follow_the_screen(page: Any) -> None:
    """Every mark of a drawing has another colour on a light screen. The page, at first dark, is dark again after."""

    def colours() -> set[str]:
        result = page.evaluate(
            """() => [...document.querySelectorAll(".broad svg *")].flatMap(mark => {
                const look = getComputedStyle(mark);
                return mark.getClientRects().length ? [look.fill, look.stroke] : [];
            })"""
        )
        return {colour for colour in result if colour.startswith("rgb")}

    page.set_viewport_size({"width": 1280, "height": 720})
    dark = colours()
    page.emulate_media(color_scheme="light")
    light = colours()
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 700, "height": 1000})
    assert light
    assert not light & dark - {"rgb(0, 0, 0)"}  # the initial value of what has a mark of its own inside
    assert page.query_selector("svg image") is None


def test_the_search_of_a_cohort_finds_by_outcome_and_links_to_pages(browser: Any, pages: dict[str, Path]) -> None:
    with opened(browser, pages["cohort"]) as (page, noted):
        page.wait_for_selector("#searching:not([hidden])")
        n = page.locator("#recordings tbody tr").count()
        assert n == 4
        page.fill("#search", "failed")
        assert page.locator("#recordings tbody tr").count() == 1
        assert page.inner_text("#matches") == "1 match."
        assert "broken" in page.inner_text("#recordings tbody")
        page.fill("#search", "nothing like it")
        assert page.locator("#recordings tbody tr").count() == 0
        page.fill("#search", "")
        links = page.eval_on_selector_all("#recordings a", "all => all.map(link => link.getAttribute('href'))")
        assert len(links) == 4
        assert all((pages["cohort"].parent / link).is_file() for link in links)
        page.click("#recordings a")
        assert page.query_selector("h1") is not None
        assert [line for line in noted if "request" not in line] == []


def test_a_page_reached_from_its_cohort_says_what_was_lost(pages: dict[str, Path]) -> None:
    folder = pages["cohort"].parent / "cohort-recordings"
    texts = {path.stem: path.read_text("utf-8") for path in folder.glob("*.html")}
    damaged = next(text for name, text in texts.items() if "onerror" in name)
    assert "blocks whose checksum is wrong" in damaged
    assert "Nothing was lost" not in damaged
    assert "The clock" not in texts["broken"]
    assert "could not be read" in texts["broken"]


def test_a_compressed_page_is_small_enough_to_mail(pages: dict[str, Path]) -> None:
    assert len(gzip.compress(pages["recording"].read_bytes())) < 500_000
