#!/usr/bin/python3
"""Opens a report of `mkpkg audit --format html` in Chromium and uses it: browser.py REPORT [DIRECTORY FOR PICTURES].

Says nothing when all is well.
"""

import json
import os
import sys

from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

# Contrast of every text with what is behind it, as WCAG 2.1 computes it (1.4.3: 4.5, for text of any size here).
CONTRAST = """
function rgb(text) { return text.match(/[\\d.]+/g).map(Number); }
function linear(value) {
  value /= 255;
  return value <= 0.04045 ? value / 12.92 : Math.pow((value + 0.055) / 1.055, 2.4);
}
function luminance(colour) {
  return 0.2126 * linear(colour[0]) + 0.7152 * linear(colour[1]) + 0.0722 * linear(colour[2]);
}
function behind(element) {
  for (var at = element; at; at = at.parentElement) {
    var colour = rgb(getComputedStyle(at).backgroundColor);
    if (colour.length < 4 || colour[3] > 0) { return colour; }
  }
  return [255, 255, 255];
}
var faint = {};
document.querySelectorAll("body *").forEach(function (element) {
  var own = Array.from(element.childNodes).some(function (node) {
    return node.nodeType === 3 && node.textContent.trim();
  });
  if (!own || !element.getClientRects().length || element.closest("script, style, .sr, .skip")) { return; }
  var style = getComputedStyle(element), front, back;
  if (element.namespaceURI.endsWith("svg")) {
    if (element.tagName !== "text") { return; }
    front = rgb(style.fill);
    back = rgb(getComputedStyle(element.closest("g").querySelector("rect")).fill);
  } else {
    front = rgb(style.color);
    back = behind(element);
  }
  var lights = [luminance(front), luminance(back)].sort(function (a, b) { return b - a; });
  var contrast = (lights[0] + 0.05) / (lights[1] + 0.05);
  if (contrast < 4.5) { faint[element.tagName + "." + element.className + " " + contrast.toFixed(2)] = 1; }
});
return Object.keys(faint);
"""


def check(claim, what):
    if not claim:
        sys.exit(f"browser.py: {what}")


class Page:
    def __init__(self, report):
        options = webdriver.ChromeOptions()
        for argument in ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]:
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options)
        self.url = "file://" + os.path.abspath(report)

    def open(self, scheme, width=1280, height=1000):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.driver.get(self.url)

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def press(self, *keys):
        chain = ActionChains(self.driver)
        for key in keys:
            chain.send_keys(key)
        chain.perform()

    def column(self, table, number):
        script = """return Array.from(document.querySelectorAll(`[data-table="${arguments[0]}"] tbody tr`))
            .filter(row => !row.hidden).map(row => row.cells[arguments[1]].textContent);"""
        return self.run(script, table, number)


def sorting(page):
    button = page.driver.find_element(By.CSS_SELECTOR, '[data-table="distributions"] th button')
    before = page.column("distributions", 0)
    check(len(before) >= 3, "the report has too few distributions to sort")
    header = "return document.querySelector('[data-table=distributions] th').getAttribute('aria-sort')"
    button.click()
    check(page.run(header) == "ascending", "a click does not sort")
    check(page.column("distributions", 0) == sorted(before, key=str.lower), "the order is wrong")
    check(page.run("return document.activeElement.tagName") == "BUTTON", "the header lost the focus")
    page.press(Keys.ENTER)
    check(page.run(header) == "descending", "the keyboard does not sort")
    check(page.column("distributions", 0) == sorted(before, key=str.lower)[::-1], "the order is not reversed")
    files = page.driver.find_elements(By.CSS_SELECTOR, '[data-table="distributions"] th button')[4]
    files.click()
    numbers = [int(text) for text in page.column("distributions", 4)]
    check(numbers == sorted(numbers), "numbers are sorted as words")


def searching(page):
    total = len(page.column("distributions", 0))
    wanted = page.column("distributions", 0)[0]
    page.run("document.activeElement.blur()")
    page.press("/")
    check(page.run("return document.activeElement.id") == "search", "`/` does not lead to the search")
    page.press(wanted)
    found = page.column("distributions", 0)
    check(0 < len(found) < total and wanted in found, f"the search for {wanted} finds {found}")
    check("shown" in page.run("return document.getElementById('status').textContent"), "nothing is announced")
    page.press(Keys.ESCAPE)
    check(len(page.column("distributions", 0)) == total, "Escape does not end the search")
    levels = set(page.column("findings", 0))
    box = page.driver.find_element(By.CSS_SELECTOR, f'#levels input[value="{sorted(levels)[0]}"]')
    box.click()
    check(set(page.column("findings", 0)) == levels - {sorted(levels)[0]}, "a level cannot be hidden")
    box.click()
    check(set(page.column("findings", 0)) == levels, "a level does not come back")


def keyboard(page):
    page.press(Keys.TAB)
    check(page.run("return document.activeElement.className") == "skip", "the first stop is not the skip link")
    page.press(Keys.ENTER)
    check(page.run("return document.activeElement.id") == "content", "the skip link leads elsewhere")


def structure(page):
    levels = page.run("return Array.from(document.querySelectorAll('h1,h2,h3')).map(it => Number(it.tagName[1]))")
    check(levels[0] == 1 and levels.count(1) == 1, "there is not one first heading")
    check(all(after <= before + 1 for before, after in zip(levels, levels[1:])), f"headings skip a level: {levels}")
    for landmark in ["header", "nav[aria-label]", "main", "footer"]:
        check(page.driver.find_elements(By.CSS_SELECTOR, landmark), f"there is no {landmark}")
    twice = page.run("""var seen = {}, twice = [];
        document.querySelectorAll("[id]").forEach(it => { if (seen[it.id]) twice.push(it.id); seen[it.id] = 1; });
        return twice;""")
    check(not twice, f"ids are not unique: {twice}")


def colours(page, scheme):
    faint = page.run(CONTRAST)
    check(not faint, f"{scheme}: too little contrast: {faint}")
    back = page.run("return getComputedStyle(document.body).backgroundColor")
    page.driver.find_element(By.ID, "theme").click()
    check(page.run("return getComputedStyle(document.body).backgroundColor") != back, "the other colours do not come")
    faint = page.run(CONTRAST)
    check(not faint, f"not {scheme}: too little contrast: {faint}")
    page.driver.find_element(By.ID, "theme").click()
    check(page.run("return getComputedStyle(document.body).backgroundColor") == back, "the colours do not come back")


def silence(page):
    errors = [entry["message"] for entry in page.driver.get_log("browser")]
    check(not errors, f"the console says: {errors}")
    for entry in page.driver.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            url = message["params"]["request"]["url"]
            check(url.startswith(("file:", "data:")), f"it loads {url}")
    check(page.run("return window.owned") is None, "the package runs code in the report")


def main():
    page = Page(sys.argv[1])
    pictures = sys.argv[2] if len(sys.argv) > 2 else None
    try:
        for scheme in ["light", "dark"]:
            page.open(scheme)
            structure(page)
            keyboard(page)
            sorting(page)
            searching(page)
            colours(page, scheme)
            silence(page)
            for name, width in [("wide", 1280), ("narrow", 360)]:
                page.open(scheme, width, 2000)
                wide = page.run("return document.documentElement.scrollWidth - innerWidth")
                check(wide <= 0, f"{name}: the page is {wide} pixels too wide")
                if pictures:
                    page.driver.save_screenshot(os.path.join(pictures, f"{scheme}-{name}.png"))
    finally:
        page.driver.quit()


if __name__ == "__main__":
    main()
