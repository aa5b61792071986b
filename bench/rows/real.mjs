// The real agent of row (a), on the loopback model: most of its time is Mastra's own, so that small shares drown in it.

import { OTHERS } from "../peers/index.mjs";
import { conversation, realAgent, startModelProcess } from "../support/agent.mjs";
import { compete } from "../support/crew.mjs";
import { fresh } from "../support/record.mjs";
import { generateAll } from "./calls.mjs";

const KB = 1024;

export const REAL = [
  { what: "real agent, 20 KB", run: { bytes: 20 * KB }, calls: 20 },
  { what: "real agent, 1 tool step", run: { bytes: 2 * KB, steps: 1 }, calls: 20 },
  { what: "real agent, 5 tool steps", run: { bytes: 2 * KB, steps: 5 }, calls: 8 },
  { what: "real agent, 20 tool steps", run: { bytes: 2 * KB, steps: 20 }, calls: 3 },
];

/** In the parent. */
export async function outcomeOf({ run, calls }, rounds, peers = OTHERS) {
  const model = await startModelProcess(run);
  try {
    const names = ["none", "kept", "whole", "fallom", ...peers];
    const work = { run, calls, baseURL: model.baseURL };
    return await compete({ row: "real", names, work, rounds });
  } finally {
    model.close();
  }
}

/** In the contestant. How many spans Mastra makes of a call is its own affair. */
export async function prepare(peer, { run, calls, baseURL }, name) {
  const bare = await realAgent(baseURL, run);
  const agent = peer.adopt ? await peer.adopt(bare) : bare;
  const options = { maxSteps: (run.steps ?? 0) + 1 };
  const { messages } = conversation(run);
  const traced = { ...peer, generate: peer.adopt ? adopted : peer.generate };
  const spansOfCall = ["none", "kept", "whole", "mastra"].includes(name) ? 0 : 1 + (run.steps ?? 0);
  return async (round) => {
    const made = Array.from({ length: calls }, (_, at) => ({
      agent,
      messages: fresh(messages, round * calls + at),
      options,
    }));
    return { ...(await generateAll(traced, made)), spans: calls * spansOfCall };
  };
}

const adopted = (agent, messages, options) => agent.generate(messages, options);
