// What tracing leaves to the garbage collector: what outlives a young collection is copied twice, in pauses of the event
// loop, and lies about until the next full one.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { child, resultOf } from "./support/child.mjs";
import { measured } from "./support/measured.mjs";
import { runProgram } from "./support/program.mjs";

const CALLS = 4000;
/** None is to be expected, but for the call under way. A run of an agent that is held is some thousand. */
const MOST_BYTES = 250;
/** Code as it runs before the engine has compiled it with care, which hides what is made and thrown away at once. */
const NODE_ARGS = ["--no-opt", "--max-semi-space-size=1"];

/** Bytes a call that young collections move to the old generation. */
async function backend({ fallom, options, args: { calls, what } }) {
  const { GCProfiler } = await import("node:v8");
  fallom.init(options);
  const session = fallom.session({ configKey: "app", sessionId: "s" });
  const agent = {
    name: "Support",
    async generate() {
      return { text: "It is on its way.", finishReason: "stop" };
    },
  };
  const wrapped = session.wrapMastraAgent(agent);
  const traced = fallom.trace.wrapTraced(session, "look-up", async (order) => order);
  const messages = [{ role: "user", content: "Where is my order?" }];
  const call = {
    "an agent's call": () => wrapped.generate(messages),
    "a span": async () => session.span("rank").set({ input: messages }).end(),
    "a traced function": () => traced(messages),
  }[what];
  const run = async (times) => {
    for (let i = 0; i < times; i++) {
      await call();
      if (i % 10 === 0) await new Promise(setImmediate);
    }
  };
  await run(500);
  const profiler = new GCProfiler();
  profiler.start();
  await run(calls);
  const { statistics } = profiler.stop();
  const young = statistics.filter(({ gcType }) => gcType === "Scavenge");
  const old = ({ heapSpaceStatistics }) =>
    heapSpaceStatistics.find(({ spaceName }) => spaceName === "old_space").spaceUsedSize;
  // What shrank was swept meanwhile, and makes up for nothing.
  const moved = young.map(({ beforeGC, afterGC }) => Math.max(0, old(afterGC) - old(beforeGC)));
  return { collections: young.length, bytes: moved.reduce((sum, one) => sum + one, 0) / calls };
}

describe("garbage", () => {
  for (const what of ["an agent's call", "a span", "a traced function"]) {
    test(`${what} that has ended is gone with the next young collection`, async () => {
      const options = { apiKey: "k", enabled: true, tracesUrl: "http://127.0.0.1:9", exitTimeoutMs: 0 };
      const urls = { promptsUrl: "http://127.0.0.1:9", configsUrl: "http://127.0.0.1:9" };
      const program = { options: { ...options, ...urls }, args: { calls: CALLS, what }, nodeArgs: NODE_ARGS };
      const { collections, bytes } = resultOf(await runProgram(child(backend, program)));
      measured.log(`${what}: ${bytes.toFixed(0)} bytes outlive a young collection, of ${collections}`);
      assert.ok(collections >= 3, `${collections} collections`);
      assert.ok(bytes <= MOST_BYTES, `${bytes} bytes a call`);
    });
  }
});
