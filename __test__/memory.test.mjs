// A server that is down, and a backend that goes on: what is held for it stays within maxQueueBytes.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { child, resultOf } from "./support/child.mjs";
import { measured } from "./support/measured.mjs";
import { runProgram } from "./support/program.mjs";
import { assertBalanced } from "./support/spans.mjs";

const SPANS = 100_000;
const MIB = 1024 * 1024;
/** `maxQueueBytes` at its default, and what else there may be. */
const BOUND_MIB = 64 + 24;
/** Nobody listens at port 9. */
const DEAD = "http://127.0.0.1:9";

const CONTENT = {
  "that hardly compresses": "Math.random().toString(36).slice(2)",
  "like that of a conversation":
    "['refund', 'order', 'parcel', 'please', 'today'][Math.floor(Math.random() * 5)]",
};

/**
 * V8 lets garbage lie as long as it may, some tens of MiB more or less from run to run. Under the same tight limits in both
 * programs, the difference is what is held for delivery.
 */
const NODE_ARGS = ["--max-semi-space-size=4", "--max-old-space-size=40"];

/** A backend that makes 20 KB of text each time. It is the same program untraced, but for what tracing does. */
async function backend({ fallom, options, args: { spans, word } }) {
  fallom.init(options);
  const session = fallom.session({ configKey: "app", sessionId: "s" });
  const next = new Function(`return ${word}`);
  let words = "";
  while (words.length < 2_000_000) words += `${next()} `;
  const source = Buffer.from(words);
  for (let i = 0; i < spans; i++) {
    const at = Math.floor(Math.random() * (source.length - 20_000));
    session
      .span("turn")
      .set({ text: source.toString("latin1", at, at + 20_000) })
      .end();
    if (i % 50 === 0) await new Promise(setImmediate);
  }
  return { stats: fallom.stats(), rss: process.resourceUsage().maxRSS * 1024 };
}

describe(`${SPANS} spans of 20 KB for a server that is down`, () => {
  for (const [what, word] of Object.entries(CONTENT)) {
    test(`of content ${what} take the process ${BOUND_MIB} MiB further at most, and each is counted`, async () => {
      const run = async (enabled) => {
        const urls = { tracesUrl: DEAD, promptsUrl: DEAD, configsUrl: DEAD };
        const options = { apiKey: "k", ...urls, enabled, exitTimeoutMs: 0 };
        const program = { options, args: { spans: SPANS, word }, nodeArgs: NODE_ARGS, timeoutMs: 120_000 };
        return resultOf(await runProgram(child(backend, program)));
      };
      const [untraced, traced] = [await run(false), await run(true)];
      const more = (traced.rss - untraced.rss) / MIB;
      const { started, queued, queuedBytes, dropped } = traced.stats;
      measured.log(
        `content ${what}: ${Math.round(untraced.rss / MIB)} MiB untraced, ${more.toFixed(1)} MiB more traced; ` +
          `${queued} spans queued in ${(queuedBytes / MIB).toFixed(1)} MiB, ${dropped.queueFull} dropped`,
      );
      assert.equal(started, SPANS);
      assertBalanced(traced.stats);
      assert.ok(queuedBytes <= 64 * MIB, `${queuedBytes}`);
      assert.ok(more <= BOUND_MIB, `${more} MiB`);
    });
  }
});
