// What `plimsoll export` writes, in the programs that it is for: Valgrind's dh_view.html and speedscope's web app.
// Arguments: the folder with the exports as an address, and what the pages must show as JSON.

import { fileURLToPath } from "node:url";
import { expect, main, step, until } from "./browser.mjs";

const SPEEDSCOPE = new URL("./node_modules/speedscope/dist/release/index.html", import.meta.url);
const DH_VIEW = new URL("file:///usr/libexec/valgrind/dh_view.html");

/** The text of the page, once it holds something. */
const withText = (page, what) =>
  until(what, async () => {
    const text = await page.locator("body").innerText();
    return text.includes(what) && text;
  });

await main(async (browser, base, wanted) => {
  const { total, live, told, blocks, peak, leak } = JSON.parse(wanted);
  const exported = (name) => fileURLToPath(new URL(name, base));

  // Chromium says so of its own rendering without a graphics card.
  browser.expected = /GL Driver Message/;
  await step("dh_view opens the DHAT export", async () => {
    const page = await browser.page();
    await page.goto(DH_VIEW.href);
    await page.setInputFiles("input[type=file]", exported("dhat.json"));
    const text = await withText(page, "At t-gmax: ");
    for (const [name, bytes] of [["Total", total], ["At t-gmax", peak], ["At t-end", live]]) {
      const shown = new RegExp(`${name}:\\s+${bytes.toLocaleString("en-US")} bytes`);
      expect(shown.test(text), `${name} is not ${bytes}: ${text.slice(0, 800)}`);
    }
    expect(text.includes(`${blocks.toLocaleString("en-US")} blocks`), "blocks at the end");
    expect(/avg lifetime [\d,.]+ µs/.test(text), "lifetimes");
    await page.selectOption("select", { label: "At t-end (bytes)" });
    await withText(page, leak);
    if (process.env.PLIMSOLL_SCREENSHOTS) await page.screenshot({ path: `${process.env.PLIMSOLL_SCREENSHOTS}/dh_view.png` });
  });

  await step("speedscope opens its file", async () => {
    const page = await browser.page({ viewport: { width: 1600, height: 900 } });
    await page.goto(SPEEDSCOPE.href);
    await page.setInputFiles("input[type=file]", exported("speedscope.json"));
    // The first figure is above the picture, which is a canvas; the table of functions is text.
    await withText(page, `live: ${told}`);
    await page.keyboard.press("3");
    await withText(page, leak);
    if (process.env.PLIMSOLL_SCREENSHOTS) await page.screenshot({ path: `${process.env.PLIMSOLL_SCREENSHOTS}/speedscope.png` });
  });
});
