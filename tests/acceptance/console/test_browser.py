"""The console in a real browser: live, on a narrow screen, in the dark, with the keyboard."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.support.bulk import dead_letters, dead_line, turn
from tests.support.console import ACT, APPROVE, VIEW, ConsoleProgram, console_scene
from tests.support.npm import install
from tests.support.processes import wait_until
from tests.support.rig import AFTER, STORE_ID, Rig

AXE = Path(__file__).parent / "axe"
PROGRAMS = ("chromium", "chromedriver")
Scene = tuple[Rig, ConsoleProgram]
#: Returns what makes a page wider than the screen.
TOO_WIDE = """
    const most = 360;
    if (document.documentElement.scrollWidth <= most) return [];
    return [...document.querySelectorAll("body *")]
        .filter(each => each.getBoundingClientRect().right > most)
        .map(each => each.outerHTML.slice(0, 100));
"""
#: Keeps forms from being sent, and notes that one would have been.
CATCH = """
    window.isSent = false;
    addEventListener("submit", event => { event.preventDefault(); window.isSent = true; });
"""
#: What the console answers from now on, or that it never does, and that ten seconds are over.
FAILS = (
    "window.fetch = async () => new Response('', {status: 503})",
    "window.fetch = () => new Promise(() => {}); window.setTimeout = run => run()",
)

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, PROGRAMS)),
    reason="chromium and chromedriver are not installed (Debian: chromium, chromium-driver)",
)


@pytest.fixture(scope="module")
def scene(redis_url: str) -> Iterator[Scene]:
    """A worker with a console, shared by the tests of this file."""
    with console_scene(redis_url) as made:
        yield made


@pytest.fixture(scope="module")
def chrome() -> Iterator[Chrome]:
    """A browser without a window."""
    options = ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for each in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "disable-gpu"):
        options.add_argument(f"--{each}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options, ChromeService(shutil.which("chromedriver")))
    yield driver
    driver.quit()


@pytest.fixture
def browser(chrome: Chrome) -> Iterator[Chrome]:
    """The browser, with nobody signed in; whatever it complains about fails the test."""
    chrome.get("about:blank")
    chrome.delete_all_cookies()
    complaints(chrome)
    yield chrome
    assert complaints(chrome) == []


def complaints(chrome: Chrome) -> list[str]:
    """Return what the browser has written to its console since the last time."""
    log: Any = chrome.get_log("browser")  # type: ignore[no-untyped-call]  # selenium's
    return [line["message"] for line in log]


def sign_in(browser: Chrome, program: ConsoleProgram, token: str) -> None:
    """Sign in with the keyboard."""
    browser.get(f"{program.url}/sign-in")
    browser.find_element(By.ID, "token").send_keys(token, Keys.ENTER)
    wait_until(lambda: browser.title.startswith("Overview"))


def text(browser: Chrome) -> str:
    """Return the text of the page, as somebody sees it."""
    return str(browser.find_element(By.TAG_NAME, "main").text)


def press(browser: Chrome, name: str) -> None:
    """Press a button, and wait for the next page."""
    main = browser.find_element(By.TAG_NAME, "main")
    browser.find_element(By.XPATH, f"//button[contains(., '{name}')]").click()
    wait_until(lambda: _is_gone(main))


def _is_gone(element: Any) -> bool:
    try:
        element.is_enabled()
    except Exception:  # noqa: BLE001 - selenium has several for an element of a page before
        return True
    return False


def test_a_page_follows_the_ledger(scene: Scene, browser: Chrome) -> None:
    """Without being loaded again."""
    rig, program = scene
    sign_in(browser, program, VIEW)
    wait_until(lambda: browser.find_element(By.ID, "live").text == "Live")
    browser.execute_script("window.isTheSamePage = true")
    dead_letters(rig, 1)
    wait_until(lambda: dead_line(rig) in text(browser))
    assert browser.execute_script("return window.isTheSamePage") is True


@pytest.mark.parametrize("fails", FAILS)
def test_a_page_that_is_old_does_not_call_itself_live(
    scene: Scene, browser: Chrome, fails: str
) -> None:
    """Such as while Redis does not answer; the stream itself goes on."""
    rig, program = scene
    sign_in(browser, program, VIEW)
    wait_until(lambda: browser.find_element(By.ID, "live").text == "Live")
    browser.execute_script(fails)
    dead_letters(rig, 1)
    wait_until(lambda: browser.find_element(By.ID, "live").text.startswith("Not live"))


def test_dead_letters_are_replayed_in_bulk(scene: Scene, browser: Chrome) -> None:
    """Select, say why, confirm, and watch the progress."""
    rig, program = scene
    ids = dead_letters(rig, 2)
    sign_in(browser, program, ACT)
    browser.get(f"{program.url}/dead")
    for each in ids:
        browser.find_element(By.CSS_SELECTOR, f"input[value='{each}']").click()
    browser.find_element(By.ID, "why").send_keys("the key is back")
    press(browser, "Replay")
    assert "dead.replay of 2: not started" in text(browser)
    press(browser, "Start")
    turn(rig)
    wait_until(lambda: "2 done, 0 refused, 0 left" in text(browser))
    rig.run_until_idle()
    assert [rig.load(each).state.value for each in ids] == ["refunded"] * 2


def test_a_hostile_name_is_text(scene: Scene, browser: Chrome) -> None:
    """Nothing in it runs, and nothing of it becomes an element."""
    rig, program = scene
    name = '<img src=x onerror="window.isBroken=1"><script>window.isBroken=1</script>'
    rig.stores.save_checks(STORE_ID, {"name": name})
    sign_in(browser, program, VIEW)
    browser.get(f"{program.url}/store?id={STORE_ID}")
    assert browser.find_element(By.TAG_NAME, "h1").text == name
    assert browser.execute_script("return window.isBroken") is None
    rig.stores.save_checks(STORE_ID, {})


def test_enter_in_a_field_does_no_act(scene: Scene, browser: Chrome) -> None:
    """Only a button does: by Enter, the first one would replay what somebody means to resolve."""
    rig, program = scene
    [letter] = dead_letters(rig, 1)
    sign_in(browser, program, ACT)
    for path in (f"/refund?id={letter}", "/dead", f"/store?id={STORE_ID}", "/stores"):
        browser.get(program.url + path)
        browser.execute_script(CATCH)
        fields = browser.find_elements(By.CSS_SELECTOR, "form[method=post] input:not([type])")
        for field in fields:
            field.send_keys("x", Keys.ENTER)
        assert (path, len(fields) > 0) == (path, True)
        assert (path, browser.execute_script("return window.isSent")) == (path, False)


def test_pages_fit_a_narrow_screen(scene: Scene, browser: Chrome) -> None:
    """360 pixels are enough: nobody scrolls sideways."""
    rig, program = scene
    refund_id = rig.run(rig.order(AFTER)).refund_id
    size = browser.get_window_size()
    sign_in(browser, program, ACT)
    narrow = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", narrow)
    for path in pages_of(refund_id):
        browser.get(program.url + path)
        assert browser.execute_script("return window.innerWidth") == 360
        assert (path, browser.execute_script(TOO_WIDE)) == (path, [])
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert browser.get_window_size() == size


def pages_of(refund_id: str) -> list[str]:
    """Return the pages that are looked at, with one refund."""
    return [
        *("/", "/refunds", f"/refund?id={refund_id}", "/dead", "/approvals", "/jobs"),
        *("/stores", f"/store?id={STORE_ID}", "/audit-log?verify=yes"),
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(scene: Scene, browser: Chrome, scheme: str) -> None:
    """Landmarks, labels and contrast, on every page, also in the dark."""
    if not shutil.which("npm"):
        pytest.skip("npm is not installed")
    if problem := install(AXE):
        pytest.skip(problem)
    rig, program = scene
    [letter] = dead_letters(rig, 1)
    axe = (AXE / "node_modules" / "axe-core" / "axe.min.js").read_text()
    features = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", features)
    browser.get(f"{program.url}/sign-in")
    found = {"/sign-in": violations(browser, axe)}
    sign_in(browser, program, APPROVE)
    for path in pages_of(letter):
        browser.get(program.url + path)
        found[path] = violations(browser, axe)
    assert {path: problems for path, problems in found.items() if problems} == {}


def violations(browser: Chrome, axe: str) -> list[str]:
    """Return what axe-core complains about."""
    browser.execute_script(axe)
    answer = browser.execute_async_script(
        "const done = arguments[0]; axe.run().then(found => done(found.violations))"
    )
    return [f"{one['id']}: {node['html']}" for one in answer for node in one["nodes"]]
