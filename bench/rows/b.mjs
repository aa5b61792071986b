// (b) For how long tracing stops the event loop: the longest wait of a timer of 1 ms, from the first call until all is
// delivered.

import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { OTHERS } from "../peers/index.mjs";
import { collectGarbage, rest, turn } from "../support/clock.mjs";
import { compete, lostOf, medians } from "../support/crew.mjs";
import { fresh, open, playing, record } from "../support/record.mjs";

const MB = 2 ** 20;
const ROUNDS = 9;
const RAISED = { fallom: { more: { maxSpanBytes: 16 * MB, maxQueueBytes: 256 * MB } } };

const CASES = [
  { what: "100 calls of 256 KB", bytes: 256 * 1024, calls: 100, most: 5 },
  { what: "5 calls of 8 MB", bytes: 8 * MB, calls: 5, own: RAISED, most: 15 },
  { what: "5 calls of 8 MB, default maxSpanBytes", bytes: 8 * MB, calls: 5 },
];

/** @type {import("../support/table.mjs").Row} */
export const row = {
  letter: "b",
  title: "longest stall of the event loop",
  columns: ["none", "fallom", ...OTHERS],
  less: true,
  async *lines({ only, rounds = ROUNDS, peers = OTHERS }) {
    for (const one of CASES) if (only(one.what)) yield await measure(one, rounds, peers);
  },
  bounds: (value) =>
    CASES.filter(({ most }) => most).map(({ what, most }) => ({
      what: `${what}: ms beyond no tracing`,
      figure: value(what, "fallom") - value(what, "none"),
      most,
    })),
};

async function measure({ what, bytes, calls, own }, rounds, peers) {
  const recorded = await record({ bytes });
  const names = ["none", "fallom", ...(own || bytes < MB ? peers : [])];
  const work = { recorded: recorded.toString("base64"), calls };
  const { figures, notes } = await compete({ row: "b", names, work, rounds, own });
  const values = medians(figures, ({ stallMs }) => stallMs);
  return { what, unit: "ms", values, lost: lostOf(figures), notes };
}

/** In the contestant. */
export function prepare(peer, { recorded, calls }, name) {
  const run = open(Buffer.from(recorded, "base64"));
  return async (round) => {
    const runs = Array.from({ length: calls }, (_, at) => fresh(run, round * calls + at));
    collectGarbage();
    const delay = monitorEventLoopDelay({ resolution: 1 });
    await sleep(20);
    delay.enable();
    await sleep(5);
    delay.reset();
    for (const one of runs) {
      await peer.generate(playing(one), one.messages);
      await turn();
    }
    await peer.flush();
    await rest();
    delay.disable();
    return { stallMs: delay.max / 1e6, spans: name === "none" ? 0 : calls };
  };
}
