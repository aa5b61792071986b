// Programs in a process of their own, placed so that `@mastra/core`, `@ai-sdk/openai`, `zod` and `@fallom/trace` resolve
// as they do for a user: for what a test can only see from outside (exit, signals, import against require).

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { basename, extname, join } from "node:path";
import { fileURLToPath } from "node:url";

const HERE = fileURLToPath(new URL("..", import.meta.url));

/**
 * @typedef {object} Program
 * @property {string} [source]   its text; or
 * @property {string | URL} [file]  a file. It is copied, so it may not import relatively.
 * @property {"mjs" | "cjs" | "ts"} [type]  of a source; default "mjs"
 * @property {"0.24" | "1"} [line]   default: MASTRA, else "0.24"
 * @property {string} [node]     the binary; default: the one that runs this
 * @property {string[]} [nodeArgs]
 * @property {string[]} [args]
 * @property {Record<string, string | undefined>} [env]  on top of ours, from which FALLOM_* is taken out
 * @property {string} [stdin]    its whole input
 * @property {number} [timeoutMs]  default 20,000; then it is killed
 *
 * @typedef {{ stdout: string, stderr: string, code: number | null, signal: string | null, timedOut: boolean, ms: number }} Ended
 */

/**
 * Runs a program to its end. A failing one is no error here: look at `code`, `signal` and `stderr`.
 * @param {Program} program
 * @returns {Promise<Ended>}
 */
export function runProgram(program) {
  return startProgram(program).ended;
}

/**
 * Starts a program.
 * @param {Program} program
 * @returns {{ child: import("node:child_process").ChildProcess, ended: Promise<Ended>,
 *   says: (text: string | RegExp) => Promise<string> }} `says` resolves to what stdout held when it first held the text
 */
export function startProgram(program) {
  const { line = process.env.MASTRA || "0.24", node = process.execPath, timeoutMs = 20_000 } = program;
  const folder = join(HERE, `mastra-${line}`);
  const begun = performance.now();
  const child = spawn(node, [...(program.nodeArgs ?? []), place(program, folder), ...(program.args ?? [])], {
    cwd: folder,
    env: environment(program.env),
  });
  child.stdin.on("error", () => {}); // It may end before it has read all.
  child.stdin.end(program.stdin);

  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    child.kill("SIGKILL");
  }, timeoutMs);
  const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
  const ended = new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => {
      clearTimeout(timer);
      const ms = performance.now() - begun;
      resolve({ stdout: stdout.text(), stderr: stderr.text(), code, signal, timedOut, ms });
    });
  });
  return { child, ended, says: (text) => says(text, child, stdout, stderr) };
}

/** Puts the program where its imports resolve, under a name that its content decides. */
function place({ source, file, type = "mjs" }, folder) {
  const text = source ?? readFileSync(file, "utf8");
  const from = file ? basename(String(file)) : `program.${type}`;
  const extension = extname(from);
  const hash = createHash("sha256").update(text).digest("hex").slice(0, 12);
  const programs = join(folder, ".programs");
  const path = join(programs, `${basename(from, extension)}-${hash}${extension}`);
  mkdirSync(programs, { recursive: true });
  // Two tests may place the same program at the same time.
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, text);
  renameSync(draft, path);
  return path;
}

/** Ours, but for what would configure the tracer or make the child a part of our test run. */
function environment(more = {}) {
  const kept = Object.entries(process.env).filter(
    ([name]) => !name.startsWith("FALLOM_") && name !== "NODE_TEST_CONTEXT" && name !== "NODE_OPTIONS",
  );
  return { ...Object.fromEntries(kept), ...more };
}

function collect(stream) {
  const chunks = [];
  stream.on("data", (chunk) => chunks.push(chunk));
  return { text: () => Buffer.concat(chunks).toString() };
}

function says(text, child, stdout, stderr) {
  const found = () => (typeof text === "string" ? stdout.text().includes(text) : text.test(stdout.text()));
  return new Promise((resolve, reject) => {
    const look = () => found() && resolve(stdout.text());
    child.stdout.on("data", look);
    child.once("close", () =>
      reject(new Error(`the program ended and never said ${text}\n${stderr.text()}`)),
    );
    look();
  });
}
