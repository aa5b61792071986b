// A Fallom on the loopback: the program `fallom-local` (see local/), and a small client of its `/_local` endpoints.

import { spawn } from "node:child_process";
import { statSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const START_MS = 10_000;
const POLL_MS = 10;

/**
 * @typedef {{ traceId?: string, sessionId?: string }} Filter
 *
 * @typedef {object} Fallom
 * @property {string} url  for `tracesUrl`, `configsUrl` and `promptsUrl`
 * @property {{ tracesUrl: string, configsUrl: string, promptsUrl: string }} urls  the same, ready for `init`
 * @property {(filter?: Filter) => Promise<object[]>} spans  as received, each once
 * @property {(enough: number | ((spans: object[]) => unknown), options?: Filter & { timeoutMs?: number }) => Promise<object[]>} waitForSpans
 *   resolves as soon as so many are there, or the function says yes; rejects, showing the tree, after 5 s
 * @property {() => Promise<object[]>} requests  the log
 * @property {() => Promise<Record<string, number>>} stats
 * @property {() => Promise<object[]>} sessions  the assignments that were posted
 * @property {() => Promise<Buffer>} raw  every byte that arrived, then every body decompressed
 * @property {(filter?: Filter) => Promise<string>} tree  the traces as text
 * @property {(catalog: { prompts?: object[], prompt_ab_tests?: object[], configs?: object[] }) => Promise<void>} setCatalog
 * @property {(rules: object[]) => Promise<void>} setFaults
 * @property {() => Promise<object[]>} faults  the rules, with how often each fired
 * @property {(forms: { batches?: string, compression?: string }) => Promise<void>} setNegotiation
 * @property {() => Promise<void>} reset  everything back to how it started
 * @property {() => Promise<void>} stop  it is down: nobody listens on its port any more
 * @property {() => Promise<void>} restart  it is up again on the same port, with the spans that it had, and nothing else
 * @property {() => Promise<void>} close
 */

/**
 * @param {{ key?: string, port?: number, batches?: boolean, compression?: boolean, raw?: boolean, keep?: boolean }} [options]
 *   `keep`: its spans outlive a restart
 * @returns {Promise<Fallom>}
 */
export async function startFallom(options = {}) {
  const folder = options.keep ? await mkdtemp(join(tmpdir(), "fallom-local-")) : undefined;
  const args = argumentsOf({ ...options, folder });
  let { child, url } = await launch(args);
  const call = (path, init) => request(`${url}/_local${path}`, init);
  const read = async (path) => (await call(path)).json();
  const put = async (path, value) => void (await call(path, { method: "PUT", body: JSON.stringify(value) }));
  const spans = (filter) => read(`/spans${query(filter)}`);
  const tree = async (filter) => (await call(`/tree${query(filter)}`)).text();

  return {
    url,
    urls: { tracesUrl: url, configsUrl: url, promptsUrl: url },
    spans,
    tree,
    waitForSpans: (enough, { timeoutMs = 5000, ...filter } = {}) =>
      waitFor(
        () => spans(filter),
        enough,
        timeoutMs,
        () => tree(filter),
      ),
    requests: () => read("/requests"),
    stats: () => read("/stats"),
    sessions: () => read("/sessions"),
    raw: async () => Buffer.from(await (await call("/raw")).arrayBuffer()),
    setCatalog: (catalog) => put("/catalog", catalog),
    setFaults: (rules) => put("/faults", rules),
    faults: () => read("/faults"),
    setNegotiation: (forms) => put("/negotiation", forms),
    reset: async () => void (await call("", { method: "DELETE" })),
    stop: () => end(child),
    restart: async () => {
      ({ child } = await launch([...args, "--port", new URL(url).port]));
    },
    close: async () => {
      await end(child);
      if (folder) await rm(folder, { recursive: true });
    },
  };
}

/** The program: the one that FALLOM_LOCAL_BIN names, else the one that was built last. */
export function fallomLocal() {
  if (process.env.FALLOM_LOCAL_BIN) return process.env.FALLOM_LOCAL_BIN;
  const name = process.platform === "win32" ? "fallom-local.exe" : "fallom-local";
  const built = ["release", "debug"]
    .map((profile) => fileURLToPath(new URL(`../../target/${profile}/${name}`, import.meta.url)))
    .map((path) => ({ path, at: statSync(path, { throwIfNoEntry: false })?.mtimeMs }))
    .filter(({ at }) => at !== undefined)
    .sort((one, other) => other.at - one.at);
  if (!built.length) throw new Error("fallom-local is not built: run `cargo build -p fallom-local`");
  return built[0].path;
}

function argumentsOf({ key, port = 0, batches = true, compression = true, raw = true, folder }) {
  return [
    ...["--port", String(port), "--until-stdin-closes"],
    ...(key ? ["--key", key] : []),
    ...(batches ? [] : ["--no-batches"]),
    ...(compression ? [] : ["--no-compression"]),
    ...(raw ? ["--keep-raw"] : []),
    ...(folder ? ["--store", join(folder, "spans.json")] : []),
  ];
}

/** Starts the program; it ends with our end of the pipe, however we end. */
async function launch(args) {
  const child = spawn(fallomLocal(), args, { stdio: ["pipe", "pipe", "pipe"] });
  let stderr = "";
  child.stderr.on("data", (chunk) => {
    stderr += chunk;
  });
  const url = await new Promise((resolve, reject) => {
    const give = (why) => reject(new Error(`fallom-local ${why}: ${stderr}`));
    const timer = setTimeout(() => give(`did not start within ${START_MS} ms`), START_MS);
    child.once("error", reject);
    child.once("exit", (code) => give(`ended with ${code}`));
    createInterface({ input: child.stdout }).on("line", (line) => {
      const [, found] = /^listening on (\S+)$/.exec(line) ?? [];
      if (!found) return;
      clearTimeout(timer);
      resolve(found);
    });
  });
  letGo(child);
  return { child, url };
}

/** A test that forgot to close it still ends. */
function letGo(child) {
  for (const part of [child, child.stdin, child.stdout, child.stderr]) part.unref();
}

async function end(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.ref();
  child.stdin.destroy();
  await ended;
}

/** One connection for each: a kept one would keep the test's process alive for some seconds. */
async function request(url, init = {}) {
  const answer = await fetch(url, { ...init, headers: { ...init.headers, connection: "close" } });
  if (!answer.ok) throw new Error(`${init.method ?? "GET"} ${url}: ${answer.status} ${await answer.text()}`);
  return answer;
}

async function waitFor(read, enough, timeoutMs, show) {
  const reached = typeof enough === "number" ? (spans) => spans.length >= enough : enough;
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const spans = await read();
    if (reached(spans)) return spans;
    if (Date.now() > deadline)
      throw new Error(`${timeoutMs} ms, and not the awaited spans:\n${await show()}`);
    await sleep(POLL_MS);
  }
}

function query({ traceId, sessionId } = {}) {
  const pairs = Object.entries({ trace_id: traceId, session_id: sessionId }).filter(([, value]) => value);
  return pairs.length ? `?${new URLSearchParams(pairs)}` : "";
}
