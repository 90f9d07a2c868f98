// A page in headless Chromium that uses the OpenAI SDK, from an origin other than the Worker's.
//
// Parameters: {executable, baseURL, apiKey, model, request}. Reports {origin, models, text, chunks, error, requestID,
// console}: what the page got, and what the browser had to complain about.

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import path from "node:path";
import { fileURLToPath } from "node:url";

import { chromium } from "playwright-core";

import { report } from "../../worker/node/report.mjs";

const FOLDER = path.dirname(fileURLToPath(import.meta.url));
const MODULES = path.join(FOLDER, "node_modules", "openai");
const ARGUMENTS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const SCRIPT = "text/javascript; charset=utf-8";
const TYPES = { ".html": "text/html; charset=utf-8", ".mjs": SCRIPT, ".js": SCRIPT };

async function serve() {
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, "http://localhost");
    const file = pathname === "/" ? path.join(FOLDER, "page.html") : path.join(MODULES, path.normalize(pathname));
    try {
      const content = await readFile(file);
      response.writeHead(200, { "content-type": TYPES[path.extname(file)] ?? "application/octet-stream" });
      response.end(content);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

await report(async ({ executable, ...parameters }) => {
  const server = await serve();
  const origin = `http://127.0.0.1:${server.address().port}`;
  const browser = await chromium.launch({ executablePath: executable, args: ARGUMENTS });
  try {
    const page = await browser.newPage();
    const complaints = [];
    page.on("console", (message) => complaints.push(`${message.type()}: ${message.text()}`));
    page.on("pageerror", (error) => complaints.push(`error: ${error.message}`));
    await page.goto(`${origin}/`);
    await page.waitForFunction(() => globalThis.chat !== undefined, undefined, { timeout: 10_000 }).catch((error) => {
      throw new Error(`the page does not load: ${complaints.join("; ")}`, { cause: error });
    });
    const result = await page.evaluate((given) => globalThis.chat(given), parameters);
    return { origin, console: complaints, ...result };
  } finally {
    await browser.close();
    server.close();
  }
});
