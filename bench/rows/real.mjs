// The real agent of row (a), on the loopback model. Nearly all of its time is Mastra's own, and differs from process to
// process: so each contestant runs it untraced, too, in turns with the traced calls, and the difference counts.

import { OTHERS } from "../peers/index.mjs";
import { conversation, realAgent, startModelProcess } from "../support/agent.mjs";
import { median } from "../support/clock.mjs";
import { compete, lostOf, medians } from "../support/crew.mjs";
import { fresh } from "../support/record.mjs";
import { generateAll } from "./calls.mjs";

const KB = 1024;

export const REAL = [
  { what: "real agent, 20 KB", run: { bytes: 20 * KB }, calls: 20 },
  { what: "real agent, 1 tool step", run: { bytes: 2 * KB, steps: 1 }, calls: 20 },
  { what: "real agent, 5 tool steps", run: { bytes: 2 * KB, steps: 5 }, calls: 8 },
  { what: "real agent, 20 tool steps", run: { bytes: 2 * KB, steps: 20 }, calls: 3 },
];

/** In the parent: a line for each of the fields. */
export async function measureReal({ what, run, calls }, fields, rounds, peers = OTHERS) {
  const model = await startModelProcess(run);
  try {
    const names = ["none", "kept", "whole", "fallom", ...peers];
    const work = { run, calls, baseURL: model.baseURL };
    const outcome = await compete({ row: "real", names, work, rounds });
    return fields.map((field) => line(what, field, outcome));
  } finally {
    model.close();
  }
}

function line(what, { field, what: kind }, { figures, notes }) {
  const { none: noise, ...added } = medians(
    figures,
    ({ traced, untraced }) => traced[field] - untraced[field],
  );
  const none = median(figures.none.map(({ untraced }) => untraced[field]));
  const noisy = `${what}: ${kind}: no tracing differs from itself by ${Math.round(noise)} µs`;
  return {
    what: `${what}: ${kind}`,
    unit: "µs",
    values: { none, ...added },
    lost: lostOf(figures),
    notes: [...notes, noisy],
  };
}

/** In the contestant. How many spans Mastra makes of a call is its own affair. */
export async function prepare(peer, { run, calls, baseURL }, name) {
  const agent = await realAgent(baseURL, run);
  const own = await peer.adopt?.(await realAgent(baseURL, run));
  const traced = own ? { ...peer, generate: bare } : peer;
  const untraced = { generate: bare, flush: async () => {} };
  const options = { maxSteps: (run.steps ?? 0) + 1 };
  const { messages } = conversation(run);
  const spansOfCall = ["none", "kept", "whole", "mastra"].includes(name) ? 0 : 1 + (run.steps ?? 0);
  const measured = async (peer, agent, first) => {
    const made = Array.from({ length: calls }, (_, at) => ({
      agent,
      messages: fresh(messages, first + at),
      options,
    }));
    const used = await generateAll(peer, made);
    // µs a call.
    return Object.fromEntries(Object.entries(used).map(([field, ms]) => [field, (ms * 1000) / calls]));
  };
  return async (round) => {
    const both = {};
    const turns = {
      traced: () => measured(traced, own ?? agent, round * calls),
      untraced: () => measured(untraced, agent, round * calls),
    };
    const order = round % 2 ? ["traced", "untraced"] : ["untraced", "traced"];
    for (const which of order) both[which] = await turns[which]();
    return { ...both, spans: calls * spansOfCall };
  };
}

const bare = (agent, messages, options) => agent.generate(messages, options);
