// Uses the page of a mirror as a person would, in the system's Chromium. Prints nothing and exits with 0 if all is well.
//
//   node page.mjs URL MODULE FOLDER-OF-PACKAGES GO-SUM-FILE [FOLDER-FOR-SCREENSHOTS]
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { smallPng } from "./small_png.mjs";

const [url, module, packages, goSum, screenshots] = process.argv.slice(2);
const require = createRequire(join(packages, "package.json"));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--no-first-run"],
});

// A page whose errors, and requests to other hosts, fail the test.
async function open(options) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const wrong = [];
  page.on("console", (message) => message.type() === "error" && wrong.push(message.text()));
  page.on("pageerror", (error) => wrong.push(String(error)));
  page.on("request", (request) => request.url().startsWith(url) || wrong.push("request to " + request.url()));
  page.on("response", (response) => response.status() >= 400 && wrong.push(response.status() + " " + response.url()));
  return { page, async close() { assert.deepEqual(wrong, []); await context.close(); } };
}

const sha256 = (...parts) => createHash("sha256").update(Buffer.concat(parts)).digest();

// Computes the root again from the hashes in the picture and the text of the record.
async function checkPicture(page) {
  const nodes = await page.$$eval("svg.proof [data-role]", (found) =>
    found.map((text) => ({ ...text.dataset, hash: text.textContent })));
  const record = await page.$eval("#record-text", (pre) => pre.textContent);
  const of = (role) => nodes.filter((node) => node.role === role);
  let hash = sha256(Buffer.from([0]), Buffer.from(record));
  assert.equal(of("leaf")[0].hash, hash.toString("base64"), "the leaf");
  const siblings = of("sibling").reverse();
  const computed = [...of("computed").reverse(), ...of("root")];
  assert.ok(siblings.length > 5 && siblings.length === computed.length, "the picture has all steps");
  siblings.forEach((sibling, nth) => {
    const other = Buffer.from(sibling.hash, "base64");
    hash = sibling.side === "left" ? sha256(Buffer.from([1]), other, hash) : sha256(Buffer.from([1]), hash, other);
    assert.equal(computed[nth].hash, hash.toString("base64"), "step " + nth);
  });
  return hash.toString("base64");
}

// What a person does: look, search, read the proof, audit.
async function use(options, look) {
  const { page, close } = await open(options);
  await page.goto(url + "/");
  const plot = await page.locator("figure.growth svg").boundingBox();
  assert.ok(plot && plot.width > 200 && plot.height > 50, "the growth of the log is drawn");
  await look(page, "overview");
  const root = await page.$$eval("dd code.copy", (found) => found.map((code) => code.textContent));
  await page.fill("#search", module.toUpperCase().replace("@V", " V"));
  await page.press("#search", "Enter");
  await page.waitForSelector("svg.proof");
  assert.ok((await page.textContent("h1")).includes(module.split("@")[1]), "the searched version is shown");
  const computed = await checkPicture(page);
  if (root.length > 0) assert.ok(root.includes(computed), "the root of the picture is that of the overview");
  await page.click("summary >> text=Check it yourself");
  await look(page, "module");
  await page.click("nav >> text=Audit");
  await page.fill("#go-sum", readFileSync(goSum, "utf8"));
  await page.click("main button[type=submit]");
  await page.waitForSelector("#findings");
  assert.ok((await page.textContent("main")).includes("hash-mismatch"), "the finding is shown");
  await look(page, "audit");
  await liveEvents(page);
  await look(page, "events");
  await close();
}

// An event appears without a reload, at the top, and not while the page is paused.
async function liveEvents(page) {
  await page.click("nav >> text=Events");
  await page.waitForFunction(() => document.getElementById("live-state").textContent === "Live");
  const rows = () => page.locator("#events > li").count();
  const fetched = () => fetch(url + "/" + module.replace("@", "/@v/") + ".mod");
  const [before, loads] = [await rows(), await page.evaluate(() => (globalThis.loaded = true))];
  assert.ok(loads && (await fetched()).ok);
  await page.waitForFunction((before) => document.querySelectorAll("#events > li").length > before, before);
  const [first, second] = await page.$$eval("#events > li", (found) => found.slice(0, 2).map((row) => ({
    text: row.innerText.replace(/\d{2}:\d{2}:\d{2}/, ""), link: row.querySelector("a").getAttribute("href"),
  })));
  assert.ok(first.text.includes("Released") && first.text.includes(module) && first.text.includes("proved by record"));
  await page.click("#pause");
  await page.waitForFunction(() => document.getElementById("live-state").textContent === "Paused");
  const paused = await rows();
  await fetched();
  await page.waitForFunction(() => document.getElementById("pause").textContent === "Resume (1 new)");
  assert.equal(await rows(), paused, "nothing moves while the page is paused");
  await page.click("#pause");
  assert.equal(await rows(), paused + 1);
  assert.ok(await page.evaluate(() => globalThis.loaded), "the page was not loaded again");
  // The script makes the same rows as the server.
  await page.reload();
  const same = await page.$$eval("#events > li", (found) => found.slice(0, 3).map((row) => ({
    text: row.innerText.replace(/\d{2}:\d{2}:\d{2}/, ""), link: row.querySelector("a").getAttribute("href"),
  })));
  assert.deepEqual(same[1], first, "the row of the script and that of the server");
  assert.ok(second.text.length > 0);
  // A filter, without the script too; then the whole page again.
  await page.selectOption("#filter-outcome", "refused");
  await page.click("form.filter button");
  await page.waitForSelector("text=Matching events");
  const outcomes = await page.$$eval("#events .state", (found) => found.map((state) => state.textContent));
  assert.ok(outcomes.length > 0 && outcomes.every((text) => text.includes("Refused")), outcomes.join());
  await page.click("text=Show all");
  await page.waitForSelector("#alarm-rows > li");
  await page.waitForFunction(() => document.getElementById("live-state").textContent === "Live");
}

async function withoutViolations(page, name) {
  await page.evaluate(axe);
  const found = await page.evaluate(() => globalThis.axe.run());
  const told = found.violations.map((one) => one.id + ": " + one.nodes.map((node) => node.html).join(" "));
  assert.deepEqual(told, [], name);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(wide <= 0, name + " is " + wide + " pixels wider than the window");
}

const desktop = { width: 1180, height: 860 }, phone = { width: 360, height: 740 };
// With the content security policy, which breaks nothing; and with the keyboard.
await use({ viewport: desktop }, async (page, what) => {
  if (what !== "overview") return;
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.className), "skip", "the first stop of the keyboard");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "main");
});
for (const [name, viewport] of [["desktop", desktop], ["phone", phone]]) {
  for (const colorScheme of ["light", "dark"]) {
    // axe-core is a script that the policy forbids.
    await use({ viewport, colorScheme, bypassCSP: true }, async (page, what) => {
      await withoutViolations(page, `${what}, ${name}, ${colorScheme}`);
      if (screenshots) {
        const path = join(screenshots, `${what}-${name}-${colorScheme}.png`);
        writeFileSync(path, smallPng(await page.screenshot({ fullPage: true })));
      }
    });
  }
}
// A browser without scripts.
const { page, close } = await open({ viewport: desktop, javaScriptEnabled: false });
await page.goto(url + "/-/module?q=" + encodeURIComponent(module));
assert.equal(await page.locator("svg.proof").count(), 1);
assert.equal(await page.locator(".copy-button").count(), 0);
await page.goto(url + "/-/events?outcome=refused");
assert.ok(await page.locator("#events > li").count() > 0, "events without a script");
assert.equal(await page.locator("#pause").isVisible(), false);
await close();
await browser.close();
