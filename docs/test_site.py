"""The built documentation in a browser: what readers see, on a telephone and on a desk.

``make test-site`` builds the site, sees to the browser and runs this. It is no part of the suite of
``make test``, which needs neither.
"""

import functools
import http.server
import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.expected_conditions import visibility_of
from selenium.webdriver.support.ui import Select, WebDriverWait
from sklearn.utils import Bunch

from sklearn_genremoe import MixtureOfExpertsClassifier
from sklearn_genremoe.inspection import CollectionReport, apply_corrections

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / "docs/_build/html"
SCREENSHOTS = ROOT / "docs/_build/screenshots"
PAGES = sorted(
    name
    for name in (path.relative_to(SITE).as_posix() for path in SITE.rglob("*.html"))
    if not name.startswith("_static/")  # parts of the theme, not pages
)
GALLERY = [
    f"auto_examples/{path.stem}.html" for path in sorted((ROOT / "examples").glob("plot_*.py"))
]
#: Pages with the words that their main part must show.
MAIN = {
    "index.html": "Your own folder",
    "auto_examples/index.html": "Quickstart: a folder of labelled clips",
    "auto_examples/plot_quickstart.html": "Fit on everything, and save",
    "auto_examples/plot_what_domains_show.html": "The sound",
    "api/generated/sklearn_genremoe.MixtureOfExpertsClassifier.html": "Parameters",
    "reproduction/index.html": "Claim by claim",
    "reproduction/tables.html": "What the paper reports",
    "performance/index.html": "Feature extraction",
    "faq.html": "Which files can be read?",
    "user_guide/index.html": "A model behind a web address",
    "user_guide/own_folder.html": "manifest.csv",
    "user_guide/serving.html": "With FastAPI",
}
#: Width and height of the window: a telephone held upright, and a screen.
WINDOWS = {390: 844, 1400: 900}

# What a page shows that it should not, as a list of sentences.
FAULTS = """
const done = arguments[arguments.length - 1];
const faults = [];
const page = document.documentElement;
if (page.scrollWidth > window.innerWidth)
  faults.push(`${page.scrollWidth} px wide in a window of ${window.innerWidth} px`);
// What sticks out of the window, and is in no box that scrolls. (The theme lets the whole text
// scroll, which nobody expects, and which doesn't make the page wider.)
const scrolls = element => element && !element.matches("article.bd-article") && (
  ["auto", "scroll"].includes(getComputedStyle(element).overflowX)
  || scrolls(element.parentElement));
for (const element of document.querySelectorAll("article.bd-article *")) {
  const right = Math.max(0, ...[...element.getClientRects()].map(box => box.right));
  if (right > window.innerWidth + 1 && !element.children.length && !scrolls(element) &&
      element.checkVisibility() && !element.matches(".headerlink"))
    faults.push(`cut off at the right: <${element.tagName.toLowerCase()}> ` +
      element.textContent.trim().slice(0, 60));
}
// Names in the list beside the text that are cut off.
for (const element of document.querySelectorAll(".bd-sidebar-secondary a"))
  if (window.innerWidth > 1200 && element.checkVisibility()
      && element.getBoundingClientRect().right > window.innerWidth)
    faults.push("cut off beside the text: " + element.textContent.trim());
// Words that are broken in tables: a name in code on two lines has more than one box.
const tables = "article.bd-article table:not(.indextable)";
for (const element of document.querySelectorAll(tables + " code span.pre"))
  if (element.getClientRects().length > 1 && !/[^\\w"]/.test(element.textContent))
    faults.push("broken in a table: " + element.textContent);
const images = [...document.images];
images.forEach(image => { image.loading = "eager"; });
const loaded = images.map(image => image.decode().catch(() => null).then(() => {
  if (!(image.naturalWidth > 0)) faults.push("broken image " + image.src.slice(0, 200));
}));
const sounds = [...document.querySelectorAll("audio, video")].map(sound => new Promise(resolve => {
  const check = () => {
    if (sound.error || !(sound.duration > 0))
      faults.push("sound that can't be played " + sound.currentSrc.slice(0, 200));
    resolve();
  };
  sound.addEventListener("loadedmetadata", check);
  sound.addEventListener("error", check);
  sound.querySelectorAll("source").forEach(s => s.addEventListener("error", check));
  setTimeout(check, 10000);
  sound.preload = "metadata";
  sound.load();
}));
Promise.all([...loaded, ...sounds]).then(() => done([...new Set(faults)]));
"""


