import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { AxeResults, RunOptions } from "axe-core";
import { type BrowserContext, type Page, chromium } from "playwright-core";
import { type Scenario, scenarios } from "./scenarios.ts";
import { serveBuilt } from "./serve.ts";

const sizes = { wide: { width: 1280, height: 860 }, narrow: { width: 360, height: 740 } };
const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/**
 * Opens each page of the built sites in a real browser, in both colour schemes and two sizes, takes a picture of it, and
 * checks what only a browser can: accessibility with real colours, the content security policy, requests that leave the
 * server, and pages that are wider than the screen. Arguments: words that the name of a picture must contain.
 */
export async function main(words: string[]): Promise<number> {
  const directory = resolve(import.meta.dirname, "../../test/artifacts/web");
  mkdirSync(directory, { recursive: true });
  const profile = mkdtempSync(join(tmpdir(), "web-shots-"));
  let passed = 0;
  let failed = 0;
  try {
    for (const scheme of ["light", "dark"] as const) {
      for (const [size, viewport] of Object.entries(sizes)) {
        const context = await chromium.launchPersistentContext(join(profile, `${scheme}-${size}`), {
          executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
          args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
          colorScheme: scheme,
          viewport,
          reducedMotion: "reduce",
        });
        for (const scenario of scenarios) {
          const name = `${scenario.name}-${scheme}-${size}`;
          if (!words.every((word) => name.includes(word))) continue;
          const problems = await visit(context, scenario, join(directory, `${name}.png`));
          if (problems.length === 0) passed++;
          else failed++;
          for (const text of problems) console.log(`${name}: ${text}`);
        }
        await context.close();
      }
    }
  } finally {
    rmSync(profile, { recursive: true, force: true });
  }
  console.log(`pictures in ${directory}`);
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

async function visit(context: BrowserContext, scenario: Scenario, picture: string): Promise<string[]> {
  const server = await serveBuilt(scenario.site, scenario.mock());
  const page = await context.newPage();
  const problems: string[] = [];
  page.on("console", (message) => {
    // A refused request is a browser's console error, and so is a script that stays still in the sandbox of a user's file;
    // scenarios provoke both on purpose.
    if (message.type() === "error" && !/Failed to load resource|Blocked script execution in .*\/storage\//.test(message.text())) problems.push(message.text());
  });
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("request", (request) => {
    const { protocol, hostname } = new URL(request.url());
    if (hostname !== "127.0.0.1" && protocol.startsWith("http")) problems.push(`asked another host: ${request.url()}`);
  });
  try {
    await page.goto(server.url + scenario.path);
    await scenario.act(page);
    await page.screenshot({ path: picture, fullPage: !scenario.dialog });
    problems.push(...(await accessibility(page)), ...(await overflow(page)));
  } catch (error) {
    await page.screenshot({ path: picture });
    problems.push(error instanceof Error ? error.message : String(error));
  } finally {
    await page.close({ runBeforeUnload: false });
    server.close();
  }
  return problems;
}

declare global {
  interface Window {
    axe: { run: (options: RunOptions) => Promise<AxeResults> };
  }
}

async function accessibility(page: Page): Promise<string[]> {
  await page.evaluate(axeSource);
  const results = await page.evaluate(() => window.axe.run({ resultTypes: ["violations"] }));
  return results.violations.flatMap(({ id, help, nodes }) =>
    nodes.map((node) => `${id}: ${help}: ${node.html.slice(0, 160)} ${node.any.map((check) => check.message).join("; ")}`),
  );
}

async function overflow(page: Page): Promise<string[]> {
  const extra = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  return extra > 0 ? [`the page is ${extra} pixels wider than the screen`] : [];
}
