"""The page of `zsc play` in a browser: clicks, a slider that moves, and whom it asks for anything."""

import json
import os
import shutil
import signal
import time

import pytest

pytest.importorskip("selenium")

from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.processes import start
from zsc.install import problem, requirements

if lacking := [found for one in requirements("play") if (found := problem(one))]:
    pytest.skip(f"no page: {', '.join(lacking)}", allow_module_level=True)

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
PATIENCE = 120  # seconds
EVIL = "<script>document.title=1</script> {{7*7}} ${7*7}"  # which the layout has room for

pytestmark = pytest.mark.skipif(not (BROWSER and DRIVER), reason="needs chromium and chromedriver in the PATH")


def until(found):
    """Return what ``found`` returns once that is true."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            if value := found():
                return value
        except WebDriverException:
            pass
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("play") / "here"


@pytest.fixture(scope="module")
def served(folder):
    """The process of the command, and the address that it says."""
    started = start(folder, "play", "open=false", "port=0", "dataset.limit=3", "cells=nowhere")

    def address():
        assert started.process.is_alive(), started.errors
        return [word for word in started.errors.split() if word.startswith("http://")]

    yield started, until(address)[0]
    if started.process.is_alive():
        started.process.kill()


class Page:
    """The page in a browser of a width, with a scheme of colours."""

    def __init__(self, url, width=1280, scheme="light"):
        options = webdriver.ChromeOptions()
        options.binary_location = BROWSER
        for one in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking"):
            options.add_argument(one)
        options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(DRIVER))
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        rights = {"origin": url, "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
        self.driver.execute_cdp_cmd("Browser.grantPermissions", rights)
        self.driver.get(url)
        self.off = until(lambda: self.text(".zsc-off"))
        self.on = until(lambda: self.text(".zsc-on"))

    def find(self, selector):
        """The element, once the page has it: what is opened is laid out after the click that opens it."""
        return until(lambda: self.driver.find_element(By.CSS_SELECTOR, selector))

    def text(self, selector):
        return self.find(selector).text

    def value(self, selector):
        return self.find(selector).get_property("value")

    def command(self):
        return self.value("#zsc-command textarea")

    def click(self, selector):
        until(lambda: self.find(selector).click() is None)

    def press(self, selector, *keys):
        until(lambda: self.find(selector).send_keys(*keys) is None)

    def write(self, selector, text):
        self.press(selector, Keys.CONTROL, "a")
        self.press(selector, Keys.DELETE, text)

    def asked(self):
        """Whom the browser has sent requests to."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        urls = [one["params"]["request"]["url"] for one in messages if one["method"] == "Network.requestWillBeSent"]
        return {url.split("/")[2] if url.startswith("http") else url.partition(":")[0] for url in urls}


@pytest.fixture
def page(served):
    one = Page(served[1])
    yield one
    one.driver.quit()


def test_a_slider_a_click_and_what_they_change(page, served, folder):
    host = served[1].split("/")[2]
    slider = "#zsc-attn_bias-strength-slider input[type=range]"
    until(lambda: "knob.strength=5 seed=0" in page.command())
    assert "dataset.limit=3" in page.command()
    page.press(slider, Keys.END)
    until(lambda: "knob.strength=100 " in page.command())
    until(lambda: page.text(".zsc-off") == page.off and page.text(".zsc-on") != page.on)
    until(lambda: page.value("#zsc-attn_bias-strength input") == "100")
    page.write("#zsc-attn_bias-strength input", "1")
    until(lambda: "knob.strength=1 " in page.command())
    until(lambda: page.value(slider) == "40")
    until(lambda: page.text(".zsc-on") == page.text(".zsc-off") == page.off)

    assert "dec_mix" not in page.command()
    page.click("#zsc-knob-dec_mix button")  # opens what it can be set to
    page.press("#zsc-dec_mix-weight-slider input[type=range]", Keys.END)
    until(lambda: "knob.dec_mix.weight=1 " in page.command())  # whose slider has turned it on
    page.click("#zsc-on-dec_mix input")
    until(lambda: "dec_mix" not in page.command())

    page.click("#zsc-another")
    until(lambda: "seed=0" not in page.command())
    until(lambda: page.text(".zsc-off") != page.off)

    page.click("#zsc-copy")
    read = "navigator.clipboard.readText().then(arguments[0])"
    until(lambda: page.driver.execute_async_script(read) == page.command())
    until(lambda: page.text("#zsc-copy") == "Copied")

    page.write("#zsc-name input, #zsc-name textarea", "gentle")
    page.click("#zsc-save")
    until(lambda: "play/knob/gentle.yaml" in page.text("#zsc-saved"))
    assert "strength: 1" in (folder / "play" / "knob" / "gentle.yaml").read_text()
    assert page.asked() <= {host, "data", "blob"}
    assert not [entry for entry in page.driver.get_log("browser") if entry["level"] == "SEVERE"]


def test_edited_texts_are_text_and_errors_one_line(page, served):
    page.write("#zsc-field-knowledge textarea", EVIL)
    page.click("#zsc-answer")
    until(lambda: page.text("#zsc-download"))
    link = page.find("#zsc-download a")
    assert link.get_attribute("download") == "records.jsonl" and link.get_attribute("href").startswith("data:")
    until(lambda: "dataset=jsonl dataset.path=records.jsonl" in page.command())
    parts = until(lambda: page.driver.find_elements(By.CSS_SELECTOR, ".zsc-moved dd"))
    (moved,) = [one for one in parts if "script" in one.text]
    assert moved.text.replace(" ", "") == EVIL.replace(" ", "")
    assert page.driver.title == "zsc play" and not moved.find_elements(By.CSS_SELECTOR, "script")

    page.write("#zsc-field-knowledge textarea", "")
    page.click("#zsc-answer")
    until(lambda: "has no knowledge, which attn_bias" in page.text("#zsc-shown [role=alert]"))
    until(lambda: page.command() == "")
    assert not page.driver.find_elements(By.CSS_SELECTOR, "#zsc-shown .zsc-on")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_narrow_screen_and_can_be_read(served, scheme):
    narrow = Page(served[1], 400, scheme)
    try:
        assert narrow.driver.execute_script("return document.documentElement.scrollWidth") <= 400
        for selector in (".zsc-on", ".zsc-small", ".zsc-t.more-5", ".zsc-t.less-5", ".zsc ins, .zsc del"):
            assert narrow.driver.execute_script(CONTRAST, narrow.find(selector)) >= 4.5, selector
    finally:
        narrow.driver.quit()


CONTRAST = """
const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number)
const light = (colour) => numbers(colour).slice(0, 3).map((v) => v / 255)
  .map((v) => v <= 0.04045 ? v / 12.92 : Math.pow((v + 0.055) / 1.055, 2.4))
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0)
const ground = (one) => { const own = getComputedStyle(one).backgroundColor, [,,, alpha = 1] = numbers(own)
  return alpha === 0 && one.parentElement ? ground(one.parentElement) : own }
const one = arguments[0], [a, b] = [light(getComputedStyle(one).color), light(ground(one))]
return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
"""


def test_an_interrupt_ends_it(served):
    started, _ = served
    os.kill(started.process.pid, signal.SIGINT)
    assert started.wait() == 130
    assert "Traceback" not in started.errors and started.errors.rstrip().endswith("interrupted.")