@pytest.fixture(scope="module")
def address():
    """Serve the site, since the search does not work on files; return its address."""
    assert (SITE / "index.html").is_file(), f"{SITE} holds no built site: run `make docs`"

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

        def send_error(self, code, *args):
            """Show the page for addresses that don't exist, as a host of static sites does."""
            body = (SITE / "404.html").read_bytes()
            self.send_response(code)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(body)

    handler = functools.partial(Quiet, directory=str(SITE))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def browser():
    """Start a browser without a window."""
    paths = {name: shutil.which(name) for name in ("chromium", "chromedriver")}
    assert all(paths.values()), f"not installed: {[n for n, path in paths.items() if not path]}"
    options = webdriver.ChromeOptions()
    options.binary_location = paths["chromium"]
    for option in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(paths["chromedriver"])
    driver = webdriver.Chrome(options, service)
    driver.set_page_load_timeout(60)
    driver.set_script_timeout(60)
    yield driver
    driver.quit()


def resize(browser, width: int, height: int) -> None:
    """Set the size of the page. Windows can't be as narrow as telephones, but pages can."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def errors(browser) -> list[str]:
    """Return what the console has complained about since it was last asked."""
    return [line["message"] for line in browser.get_log("browser") if line["level"] == "SEVERE"]


def open_page(browser, url: str, width: int = 1400) -> None:
    """Show a page at a width, with what the console said before forgotten."""
    resize(browser, width, WINDOWS[width])
    errors(browser)
    browser.get(url)


def test_site_is_complete() -> None:
    assert set(MAIN) <= set(PAGES)
    assert set(GALLERY) <= set(PAGES)


@pytest.mark.parametrize("width", WINDOWS)
def test_every_page(browser, address, width) -> None:
    # One test for all pages, because a page takes a small part of a second.
    started = time.perf_counter()
    faults = {}
    for page in PAGES:
        open_page(browser, address + page, width)
        found = [*browser.execute_async_script(FAULTS), *errors(browser)]
        if found:
            faults[page] = found
    seconds = time.perf_counter() - started
    print(f"{len(PAGES)} pages at {width} px in {seconds:.0f} s")
    lines = [f"{page}: {fault}" for page, found in faults.items() for fault in found]
    assert not lines, "\n".join(lines)


@pytest.mark.parametrize("width", WINDOWS)
@pytest.mark.parametrize("page", MAIN)
def test_main_page(browser, address, page, width) -> None:
    open_page(browser, address + page, width)
    assert MAIN[page] in browser.find_element(By.CSS_SELECTOR, "article.bd-article").text
    # The whole page, not just what the window shows of it.
    height = browser.execute_script("return document.documentElement.scrollHeight")
    resize(browser, width, min(height, 8000))
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    name = page.removesuffix(".html").replace("/", "-").replace("api-generated-", "")
    picture = SCREENSHOTS / f"{name}-{width}.png"
    assert browser.save_screenshot(str(picture))
    print(picture)


@pytest.mark.parametrize("word", ["mixer", "harmonic"])
def test_search(browser, address, word) -> None:
    open_page(browser, address + "index.html")
    # As a reader does: the button above, a word, and the return key.
    [button, *_] = [
        button
        for button in browser.find_elements(By.CSS_SELECTOR, ".search-button__button")
        if button.is_displayed()
    ]
    button.click()
    field = WebDriverWait(browser, 10).until(
        lambda browser: next(
            (
                field
                for field in browser.find_elements(By.CSS_SELECTOR, "input[type=search]")
                if field.is_displayed()
            ),
            None,
        )
    )
    field.send_keys(word + "\n")
    # They come one by one.
    results = "#search-results ul.search li a"
    WebDriverWait(browser, 20).until(
        lambda browser: len(browser.find_elements(By.CSS_SELECTOR, results)) >= 5
    )
    assert errors(browser) == []


@pytest.mark.parametrize("page", ["nowhere.html", "user_guide/nowhere.html"])
def test_page_that_does_not_exist(browser, address, page) -> None:
    open_page(browser, address + page, 390)
    assert "doesn't exist" in browser.find_element(By.TAG_NAME, "h1").text
    links = [a.get_attribute("href") for a in browser.find_elements(By.TAG_NAME, "a")]
    assert links[0] == address + "index.html"
    for link in links:
        browser.get(link)
        assert "not found" not in browser.title


def diagrams() -> list[str]:
    """Return the pages of the gallery that show the diagram of an estimator."""
    return [page for page in GALLERY if "sk-top-container" in (SITE / page).read_text("utf-8")]


@pytest.mark.parametrize("width", WINDOWS)
def test_diagram_opens(browser, address, width) -> None:
    pages = diagrams()
    assert pages, "no example shows the diagram of its mixture"
    for page in pages:
        open_page(browser, address + page, width)
        [diagram, *_] = browser.find_elements(By.CSS_SELECTOR, ".sk-top-container")
        box = diagram.find_element(By.CSS_SELECTOR, ".sk-toggleable__content")
        assert not box.is_displayed()
        label = diagram.find_element(By.CSS_SELECTOR, "label.sk-toggleable__label")
        browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", label)
        label.click()
        WebDriverWait(browser, 5).until(visibility_of(box))
        assert browser.execute_async_script(FAULTS) == []
        assert errors(browser) == []


@pytest.mark.parametrize("width", [1400, 800])
def test_diagram_in_a_notebook(browser, width, tmp_path) -> None:
    # A page without styles of its own, as wide as a notebook: seven experts, nothing cut off.
    html = MixtureOfExpertsClassifier()._repr_mimebundle_()["text/html"]
    page = tmp_path / "page.html"
    page.write_text(f"<!doctype html><meta charset='utf-8'>{html}", encoding="utf-8")
    resize(browser, width, 700)
    browser.get(page.as_uri())
    box = browser.find_element(By.CSS_SELECTOR, ".sk-top-container")
    assert box.get_property("scrollWidth") <= box.get_property("clientWidth")
    assert "mfcc_statistics" in box.text
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    assert browser.save_screenshot(str(SCREENSHOTS / f"diagram-{width}.png"))


#: What would show itself if names became markup.
PLANTED = "</script><img src=x onerror=document.title='planted'>"


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    """The page of 120 clips, of which the first four can be heard; and the clips."""
    folder = tmp_path_factory.mktemp("report")
    rng = np.random.default_rng(0)
    paths = [str(folder / "clips" / f'it\'s 100 % #{row:03}, "{row}".wav') for row in range(120)]
    (folder / "clips").mkdir()
    for path in paths[:4]:
        soundfile.write(path, 0.1 * rng.normal(size=22050), 22050)
    y = np.array(["folk", "rock", PLANTED])[np.arange(120) % 3]
    sure = rng.uniform(0.5, 1, 120)
    proba = np.full((120, 3), (1 - sure[:, np.newaxis]) / 2)
    proba[np.arange(120), (np.arange(120) % 3 + (rng.random(120) < 0.2)) % 3] = sure
    proba[7] = [0.98, 0.01, 0.01]  # a clip of rock that is folk for sure
    proba[119] = np.nan
    report = CollectionReport.from_predictions(
        y,
        proba,
        classes=["folk", "rock", PLANTED],
        paths=paths,
        groups=[f"{PLANTED} {row // 4}" for row in range(120)],
        expert_proba=np.stack([proba, proba], axis=1),
        expert_names=[PLANTED, "embedding"],
        features=rng.normal(size=(120, 8)),
        errors={119: f"{PLANTED} can't be decoded"},
    )
    return report.save(folder / "report.html"), Bunch(data=np.array(paths), target=y)


def shown(browser) -> list[int]:
    """Return the rows that the list of clips shows."""
    rows = browser.find_elements(By.CSS_SELECTOR, "#clips tbody tr")
    return [int(row.get_attribute("data-row")) for row in rows]


def press(browser, element) -> None:
    """Click an element in the middle of the window, where the page's bar doesn't cover it."""
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    element.click()


def test_report_page(browser, collection, tmp_path):
    page, clips = collection
    behaviour = {"behavior": "allow", "downloadPath": str(tmp_path)}
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", behaviour)
    open_page(browser, page.as_uri())
    rows = shown(browser)
    assert rows[0] == 7  # the most suspicious label
    assert len(rows) == 50
    # Pages of the list, filters, and an order by the file.
    press(browser, browser.find_element(By.ID, "next"))
    assert not set(shown(browser)) & set(rows)
    Select(browser.find_element(By.ID, "genre")).select_by_visible_text("rock")
    assert {row % 3 for row in shown(browser)} == {1}
    browser.find_element(By.ID, "text").send_keys("#00")
    press(browser, browser.find_element(By.CSS_SELECTOR, "#clips th button"))
    assert shown(browser) == [1, 4, 7]
    assert browser.find_element(By.ID, "count").text == "3 of 120 clips"
    press(browser, browser.find_element(By.ID, "reset"))
    # A cell of the confusion matrix shows its clips.
    cell = browser.find_element(By.CSS_SELECTOR, "#matrix button[data-genre='2'][data-said='1']")
    assert "rock" in cell.get_attribute("aria-label")
    press(browser, cell)
    assert 7 in shown(browser)
    assert len(shown(browser)) == int(cell.text)
    # A clip is played from its file.
    Select(browser.find_element(By.ID, "show")).select_by_visible_text("all clips")
    press(browser, browser.find_element(By.ID, "reset"))
    browser.find_element(By.ID, "text").send_keys("#001")
    played = browser.execute_async_script(
        "const done = arguments[0], audio = document.querySelector('#clips audio');"
        "audio.muted = true;"
        "audio.addEventListener('timeupdate', () => "
        "audio.currentTime > 0.1 && done(audio.duration));"
        "audio.play().catch(error => done(String(error)));"
    )
    assert played == pytest.approx(1.0, abs=0.01)
    # Marks survive another visit, and are saved as a table that corrects the labels.
    verdict = Select(browser.find_element(By.CSS_SELECTOR, "#clips select"))
    verdict.select_by_visible_text("it is folk")
    press(browser, browser.find_element(By.ID, "save"))
    open_page(browser, page.as_uri())
    assert browser.find_element(By.ID, "marked").text == "1 clip marked"
    verdict = Select(browser.find_element(By.CSS_SELECTOR, "tr[data-row='7'] select"))
    verdict.select_by_visible_text("leave it out")
    (tmp_path / "corrections.csv").unlink()
    press(browser, browser.find_element(By.ID, "save"))
    WebDriverWait(browser, 10).until(lambda _: (tmp_path / "corrections.csv").exists())
    corrected = apply_corrections(clips, tmp_path / "corrections.csv")
    assert corrected.changes == [(clips.data[1], "rock", "folk"), (clips.data[7], "rock", None)]
    # Names stay names, and nothing complained.
    assert PLANTED in browser.find_element(By.ID, "matrix").text
    assert browser.title == "Collection report"
    assert not browser.find_elements(By.CSS_SELECTOR, "img")
    assert errors(browser) == []
    browser.execute_script("localStorage.clear()")


@pytest.mark.parametrize("width", WINDOWS)
def test_long_names_are_not_cut(browser, tmp_path, width):
    long = "An Orchestra with a very long Name (feat. another one)"
    rng = np.random.default_rng(0)
    classes = ["drum and bass", "electronica", "folk"]
    report = CollectionReport.from_predictions(
        np.array(classes)[np.arange(9) % 3],
        rng.dirichlet(np.ones(3), 9),
        classes=classes,
        paths=[
            f"{long}/Variations_without-any_space_in_their_title_{row}.flac" for row in range(9)
        ],
        groups=[long] * 9,
        expert_proba=rng.dirichlet(np.ones(3), (9, 3)),
        features=rng.normal(size=(9, 8)),
    )
    open_page(browser, report.save(tmp_path / "report.html").as_uri(), width)
    beyond = browser.execute_script(
        "const table = document.getElementById('clips');"
        "return table.scrollWidth - table.parentElement.clientWidth"
    )
    assert beyond <= 0


@pytest.mark.parametrize("width", WINDOWS)
@pytest.mark.parametrize("colours", ["light", "dark"])
def test_report_looks_right(browser, collection, width, colours):
    page, _ = collection
    scheme = {"features": [{"name": "prefers-color-scheme", "value": colours}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", scheme)
    open_page(browser, page.as_uri(), width)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    # Every control has a name, and the keyboard reaches the first of them.
    unnamed = browser.execute_script(
        "return [...document.querySelectorAll('button, select, input, audio')].filter(e =>"
        " !e.textContent.trim() && !e.getAttribute('aria-label') && !e.closest('label')).length"
    )
    assert unnamed == 0
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    resize(browser, width, 3000)
    assert browser.save_screenshot(str(SCREENSHOTS / f"report-{colours}-{width}.png"))
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert errors(browser) == []
