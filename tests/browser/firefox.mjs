// Five journeys in Firefox over WebDriver BiDi, by mouse, by the keyboard alone, and by touch at 390 px: node firefox.mjs BROWSER ADDRESS TOKEN
// Writes one JSON object: what became of each journey ("ok", or the error), what the console said, and every address asked for.

import puppeteer from "puppeteer-core";

const [executablePath, address, token] = process.argv.slice(2);
const LAYER = "/models/tiny_a/blocks.0.pw";
const UNIT = `${LAYER}/7`;
const PATIENCE_MS = 15000;
const MAX_KEYS = 400;

/** Wait until something holds.
 * @param {string} what @param {() => Promise<boolean> | boolean} holds */
async function until(what, holds) {
  const end = Date.now() + PATIENCE_MS;
  while (Date.now() < end) {
    try {
      if (await holds()) return;
    } catch (error) {
      if (!/context|navigat|frame|realm/i.test(String(error))) throw error; // the page went away while it was asked
    }
    await new Promise((resolve) => setTimeout(resolve, 40));
  }
  throw new Error(`${what} did not come in ${PATIENCE_MS} ms`);
}

/** What to press to come nearer to an element: nothing when it has the focus.
 * @param {any} target */
function step(target) {
  if (target === document.activeElement) return "";
  const grid = target.tabIndex < 0 ? target.closest(".units, .tiles") : null;
  return grid?.contains(document.activeElement) ? "ArrowRight" : "Tab";
}

/** About how many stops of the Tab key lie before an element.
 * @param {any} target */
function stopsBefore(target) {
  const kinds = "a[href], button, input, select, textarea, summary, [tabindex]";
  const isStop = (/** @type {any} */ one) => one.tabIndex >= 0 && !one.disabled && one.checkVisibility();
  const stops = [...document.querySelectorAll(kinds)].filter(isStop);
  return stops.indexOf(target) - stops.indexOf(document.activeElement);
}

class Hand {
  /** @param {any} page @param {string} way */
  constructor(page, way) {
    this.page = page;
    this.way = way;
  }

  /** @param {string} selector */
  async reach(selector) {
    const target = await this.page.waitForSelector(selector, { visible: true, timeout: PATIENCE_MS });
    if (this.way !== "keyboard") {
      // As people do: to where nothing that stays at the edge of the window lies over it.
      await target.evaluate((/** @type {any} */ one) => one.scrollIntoView({ block: "center" }));
      return this.way === "mouse" ? target.click() : target.tap();
    }
    for (let n = (await target.evaluate(stopsBefore)) - 3; n > 0; n--) await this.page.keyboard.press("Tab");
    for (let n = 0; n < MAX_KEYS; n++) {
      const key = await target.evaluate(step);
      if (!key) return;
      await this.page.keyboard.press(key);
    }
    throw new Error(`${selector} cannot be reached by the keyboard`);
  }

  /** @param {string} selector */
  async press(selector) {
    await this.reach(selector);
    if (this.way === "keyboard") await this.page.keyboard.press(selector.startsWith("input") ? " " : "Enter");
  }

  /** @param {string} selector @param {string} text */
  async write(selector, text) {
    await this.reach(selector);
    await this.page.keyboard.type(text);
  }

  /** @param {string} path */
  async open(path) {
    await this.page.goto(path.startsWith("http") ? path : address + path, { waitUntil: "load", timeout: PATIENCE_MS });
  }

  /** @param {RegExp} pattern */
  async arrive(pattern) {
    await until(`an address like ${pattern}`, () => pattern.test(this.page.url()));
  }

  /** @param {string} selector @param {string} text */
  async read(selector, text) {
    const told = () => this.page.evaluate((/** @type {string} */ path) => document.querySelector(path)?.textContent ?? "", selector);
    await until(`“${text}” in ${selector}`, async () => (await told()).includes(text));
  }
}

