"""The report and the form of an annotation in a browser: by touch at the width of a phone, by keyboard and by mouse."""

import csv
import io
import shutil
from itertools import pairwise
from pathlib import Path

import pytest

pytest.importorskip("selenium")

from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.actions.action_builder import ActionBuilder
from selenium.webdriver.common.actions.interaction import POINTER_TOUCH
from selenium.webdriver.common.actions.pointer_input import PointerInput
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from zsc.data.record import Record, Turn
from zsc.generation.attention import Attended, Token
from zsc.metrics.score import Row
from zsc.tables.annotation import Pair, form
from zsc.tables.compared import Group, Run
from zsc.tables.report import Example, Examples, page

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
PHONE = {"deviceMetrics": {"width": 400, "height": 800, "pixelRatio": 1, "touch": True, "mobile": True}}
RECORD = Record("r", (Turn("a", "Hi."), Turn("b", "Yes?")), None, "A fact.")

pytestmark = pytest.mark.skipif(not (BROWSER and DRIVER), reason="needs chromium and chromedriver in the PATH")


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The address of a report with an example of 120 tokens, each word under its number."""
    knobs = {"off": [], "on": [{"knob": "attn_bias", "profile": "dialog", "strength": 2}]}
    metrics = ("knowledge_rouge1", "perplexity_corpus")
    rows = [Row(one, metric, i + 1.0, i + 0.5, i + 1.5, 5, 1, 0) for i, one in enumerate(knobs) for metric in metrics]
    run = Run(
        "run",
        {},
        {"seeds": [0], "knobs": knobs, "identity": "x"},
        rows,
        dict.fromkeys(metrics, ""),
        {"confidence": 0.9},
        5,
    )
    tokens = [Token(f" word{i}", 1, False, 0.01, 0.01 + i / 1e4) for i in range(120)]
    shown = Examples("on", 0, [Example(RECORD, "no", "yes", Attended(tokens, 0.0, (0.0, 0.0)))], "")
    file = tmp_path_factory.mktemp("report") / "report.html"
    file.write_text(page("t", [Group(*metrics, [run])], [[]], [None], [shown]))
    return file.as_uri()


@pytest.fixture(scope="module")
def annotation(tmp_path_factory):
    """The address of a form of three pairs."""
    file = tmp_path_factory.mktemp("annotation") / "form.html"
    pairs = [Pair(i, RECORD, f"left {i}…", f"right {i}", "A") for i in (1, 2, 3)]
    file.write_text(form(pairs, ["fluent", "fits"], "t"))
    return file.as_uri()


def browser(folder, phone):
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1200,900"):
        options.add_argument(argument)
    options.add_argument(f"--user-data-dir={folder / 'profile'}")
    options.add_experimental_option("prefs", {"download.default_directory": str(folder)})
    if phone:
        options.add_experimental_option("mobileEmulation", PHONE)
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))


@pytest.fixture(scope="module")
def phone(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("phone"), phone=True) as driver:
        yield driver


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("desk"), phone=False) as driver:
        yield driver


def tap(driver, element):
    driver.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
    finger = ActionBuilder(driver, mouse=PointerInput(POINTER_TOUCH, "finger"))
    finger.pointer_action.move_to(element).pointer_down().pointer_up()
    finger.perform()


def tip(driver):
    """Return what the tooltip says, which must lie in the window; nothing where there is none."""
    found = driver.find_element(By.ID, "tip")
    if not found.is_displayed():
        return ""
    left, right, width = driver.execute_script(
        "const box = arguments[0].getBoundingClientRect();"
        "return [box.left, box.right, document.documentElement.clientWidth]", found
    )  # fmt: skip
    assert left >= 0 and right <= width
    return found.text


def until(driver, found):
    return WebDriverWait(driver, 20).until(lambda _: found())


def wide(driver):
    return driver.execute_script("return document.documentElement.scrollWidth - document.documentElement.clientWidth")


def tokens_of(driver, address):
    driver.get(address)
    return driver.find_elements(By.CSS_SELECTOR, ".moved .t")


def test_a_tapped_token_shows_its_numbers_until_something_else_is_tapped(phone, report):
    tokens = tokens_of(phone, report)
    assert wide(phone) <= 0 and tip(phone) == ""
    for i in (5, 6, 7, 119):
        tap(phone, tokens[i])
        until(phone, lambda i=i: tip(phone).startswith(f"word{i}: 1.0% → "))
    tap(phone, phone.find_element(By.TAG_NAME, "h4"))
    until(phone, lambda: tip(phone) == "")
    assert not phone.find_elements(By.CSS_SELECTOR, "[title]")  # which only a mouse could see


def test_tokens_are_large_enough_for_a_finger_and_apart(phone, report):
    boxes = [token.rect for token in tokens_of(phone, report)]
    lines = sorted({box["y"] for box in boxes})
    assert all(after - before >= 24 for before, after in pairwise(lines))  # WCAG 2.2, 2.5.8
    assert min(box["height"] for box in boxes) >= 24


def test_a_mouse_over_a_token_and_away(desk, report):
    tokens = tokens_of(desk, report)
    desk.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", tokens[9])
    ActionChains(desk).move_to_element(tokens[9]).perform()
    until(desk, lambda: tip(desk).startswith("word9: "))
    ActionChains(desk).move_to_element(desk.find_element(By.TAG_NAME, "h5")).perform()
    until(desk, lambda: tip(desk) == "")


def test_the_keyboard_goes_from_token_to_token_with_one_stop_for_all(desk, report):
    tokens = tokens_of(desk, report)
    assert [token.get_attribute("tabindex") for token in tokens] == ["0"] + ["-1"] * 119
    tokens[0].send_keys(Keys.ARROW_RIGHT)
    until(desk, lambda: tip(desk).startswith("word1: "))
    assert desk.switch_to.active_element.get_attribute("aria-describedby") == "tip"
    keys = (Keys.END, 119), (Keys.ARROW_RIGHT, 119), (Keys.ARROW_UP, 118), (Keys.HOME, 0)
    for key, i in keys:
        desk.switch_to.active_element.send_keys(key)
        until(desk, lambda i=i: tip(desk).startswith(f"word{i}: "))
    desk.switch_to.active_element.send_keys(Keys.ESCAPE)
    until(desk, lambda: tip(desk) == "")
    desk.switch_to.active_element.send_keys(Keys.ENTER)
    until(desk, lambda: tip(desk).startswith("word0: "))
    desk.switch_to.active_element.send_keys(Keys.TAB)
    until(desk, lambda: tip(desk) == "")


def count(driver):
    return driver.find_element(By.ID, "count").text


def choices(driver):
    return driver.find_elements(By.CSS_SELECTOR, "label.choice")


def test_a_form_is_filled_in_by_fingers(phone, annotation, tmp_path):
    phone.get(annotation)
    phone.execute_script("localStorage.clear(); location.reload()")
    assert wide(phone) <= 0 and "left 1…" in phone.find_element(By.ID, "sheets").text
    assert all(label.rect["height"] >= 44 for label in choices(phone))
    assert not phone.find_element(By.CSS_SELECTOR, ".keys b").is_displayed()
    for place in (0, 4):  # of A, B, no difference, of each question
        tap(phone, choices(phone)[place])
    until(phone, lambda: count(phone) == "Pair 1 of 3; 1 complete")
    tap(phone, phone.find_element(By.ID, "next"))
    until(phone, lambda: count(phone).startswith("Pair 2 of 3"))
    phone.find_element(By.ID, "annotator").send_keys("ann")
    phone.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    tap(phone, phone.find_element(By.ID, "save"))
    until(phone, lambda: (tmp_path / "answers-ann.csv").exists())
    first, *_ = csv.DictReader(io.StringIO(Path(tmp_path / "answers-ann.csv").read_text()))
    assert (first["fluent"], first["fits"], first["annotator"]) == ("A", "B", "ann")


def test_a_form_keeps_the_place_of_the_keyboard(desk, annotation):
    desk.get(annotation)
    desk.execute_script("localStorage.clear(); location.reload()")
    desk.find_element(By.CSS_SELECTOR, "input[value='A'][name='1-fluent']").send_keys(Keys.SPACE)
    desk.switch_to.active_element.send_keys(Keys.ARROW_DOWN)  # as between radio buttons
    now = desk.switch_to.active_element
    assert (now.get_attribute("name"), now.get_attribute("value"), now.is_selected()) == ("1-fluent", "B", True)
    now.send_keys(Keys.TAB)
    assert desk.switch_to.active_element.get_attribute("name") == "1-fits"
