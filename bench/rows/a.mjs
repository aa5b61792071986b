// (a) What tracing adds to an agent's call: busy time of the event loop, and CPU. The agent plays back a recorded run.

import { OTHERS } from "../peers/index.mjs";
import { median, rest, turn } from "../support/clock.mjs";
import { compete, lostOf } from "../support/crew.mjs";
import { fresh, open, picked, playing, record } from "../support/record.mjs";
import { generateAll } from "./calls.mjs";
import { measureReal, REAL } from "./real.mjs";

const KB = 1024;
const MB = 1024 * KB;
const ROUNDS = 7;
/** A round takes about so many bytes of runs, so that its calls are many enough to outweigh its beginning. */
const ROUND_BYTES = 48 * MB;
const MOST_CALLS = 500;
/** Each contestant runs for so long before anything counts, and before each round. */
const FIRST_WARM_MS = 2500;
const WARM_MS = 600;
/** So many before each flush, at most: what is flushed must fit into the queues. */
const WARM_CALLS = 40;
/** A span of 8 MB is over the default limit, which would cut it. */
const RAISED = { maxSpanBytes: 16 * MB, maxQueueBytes: 256 * MB };
const FLOORS = ["kept", "whole"];

/** @typedef {{ what: string, run: import("../support/agent.mjs").What, raised?: boolean }} Case */

const payloads = [
  ["2 KB", 2 * KB],
  ["20 KB", 20 * KB],
  ["256 KB", 256 * KB],
  ["8 MB", 8 * MB],
].flatMap(([size, bytes]) => [
  { what: `${size}, ASCII`, run: { bytes }, raised: bytes > MB },
  { what: `${size}, not ASCII`, run: { bytes, wide: true }, raised: bytes > MB },
]);
const tools = [1, 5, 20].map((steps) => ({
  what: `${steps} tool step${steps > 1 ? "s" : ""}`,
  run: { bytes: 2 * KB, steps },
}));
const cut = { what: "8 MB, ASCII, default maxSpanBytes", run: { bytes: 8 * MB } };

/** @type {Case[]} */
const CASES = [...payloads, cut, ...tools];

const FIELDS = [
  { field: "loopMs", what: "event loop" },
  { field: "threadMs", what: "its thread's CPU" },
  { field: "cpuMs", what: "all CPU" },
];

/** @type {import("../support/table.mjs").Row} */
export const row = {
  letter: "a",
  title: "added per agent's call (recorded run of Mastra 1.x)",
  columns: ["none", ...FLOORS, "fallom", ...OTHERS],
  less: true,
  async *lines({ only, rounds = ROUNDS, peers = OTHERS }) {
    for (const one of CASES.filter(({ what }) => only(what))) yield* await measure(one, rounds, peers);
    for (const one of REAL.filter(({ what }) => only(what)))
      yield* await measureReal(one, FIELDS, rounds, peers);
  },
  bounds(value) {
    const [loop, thread] = FIELDS.map(({ what }) => what);
    const over = (what, floor) => (kind) =>
      value(`${what}: ${kind}`, "fallom") / value(`${what}: ${kind}`, floor);
    const ahead = (what) => (kind) => {
      const theirs = OTHERS.map((peer) => value(`${what}: ${kind}`, peer)).filter(Number.isFinite);
      return Math.min(...theirs) / value(`${what}: ${kind}`, "fallom");
    };
    const bound = (what, of, limit) => ({ what, figure: of(loop), byThread: of(thread), ...limit });
    return [
      bound("20 KB: event loop / stringify kept", over("20 KB, ASCII", "kept"), { most: 0.6 }),
      bound("20 tool steps: event loop / stringify result", over("20 tool steps", "whole"), { most: 0.08 }),
      bound("20 KB: event loop of the best peer / ours", ahead("20 KB, ASCII"), { least: 5 }),
      bound("20 tool steps: event loop of the best peer / ours", ahead("20 tool steps"), { least: 5 }),
    ];
  },
};

/** In the parent: a line for each kind of time. */
async function measure({ what, run, raised }, rounds, peers) {
  const recorded = await record(run);
  const calls = Math.max(3, Math.min(MOST_CALLS, Math.round(ROUND_BYTES / recorded.length)));
  const outcome = await compete({
    row: "a",
    names: ["none", ...FLOORS, "fallom", ...peers],
    work: { recorded: recorded.toString("base64"), calls },
    rounds,
    own: raised && { fallom: { more: RAISED } },
  });
  return FIELDS.map((field) => line(what, field, outcome, calls));
}

/** µs a call: those of no tracing, and what each other adds to them, round by round. */
function line(what, { field, what: kind }, { figures, notes }, calls) {
  const perCall = (name) => figures[name].map((one) => (one[field] * 1000) / calls);
  const none = perCall("none");
  const added = (name) => median(perCall(name).map((time, round) => time - none[round]));
  const values = Object.fromEntries(
    Object.keys(figures).map((name) => [name, name === "none" ? median(none) : added(name)]),
  );
  return { what: `${what}: ${kind}`, unit: "µs", values, lost: lostOf(figures), notes };
}

/** In the contestant. */
export function prepare(peer, { recorded, calls }, name) {
  const run = open(Buffer.from(recorded, "base64"));
  const spansOfCall = isTracer(name)
    ? 1 + run.calls.filter(({ name }) => name === "afterToolCall").length
    : 0;
  // Lives on: the shapes of all the others are its own, which the engine would forget between the rounds.
  const shapes = fresh(run, 0);
  return async (round) => {
    const made = Array.from({ length: calls }, (_, at) => callOf(fresh(run, round * calls + at)));
    let warmed = 0;
    const used = await generateAll(peer, made, async () => {
      warmed = await warmUp(peer, shapes, Math.min(calls, WARM_CALLS), round === 0 ? FIRST_WARM_MS : WARM_MS);
    });
    return { ...used, spans: (calls + warmed) * spansOfCall };
  };
}

/** A server runs for hours: by then its code is compiled. Says how many calls there were. */
async function warmUp(peer, run, atOnce, ms) {
  const until = performance.now() + ms;
  let calls = 0;
  while (performance.now() < until) {
    for (let i = 0; i < atOnce; i++) {
      const { agent, messages, kept } = callOf(run);
      await peer.generate(agent, messages, undefined, kept);
      await turn();
    }
    await peer.flush();
    calls += atOnce;
  }
  await rest();
  return calls;
}

const isTracer = (name) => name !== "none" && !FLOORS.includes(name);

function callOf(run) {
  const { messages, result } = run;
  return { agent: playing(run), messages, kept: { request: messages, response: picked(result) } };
}
