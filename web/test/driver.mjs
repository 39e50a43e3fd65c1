/**
 * Drives browsers for tests in another language: JSON lines in (`{id, method, ...parameters}`), JSON lines out (`{id, result}` or
 * `{id, error}`). Requests run side by side. It ends, with all its browsers, when its input ends.
 */

import { createInterface } from "node:readline";
import puppeteer from "puppeteer-core";

const FLAGS = {
  chrome: {
    executablePath: process.env.DOORDARSHAN_CHROMIUM ?? "/usr/bin/chromium",
    ignoreDefaultArgs: ["--mute-audio"],
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-dev-shm-usage",
      "--use-fake-device-for-media-stream",
      "--use-fake-ui-for-media-stream",
      "--autoplay-policy=no-user-gesture-required",
      "--allow-loopback-in-peer-connection",
      "--disable-background-timer-throttling",
      "--disable-renderer-backgrounding",
      "--disable-backgrounding-occluded-windows",
    ],
  },
  firefox: {
    executablePath: process.env.DOORDARSHAN_FIREFOX ?? "/usr/bin/firefox-esr",
    extraPrefsFirefox: { "media.navigator.streams.fake": true, "media.navigator.permission.disabled": true },
  },
};

const browsers = new Map();
const pages = new Map();
let ids = 0;

function keep(things, thing) {
  ids += 1;
  things.set(ids, thing);
  return ids;
}

function pageOf({ page }) {
  const found = pages.get(page);
  if (!found) throw new Error(`no page ${page}`);
  return found;
}

/** A context of its own is a window of its own, so that no page is a throttled background tab; and it shares no storage. */
async function open({ browser, url, width, height, mobile = false, script }) {
  const context = await browsers.get(browser).createBrowserContext();
  const page = await context.newPage();
  const logs = [];
  page.on("console", (message) => logs.push(`${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => logs.push(`uncaught: ${error.message}`));
  await page.setViewport({ width, height, isMobile: mobile, hasTouch: mobile });
  if (script) await page.evaluateOnNewDocument(script);
  await page.goto(url);
  return keep(pages, { page, context, logs });
}

const METHODS = {
  async launch({ kind = "chrome", args = [] }) {
    const flags = FLAGS[kind];
    const browser = await puppeteer.launch({ browser: kind, headless: true, ...flags, args: [...(flags.args ?? []), ...args] });
    return keep(browsers, browser);
  },
  open,
  evaluate: (order) => pageOf(order).page.evaluate(`(${order.function})(...${JSON.stringify(order.arguments ?? [])})`),
  click: (order) => pageOf(order).page.locator(order.selector).setTimeout(order.timeout ?? 25_000).click(),
  fill: (order) => pageOf(order).page.locator(order.selector).setTimeout(order.timeout ?? 25_000).fill(order.text),
  press: (order) => pageOf(order).page.keyboard.press(order.key),
  reload: (order) => pageOf(order).page.reload(),
  resize: (order) => pageOf(order).page.setViewport({ width: order.width, height: order.height }),
  screenshot: (order) => pageOf(order).page.screenshot({ path: order.path }),
  logs: (order) => pageOf(order).logs,
  async close(order) {
    const { context } = pageOf(order);
    pages.delete(order.page);
    await context.close();
  },
  async quit({ browser }) {
    await browsers.get(browser)?.close();
    browsers.delete(browser);
  },
};

async function answer(line) {
  const { id, method, ...order } = JSON.parse(line);
  try {
    const result = await METHODS[method](order);
    return { id, result: result ?? null };
  } catch (error) {
    return { id, error: error instanceof Error ? error.message : String(error) };
  }
}

const input = createInterface({ input: process.stdin });
input.on("line", async (line) => process.stdout.write(`${JSON.stringify(await answer(line))}\n`));
input.on("close", async () => {
  await Promise.allSettled([...browsers.values()].map((browser) => browser.close()));
  process.exit(0);
});
