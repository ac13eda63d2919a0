// Names that try to be markup, scripts, links or templates, on every page and in every view: none of them runs.

import { expect, main, step, until } from "./browser.mjs";

const GROUPS = ["site", "function", "crate", "type", "thread", "tag"];
const GRAPHS = ["live", "peak", "total", "temporary", "leaks", "diff"];
/** In every hostile name. */
const TELLTALE = "__x";

/** What must not be in a page: what would have come of a name taken for markup. */
async function judge(page, where) {
  const found = await page.evaluate(() => {
    const own = (node) => (node.getAttribute("src") ?? "").startsWith("/assets/");
    const scripts = [...document.querySelectorAll("script, iframe, object, embed, img, base")].filter(
      (node) => !own(node),
    );
    const all = [...document.querySelectorAll("*")];
    const handlers = all.filter((node) => [...node.attributes].some(({ name }) => /^on/i.test(name)));
    const links = all.filter((node) =>
      /^\s*(javascript|data|vbscript|https?):/i.test(
        node.getAttribute("href") ?? node.getAttribute("xlink:href") ?? "",
      ),
    );
    const bad = [...scripts, ...handlers, ...links];
    return { ran: window.__x, bad: bad.map((node) => node.outerHTML.slice(0, 200)), polluted: {}.__x };
  });
  expect(found.ran === undefined, `${where}: a script ran`);
  expect(found.polluted === undefined, `${where}: a prototype was changed`);
  expect(found.bad.length === 0, `${where}: ${found.bad[0]}`);
}

/** How many different hostile names can be read. */
async function read(page, seen) {
  const text = await page.locator("body").innerText();
  text
    .split("\n")
    .filter((line) => line.includes(TELLTALE))
    .forEach((line) => seen.add(line.trim()));
}

async function groups(page, seen) {
  for (const by of GROUPS) {
    const first = page.waitForResponse(
      (response) => response.url().includes("/api/sites?") && response.url().includes(`by=${by}`),
    );
    await page.selectOption("#sites-by", by === "site" ? "tag" : "site");
    await page.selectOption("#sites-by", by);
    await first;
    for (let more = true; more;) {
      await until("rows", async () => (await page.locator("#sites[aria-busy]").count()) === 0);
      await page.evaluate(() =>
        document.querySelectorAll("#sites .fold[aria-expanded=false]").forEach((fold) => fold.click()),
      );
      await read(page, seen);
      await judge(page, `sites by ${by}`);
      more = await page.locator("#sites-after").isEnabled();
      if (more) await page.click("#sites-after");
    }
  }
}

async function graphs(page) {
  for (const of of GRAPHS) {
    await page.selectOption("#flame-of", of);
    await until("an answer", async () => (await page.locator("#flame[aria-busy]").count()) === 0);
    const box = await page.locator("#flame-chart").boundingBox();
    for (let part = 0.1; box && part < 1; part += 0.2)
      await page.mouse.move(box.x + box.width * part, box.y + box.height * part);
    await judge(page, `flame graph of ${of}`);
  }
}

await main(async (browser, base, token) => {
  const seen = new Set();
  const page = await browser.page({ viewport: { width: 1600, height: 1000 } });
  await step("the dashboard, capture by capture", async () => {
    await page.goto(`${base}/#t=${token}`);
    await page.waitForSelector("button.card");
    for (const card of await page.locator("button.card").all()) {
      await card.click();
      await page.waitForTimeout(150);
      await read(page, seen);
      await judge(page, "dashboard");
    }
  });
  await step("the capture of many names", async () => {
    await page.locator("button.card", { hasText: "many names" }).first().click();
    await page.locator("#sites-rows tr").first().waitFor();
    await page.waitForSelector("#timeline .plotly");
    await page.click("#span-whole");
    const box = await page.locator("#timeline").boundingBox();
    for (let part = 0.1; part < 1; part += 0.1) await page.mouse.move(box.x + box.width * part, box.y + 120);
    await judge(page, "timeline");
  });
  await step("verdicts", async () => {
    if (await page.locator("#leaks-more").isVisible()) await page.click("#leaks-more");
    await page.evaluate(() => document.querySelectorAll(".verdict-head").forEach((head) => head.click()));
    await read(page, seen);
    await judge(page, "verdicts");
  });
  await step("every grouping, every row", () => groups(page, seen));
  await step("every flame graph", () => graphs(page));
  await step("the simple page", async () => {
    const simple = await browser.page();
    await simple.goto(`${base}/visualizer#t=${token}`);
    await simple.waitForSelector("#chart .plotly");
    await until("a sentence", async () => !(await simple.locator("#sentence").innerText()).startsWith("Waiting"));
    // A choice of one is not offered.
    await read(simple, seen);
    await judge(simple, "simple page");
    const options = (await simple.locator("#shown").isVisible()) ? await simple.locator("#shown option").all() : [];
    for (const option of options) {
      await simple.selectOption("#shown", await option.getAttribute("value"));
      await read(simple, seen);
      await judge(simple, "simple page");
    }
  });
  await step("they could be read", async () => expect(seen.size >= 200, `only ${seen.size} hostile names were seen`));
});
