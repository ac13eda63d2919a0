// A leaking service on the dashboard, from its first second over a kill and a restart, without one reload.

import { expect, main, step, until, want } from "./browser.mjs";

const SCREENSHOTS = process.env.PLIMSOLL_SCREENSHOTS;

/** The newest live bytes that the timeline shows. */
const live = (page) =>
  page.evaluate(() => {
    const trace = document.getElementById("timeline").data?.find((each) => each.name === "live (heap)");
    return trace?.y.at(-1) ?? 0;
  });

const text = (page, selector) => page.locator(selector).innerText();
const state = (page) => page.locator("#capture").getAttribute("data-state");

async function dragOverTimeline(page, from, to) {
  await page.locator("#timeline").scrollIntoViewIfNeeded();
  const box = await page.locator("#timeline .nsewdrag").first().boundingBox();
  await page.mouse.move(box.x + box.width * from, box.y + box.height / 2);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * to, box.y + box.height / 2 + 5, { steps: 6 });
  await page.mouse.up();
}

async function screenshots(browser, base, token) {
  const shots = [
    ["dashboard-light", "/", { colorScheme: "light" }],
    ["dashboard-dark", "/", { colorScheme: "dark" }],
    ["visualizer", "/visualizer", { colorScheme: "light", viewport: { width: 1280, height: 720 } }],
  ];
  for (const [name, path, options] of shots) {
    const page = await browser.page({ viewport: { width: 1440, height: 1500 }, ...options });
    await page.goto(`${base}${path}#t=${token}`);
    await page.waitForSelector(path === "/" ? "#leaks-list li" : "#chart .plotly");
    await page.waitForTimeout(2500);
    await page.screenshot({ path: `${SCREENSHOTS}/${name}.png` });
    await page.context().close();
  }
}

await main(async (browser, base, token) => {
  const page = await browser.page();
  await step("the dashboard opens and hides its token", async () => {
    await page.goto(`${base}/#t=${token}`);
    await page.evaluate(() => (window.stays = true));
    await page.waitForSelector("#timeline .plotly");
    expect(!page.url().includes(token), "the token is still in the address");
    expect((await text(page, "#capture-name")) === "axum_sessions", "the service has its name");
    await until("running", async () => (await state(page)) === "running");
  });

  await step("the leak grows before one's eyes", async () => {
    const before = await live(page);
    await until("3 MiB more", async () => (await live(page)) > before + 3 * 1048576);
  });

  await step("the verdict names the leaking function, with evidence", async () => {
    const leak = page.locator('#leaks-list li[data-kind="leak"]', { hasText: "remember_session" });
    await leak.first().waitFor();
    await leak.first().locator(".verdict-head").click();
    await until("evidence", async () => /evidence \d/.test(await leak.first().locator(".explanation").innerText()));
    expect((await text(page, "#leaks-list li[data-kind=leak] .why >> nth=0")).includes("/s"), "a rate");
  });

  await step("all follows a selected range", async () => {
    const asked = Promise.all(
      ["sites", "leaks", "histogram"].map((what) =>
        page.waitForResponse(
          (response) => response.url().includes(`/api/${what}?`) && response.url().includes("from=") && response.ok(),
        ),
      ),
    );
    await dragOverTimeline(page, 0.2, 0.7);
    await asked;
    expect((await text(page, "#range-text")).includes("within these"), "the range is told");
  });

  await step("sites by crate", async () => {
    const asked = page.waitForResponse(
      (response) => response.url().includes("by=crate") && response.url().includes("from="),
    );
    await page.selectOption("#sites-by", "crate");
    await asked;
    await page.locator("#sites-rows tr", { hasText: "axum_sessions" }).first().waitFor();
  });

  await step("the flame graph of the range, of leaks, of a difference", async () => {
    for (const of of ["live", "leaks", "diff"]) {
      await page.selectOption("#flame-of", of);
      await until(`flame graph of ${of}`, () =>
        page.evaluate((wanted) => {
          const chart = document.getElementById("flame-chart");
          return (
            chart.dataset.of === wanted && chart.data?.[0].labels.some((label) => label.includes("remember_session"))
          );
        }, of),
      );
    }
    await page.selectOption("#flame-of", "live");
    const [download] = await Promise.all([page.waitForEvent("download"), page.click("#flame-save")]);
    expect(download.suggestedFilename() === "flamegraph-live.svg", "the picture is saved");
    await page.click("#range-clear");
  });

  await step("memory is given back on request", async () => {
    await page.locator("#controls").getByRole("button", { name: "Free memory" }).click();
    await until("an answer", async () => /\d/.test(await text(page, "#controls-answer")));
    expect(
      (await page.locator("#controls-answer").getAttribute("data-kind")) !== "error",
      await text(page, "#controls-answer"),
    );
  });

  await step("an alert is raised by the rules that are in force without asking", async () => {
    const leak = page.locator("#alerts-list li:not([data-key$=cleared])", { hasText: "axum_sessions" });
    await leak.first().waitFor();
    expect((await text(page, "#alerts-list")).includes("leak"), await text(page, "#alerts-list"));
  });

  if (SCREENSHOTS) await step("screenshots", () => screenshots(browser, base, token));

  await step("killed, and it is told", async () => {
    await want("kill the service");
    await until("killed", async () => (await state(page)) === "killed", 20000);
    expect((await text(page, "#notes")).includes("killed"), "in words");
  });

  await step("started again, and it comes back", async () => {
    const pid = await want("start the service");
    await until("the new process", async () => (await text(page, "#capture-meta")).includes(`process ${pid}`), 20000);
    await until("running", async () => (await state(page)) === "running");
    await until("new readings", async () => (await live(page)) > 0);
  });

  await step("a server that goes away is told, and found again", async () => {
    browser.expected = /WebSocket|ERR_CONNECTION_REFUSED|Failed to (load|fetch)|timeline:/;
    await want("stop the server");
    await until("disconnected", async () => /Disconnected|Connecting/.test(await text(page, "#status-text")));
    await want("start the server");
    await until("live again", async () => (await text(page, "#status-text")).startsWith("Live"));
  });

  await step("all of that without a reload", async () => {
    expect(await page.evaluate(() => window.stays === true), "the page was loaded again");
  });

  await step("the simple page", async () => {
    const simple = await browser.page();
    await simple.goto(`${base}/visualizer`);
    await simple.waitForSelector("#chart .plotly");
    await until("a sentence", async () => /Memory/.test(await text(simple, "#sentence")));
  });
});
