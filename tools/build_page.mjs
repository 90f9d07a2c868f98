// Completes the page: puts into public/page/built/ what it needs and the repository does not hold.
//
//   uplot.js, uplot.css  the chart library, as `npm ci` has installed it
//   snippets.json        the snippets of docs/clients.md that are marked `<!-- page -->`
//
// It is the build command of wrangler.toml: every deployment runs it, and `make dev`.

import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = path.join(path.dirname(fileURLToPath(import.meta.url)), "..");
const BUILT = path.join(ROOT, "public", "page", "built");
const LOCAL = path.join(ROOT, ".wrangler");
const UPLOT = path.join(ROOT, "node_modules", "uplot");
const MARKED = /^<!-- page -->\n+(?:(\S[^\n]*:)\n\n)?```(\w+)\n(.*?)^```$/gms;
const HEADING = /^(##|###) (.*)$/gm;

/**
 * The marked snippets of a document, by the heading they are under:
 * `[{group, name, blocks: [{caption, language, code}]}]`. `group` is the chapter, `caption` the line before a
 * snippet if it ends in a colon. Throws an Error for a mark that no snippet follows.
 */
export function snippets(markdown) {
  const marks = markdown.match(/^<!-- page -->$/gm) ?? [];
  const found = [...markdown.matchAll(MARKED)];
  if (found.length === 0 || found.length !== marks.length) {
    throw new Error(`${marks.length} marks, but ${found.length} snippets that follow one`);
  }
  const tools = [];
  for (const { index, 1: caption, 2: language, 3: code } of found) {
    let group = "";
    let name = "";
    for (const [, level, title] of markdown.slice(0, index).matchAll(HEADING)) {
      if (level === "##") group = title;
      name = title;
    }
    if (tools.at(-1)?.name !== name) tools.push({ group, name, blocks: [] });
    const shown = language === "console" ? code.replace(/^\$ /gm, "") : code;
    tools.at(-1).blocks.push({ caption: (caption ?? "").replace(/:$/, ""), language, code: shown });
  }
  return tools;
}

/** Writes a file if it says something else, in one step: another build or a server may be reading it. */
function put(name, text) {
  const file = path.join(BUILT, name);
  try {
    if (readFileSync(file, "utf8") === text) return;
  } catch {
    // It is not there yet.
  }
  mkdirSync(LOCAL, { recursive: true });
  const unfinished = path.join(LOCAL, `${process.pid}-${name}`);
  writeFileSync(unfinished, text);
  renameSync(unfinished, file);
}

function installed(file) {
  try {
    return readFileSync(path.join(UPLOT, file), "utf8");
  } catch (error) {
    throw new Error("the chart library is missing; install it: npm ci", { cause: error });
  }
}

function build() {
  mkdirSync(BUILT, { recursive: true });
  const script = installed("dist/uPlot.iife.min.js");
  put("uplot.js", `/*! uPlot\n\n${installed("LICENSE")}*/\n${script}\nexport default uPlot;\n`);
  put("uplot.css", installed("dist/uPlot.min.css"));
  put("snippets.json", JSON.stringify(snippets(readFileSync(path.join(ROOT, "docs", "clients.md"), "utf8"))));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    build();
  } catch (error) {
    console.error(`page: ${error.message}`);
    process.exit(1);
  }
}