/** @type {Record<string, (hand: Hand) => Promise<void>>} */
const JOURNEYS = {
  find: async (hand) => {
    await hand.open("/");
    await hand.write("#find", "stem 3");
    await hand.page.keyboard.press("Enter");
    await hand.press("ol.results a");
    await hand.arrive(/\/models\/tiny_a\/stem\/3$/);
  },
  see: async (hand) => {
    await hand.open(UNIT);
    await hand.press("figcaption > details > summary");
    await hand.page.waitForSelector("dl.scores", { visible: true });
    const example = ".tiles.top a.tile:nth-of-type(2)";
    await hand.press(example);
    if (hand.way === "touch") {
      // The first tap shows where the unit is active.
      await hand.page.waitForSelector(`${example} .heat:not([hidden])`);
      await hand.press(example);
    }
    await hand.arrive(/\/stimuli\//);
    await hand.press("main ul.units a");
    await hand.read("#top-title", "What excites it");
    await hand.press(".steps a.strong");
    await hand.page.waitForSelector(".graph.live", { timeout: PATIENCE_MS });
  },
  compare: async (hand) => {
    await hand.open(LAYER);
    await hand.press('.layer-view a[href*="choose="]');
    await hand.press('input[value="tiny_a/blocks.0.pw/4"]');
    await hand.press('input[value="tiny_a/blocks.0.pw/8"]');
    await hand.read(".choosing-bar", "2 chosen");
    await hand.press(".choosing-bar button");
    await hand.read("h1", "2 units side by side");
  },
  share: async (hand) => {
    await hand.open(UNIT);
    await hand.press(".sharing > summary");
    await hand.press('button[aria-label="Copy Pinned link"]');
    await until("word of the copy", () => hand.page.$eval(".sharing [role=status]", (/** @type {any} */ said) => said.textContent !== ""));
    const fields = await hand.page.$$eval(".sharing textarea", (/** @type {any[]} */ all) => all.map((one) => one.value));
    await hand.open(fields.find((/** @type {string} */ text) => /^http.*[?]build=/.test(text)));
    await hand.read("h1", "blocks.0.pw 7");
  },
  say: async (hand) => {
    await hand.open("/models/tiny_a/stem/6");
    await hand.press("details.say > summary");
    await hand.write("#say-text", `stripes, by ${hand.way}`);
    await hand.write("#say-author", "Ada");
    await hand.write("#say-token", token);
    await hand.press("form.say-form button");
    await hand.read(".people-labels", `stripes, by ${hand.way}`);
  },
};

const browser = await puppeteer.launch({ browser: "firefox", executablePath, headless: true });
/** @type {{version: string, journeys: Record<string, Record<string, string>>, problems: string[], requests: string[]}} */
const found = { version: await browser.version(), journeys: {}, problems: [], requests: [] };

/** Walk one journey in a context of its own, and return what became of it.
 * @param {string} way @param {(hand: Hand) => Promise<void>} journey */
async function walk(way, journey) {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  await page.setViewport(way === "touch" ? { width: 390, height: 844 } : { width: 1280, height: 900 });
  page.on("console", (said) => ["error", "warn"].includes(said.type()) && found.problems.push(said.text()));
  page.on("pageerror", (error) => found.problems.push(String(error)));
  page.on("request", (request) => found.requests.push(request.url()));
  page.on("response", (answer) => answer.status() >= 400 && found.problems.push(`${answer.status()} ${answer.url()}`));
  const end = await journey(new Hand(page, way)).then(() => "ok", String);
  await context.close();
  return end;
}

for (const way of ["mouse", "keyboard", "touch"]) {
  found.journeys[way] = {};
  for (const [name, journey] of Object.entries(JOURNEYS)) {
    let end = await walk(way, journey);
    // A Firefox that starts for the first time on a machine may lose a navigation: what our pages do wrong, they do twice.
    if (/Navigation timeout/.test(end)) end = await walk(way, journey);
    found.journeys[way][name] = end;
  }
}
await browser.close();
process.stdout.write(JSON.stringify(found));
