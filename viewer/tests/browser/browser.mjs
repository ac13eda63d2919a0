// What the scenarios share: a Chromium that notes every complaint and every request, steps with their times, and
// questions to the test that started this script (it owns the processes).

import { chromium } from "playwright-core";
import { createInterface } from "node:readline";

const PATIENCE_MS = 45000;
const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Asks the test to do something to a process, and waits until it is done. */
export async function want(what) {
  process.stdout.write(`${JSON.stringify({ want: what })}\n`);
  const { value } = await answers.next();
  return value;
}

/** Runs one step; its name is in the error. */
export async function step(name, run) {
  const began = Date.now();
  try {
    const result = await run();
    process.stderr.write(`  ${((Date.now() - began) / 1000).toFixed(1).padStart(5)} s  ${name}\n`);
    return result;
  } catch (error) {
    error.message = `${name}: ${error.message}`;
    throw error;
  }
}

/** Fails unless something holds. */
export function expect(holds, what) {
  if (!holds) throw new Error(what);
}

/** Asks again and again until something holds, and gives it. */
export async function until(what, ask, patience = PATIENCE_MS) {
  const end = Date.now() + patience;
  for (let last; ; await new Promise((go) => setTimeout(go, 200))) {
    last = await ask();
    if (last) return last;
    if (Date.now() > end) throw new Error(`${what} did not come within ${patience / 1000} s`);
  }
}

/** A browser and what was seen of it. */
export class Browser {
  complaints = [];
  requests = [];
  dialogs = [];

  /** Starts Chromium. `base` is the only origin that pages may talk to. */
  static async start(base) {
    const browser = new Browser();
    browser.base = base;
    browser.chromium = await chromium.launch({
      executablePath: process.env.PLIMSOLL_CHROMIUM ?? "/usr/bin/chromium",
      // Without a sandbox, since tests run as root in containers; with software rendering only.
      args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
    });
    return browser;
  }

  /** A new page in a context of its own. */
  async page(options = {}) {
    const context = await this.chromium.newContext({ viewport: { width: 1440, height: 900 }, ...options });
    context.on("request", (request) => this.requests.push(request.url()));
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) this.#complain(message.text());
    });
    page.on("pageerror", (error) => this.#complain(error.stack ?? error.message));
    page.on("websocket", (socket) => this.requests.push(socket.url()));
    page.on("dialog", (dialog) => {
      this.dialogs.push(dialog.message());
      dialog.dismiss();
    });
    return page;
  }

  #complain(text) {
    if (!this.expected?.test(text)) this.complaints.push(text);
  }

  /** No error on the console, no dialog, no request to any other host. */
  judge() {
    expect(this.complaints.length === 0, `the console says:\n${this.complaints.slice(0, 5).join("\n")}`);
    expect(this.dialogs.length === 0, `a script ran and said: ${this.dialogs[0]}`);
    const host = new URL(this.base).host;
    const foreign = this.requests.filter((url) => !/^(data|blob|about):/.test(url) && new URL(url).host !== host);
    expect(foreign.length === 0, `the page asked another host: ${foreign[0]}`);
    expect(this.requests.length > 5, "requests are noted");
  }
}

/** Runs a scenario and ends this script with what came of it. */
export async function main(run) {
  const [base, token] = process.argv.slice(2);
  const browser = await Browser.start(base);
  try {
    await run(browser, base, token);
    await step("no console error, no dialog, no other host", async () => browser.judge());
  } catch (error) {
    const pages = browser.chromium.contexts().flatMap((context) => context.pages());
    const picture = process.env.PLIMSOLL_BROWSER_FAILURE;
    if (picture && pages.length > 0)
      await pages
        .at(-1)
        .screenshot({ path: picture, fullPage: true })
        .catch(() => {});
    process.stderr.write(`FAILED: ${error.message}\n${browser.complaints.slice(0, 5).join("\n")}\n`);
    process.exitCode = 1;
  }
  await browser.chromium.close();
  process.stdin.destroy();
}
