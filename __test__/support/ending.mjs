// Programs that end, in whatever way, with 50 spans that have ended and one that is open; and what became of them.

import { createServer } from "node:net";
import { startProgram } from "./program.mjs";

export const ENDED = 50;

/** How many such programs run at a time. */
export const AT_ONCE = 3;

/** What the programs begin with. Their agent needs no model, and answers all but "open". */
const PROLOGUE = `
import { writeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker, isMainThread, parentPort, workerData } from "node:worker_threads";

const given = isMainThread ? JSON.parse(process.argv[2]) : workerData;
const { options, sessionId, method, signal } = given;
const ENDED = ${ENDED};

/** Written at once, whatever comes next. */
const say = (word) => writeSync(1, word + "\\n");
const ending = () => say("ending " + Date.now());
const stay = () => setInterval(() => {}, 1000);
const block = () => { for (;;); };

const result = { text: "ok", finishReason: "stop", totalUsage: { inputTokens: 3, outputTokens: 2 } };
const kept = [];
const agent = {
  name: "Support",
  // By these, an agent of Mastra's is known.
  getInstructions: () => "Help.",
  __registerMastra: () => {},
  generate: (input) => (input === "open" ? new Promise(() => {}) : Promise.resolve(result)),
  stream: async (input, given) => {
    if (input === "open") kept.push(given);
    else await given.onFinish(result);
    return {};
  },
};

/** Ends ${ENDED} spans of a method and leaves one open. Without \`fallom\`, it is loaded. */
async function record(fallom) {
  const traced = fallom.session({ configKey: "app", sessionId }).wrapMastraAgent(agent);
  for (const each of method === "both" ? ["generate", "stream"] : [method]) {
    for (let i = 0; i < ENDED; i++) await traced[each]("ended");
    kept.push(traced[each]("open"));
  }
  await sleep(0);
}

/** Runs this program again, in a worker, to the point where it says something. */
function startWorker() {
  const worker = new Worker(new URL(import.meta.url), { workerData: given });
  return new Promise((resolve) => {
    worker.once("message", () => resolve(worker));
    worker.once("exit", (code) => { say("worker " + code); resolve(worker); });
    worker.once("error", () => {});
  });
}
`;

const MAIN = `
const { default: fallom } = await import("@fallom/trace");
fallom.init(options);
`;

let programs = 0;

/**
 * Runs such a program. It is `body`, a text that sees what the prologue has, after `init` unless `bare`. If it says
 * "kill", it gets `signal`; else it says when it begins to end (`ending()`).
 * @param {{ server: import("./fallom.mjs").Fallom, body: string, bare?: boolean, method?: "generate" | "stream" | "both",
 *   signal?: string, options?: object, repeat?: number[] }} program  `repeat`: the signal comes again, so many ms after
 *   the first
 * @returns {Promise<{ code: number | null, signal: string | null, said: string, stderr: string, spans: object[],
 *   ended: number, open: number, endMs: number }>} the spans that arrived, how many of them are complete and
 *   incomplete, and how long the process took to end
 */
export async function runToItsEnd(program) {
  const { server, body, bare = false, method = "generate", signal, options, repeat = [] } = program;
  const sessionId = `ending-${process.pid}-${++programs}`;
  const source = `${PROLOGUE}${bare ? "" : MAIN}${body}`;
  const given = { options: { apiKey: "test-key", ...server.urls, ...options }, sessionId, method, signal };
  const { child, says, ended } = startProgram({ source, args: [JSON.stringify(given)], timeoutMs: 15_000 });

  let begun;
  let endedAt;
  child.once("exit", () => {
    endedAt = Date.now();
  });
  const killed = async () => {
    const asked = await says("kill\n").catch(() => undefined);
    if (asked === undefined) return;
    begun = Date.now();
    child.kill(signal);
    for (const ms of repeat) setTimeout(() => child.kill(signal), ms);
  };
  const [end] = await Promise.all([ended, signal ? killed() : undefined]);
  begun ??= Number(/^ending (\d+)$/m.exec(end.stdout)?.[1]);
  const spans = await server.spans({ sessionId });
  const open = spans.filter((span) => span.attributes["fallom.incomplete"] !== undefined);
  return {
    code: end.code,
    signal: end.signal,
    said: end.stdout,
    stderr: end.stderr,
    spans,
    ended: spans.length - open.length,
    open: open.length,
    endMs: endedAt - begun,
  };
}

/** A server that takes connections, and never answers. It does not keep the test alive. */
export async function hangingServer() {
  const server = createServer((socket) => socket.on("error", () => {}).resume());
  await listening(server);
  return { url: `http://127.0.0.1:${server.address().port}` };
}

/** Where nobody listens. */
export async function refusingServer() {
  const server = createServer();
  await listening(server);
  const url = `http://127.0.0.1:${server.address().port}`;
  await new Promise((resolve) => server.close(resolve));
  return { url };
}

function listening(server) {
  server.unref();
  return new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
}
