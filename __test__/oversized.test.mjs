// One span that is too large for the server costs few requests, and none of its neighbours.

import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { child, optionsFor, resultOf } from "./support/child.mjs";
import { startFallom } from "./support/fallom.mjs";
import { measured } from "./support/measured.mjs";
import { runProgram } from "./support/program.mjs";
import { assertBalanced } from "./support/spans.mjs";

const MIB = 2 ** 20;
const SMALL = 512;
const LARGE_BYTES = 8_000_000;
const MOST_BODY_BYTES = 4 * MIB;
const MOST_MORE = 3;

/** Counted with the large span and without it. */
const requests = {};
after(() => measured.table(requests));

/** How spans are put together: the large one alone, since it is a batch by itself, or in one batch with the others. */
const BATCHES = {
  "in a batch of its own": { maxSpanBytes: 16 * MIB },
  "in a batch with others": { maxSpanBytes: 16 * MIB, batch: { maxBytes: 32 * MIB, maxSpans: SMALL + 1 } },
  "in a batch with others, one batch of two": { maxSpanBytes: 16 * MIB, batch: { maxBytes: 32 * MIB } },
};
describe("a span of 8 MB among 512 small ones, where the server refuses more than 4 MiB", () => {
  for (const compression of ["none", "zstd"]) {
    for (const [how, options] of Object.entries(BATCHES)) {
      test(`${how}, ${compression}: the others arrive, for ${MOST_MORE} requests more at most`, async () => {
        const without = await countOf({ compression, options });
        const withIt = await countOf({ compression, options, at: SMALL / 2 });
        requests[`${how}, ${compression}`] = { without, "with it": withIt };
        assert.ok(withIt <= without + MOST_MORE, `${withIt} requests, ${without} without it`);
      });
    }
  }
});

/** The requests that the spans took, the large one handed in after so many others. */
async function countOf({ compression, options, at }) {
  const server = await startFallom({ raw: false });
  await server.setFaults([{ path: "/v1/traces", max_body_bytes: MOST_BODY_BYTES }]);
  const transport = { format: "ndjson", compression };
  const given = {
    options: optionsFor(server, { transport, ...options }),
    args: { small: SMALL, at, bytes: LARGE_BYTES },
  };
  const { stats, flushed } = resultOf(await runProgram(child(record, given)));
  const large = at === undefined ? 0 : 1;
  assertBalanced(stats);
  assert.deepEqual([stats.delivered, stats.dropped.tooLarge, stats.dropped.total], [SMALL, large, large]);
  assert.deepEqual([flushed.delivered + flushed.dropped, flushed.timedOut], [SMALL + large, false]);
  const names = (await server.spans()).map(({ name }) => name);
  assert.deepEqual([names.length, new Set(names).size, names.includes("large")], [SMALL, SMALL, false]);
  assert.equal((await server.stats()).duplicates, 0);
  await server.close();
  return stats.requests;
}

async function record({ fallom, init, options, args }) {
  const { randomBytes } = await import("node:crypto");
  await init(options);
  const session = fallom.session({ configKey: "app", sessionId: "s" });
  // It cannot be compressed by more than what base64 wastes, a quarter.
  const text = randomBytes(args.bytes).toString("base64").slice(0, args.bytes);
  for (let i = 0; i <= args.small; i++) {
    if (i === args.at) session.span("large").set({ output: text }).end();
    if (i < args.small) session.span(`small-${i}`).set({ i }).end();
  }
  const flushed = await fallom.flush({ timeoutMs: 15_000 });
  return { stats: fallom.stats(), flushed };
}
