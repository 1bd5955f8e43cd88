// Looks at the Chinese book in the system's Chromium: every Chinese character is drawn by a font that has it. Prints nothing and exits
// with 0 if all is well.
//
//   node book.mjs FOLDER-OF-THE-CHINESE-BOOK FOLDER-OF-PACKAGES [FILE-FOR-A-SCREENSHOT]
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { smallPng } from "./small_png.mjs";

const [book, packages, screenshot] = process.argv.slice(2);
const { chromium } = createRequire(join(resolve(packages), "package.json"))("playwright-core");
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--no-first-run"],
});
const page = await browser.newPage({ viewport: { width: 900, height: 700 } });
const wrong = [];
page.on("request", (request) => request.url().startsWith("file:") || wrong.push("request to " + request.url()));
page.on("requestfailed", (request) => wrong.push("missing " + request.url()));
const developer = await page.context().newCDPSession(page);
await developer.send("DOM.enable");
await developer.send("CSS.enable");
for (const name of ["index", "laptop", "ci", "team"]) {
  await page.goto(pathToFileURL(resolve(book, name + ".html")).href);
  assert.equal(await page.getAttribute("html", "lang"), "zh-CN", name);
  // The elements with Chinese text of their own.
  const texts = await page.evaluate(() => {
    const all = [...document.querySelectorAll("main *")], han = /\p{Script=Han}/gu;
    const own = (one) => [...one.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE).map((node) => node.data).join("");
    return all.map((one) => own(one).match(han)?.length ?? 0);
  });
  assert.ok(texts.reduce((sum, count) => sum + count, 0) > 50, name + " is in Chinese");
  const { root } = await developer.send("DOM.getDocument", { depth: -1 });
  const { nodeIds } = await developer.send("DOM.querySelectorAll", { nodeId: root.nodeId, selector: "main *" });
  for (const [nth, count] of texts.entries()) {
    if (count === 0) continue;
    const { fonts } = await developer.send("CSS.getPlatformFontsForNode", { nodeId: nodeIds[nth] });
    // A font without Chinese draws boxes.
    const drawn = fonts.filter((font) => /CJK|Hei|Song|Ming|Kai|Han Sans|Han Serif/i.test(font.familyName));
    const glyphs = drawn.reduce((sum, font) => sum + font.glyphCount, 0);
    assert.ok(glyphs >= count, name + ": " + glyphs + " of " + count + " characters; a font with Chinese is needed, such as fonts-wqy-zenhei: " + JSON.stringify(fonts));
  }
  if (screenshot && name === "laptop") writeFileSync(screenshot, smallPng(await page.screenshot()));
}
assert.deepEqual(wrong, []);
await browser.close();
