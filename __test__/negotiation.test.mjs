// What a server offers, and what of it it then refuses: in every pair, each span arrives once.

import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import fallom from "@fallom/trace";
import { child, optionsFor, resultOf } from "./support/child.mjs";
import { startFallom } from "./support/fallom.mjs";
import { measured } from "./support/measured.mjs";
import { runProgram } from "./support/program.mjs";
import { assertBalanced } from "./support/spans.mjs";

const SPANS = 10;
const NDJSON = "application/x-ndjson";

/** The headers by which it is offered. */
const OFFERS = {
  nothing: [null, null],
  ndjson: [NDJSON, null],
  "ndjson, gzip": [NDJSON, "gzip"],
  "ndjson, zstd": [NDJSON, "zstd"],
  "ndjson, zstd, gzip": [NDJSON, "zstd, gzip"],
  zstd: [null, "zstd"],
  gzip: [null, "gzip"],
};

const lines = { request_content_type: NDJSON };
const zstd = { request_content_encoding: "zstd" };
const gzip = { request_content_encoding: "gzip" };

/** What is refused, and how. */
const REFUSALS = {
  nothing: [],
  "ndjson, 415": [{ ...lines, status: 415 }],
  "zstd, 415": [{ ...zstd, status: 415 }],
  "gzip, 415": [{ ...gzip, status: 415 }],
  "zstd and gzip, 415": [
    { ...zstd, status: 415 },
    { ...gzip, status: 415 },
  ],
  "ndjson, 400": [{ ...lines, status: 400 }],
  "zstd, 400": [{ ...zstd, status: 400 }],
  "ndjson, 413": [{ ...lines, status: 413 }],
};

/**
 * How ten spans go, and ten more: forms, each with its number of requests; those after `!` were refused. 415 ends a form;
 * after 400 and 413 the next batch tries it again.
 */
const EXPECTED = {
  nothing: { nothing: "json 10 | json 10" },
  ndjson: {
    nothing: "ndjson 1 | ndjson 1",
    "ndjson, 415": "!ndjson 1, json 10 | json 10",
    "ndjson, 400": "!ndjson 1, json 10 | !ndjson 1, json 10",
    "ndjson, 413": "!ndjson 9, json 10 | !ndjson 9, json 10",
  },
  "ndjson, gzip": {
    nothing: "ndjson+gzip 1 | ndjson+gzip 1",
    "ndjson, 415": "!ndjson+gzip 1, json 10 | json 10",
    "gzip, 415": "!ndjson+gzip 1, json 10 | json 10",
    "zstd and gzip, 415": "!ndjson+gzip 1, json 10 | json 10",
    "ndjson, 400": "!ndjson+gzip 1, json 10 | !ndjson+gzip 1, json 10",
    "ndjson, 413": "!ndjson+gzip 9, json+gzip 10 | !ndjson+gzip 9, json+gzip 10",
  },
  "ndjson, zstd": {
    nothing: "ndjson+zstd 1 | ndjson+zstd 1",
    "ndjson, 415": "!ndjson+zstd 1, json 10 | json 10",
    "zstd, 415": "!ndjson+zstd 1, json 10 | json 10",
    "zstd and gzip, 415": "!ndjson+zstd 1, json 10 | json 10",
    "ndjson, 400": "!ndjson+zstd 1, json 10 | !ndjson+zstd 1, json 10",
    "zstd, 400": "!ndjson+zstd 1, json 10 | !ndjson+zstd 1, json 10",
    "ndjson, 413": "!ndjson+zstd 9, json+zstd 10 | !ndjson+zstd 9, json+zstd 10",
  },
  "ndjson, zstd, gzip": {
    nothing: "ndjson+zstd 1 | ndjson+zstd 1",
    "ndjson, 415": "!ndjson+zstd 1, json 10 | json+gzip 10",
    "zstd, 415": "!ndjson+zstd 1, json 10 | json+gzip 10",
    "zstd and gzip, 415": "!ndjson+zstd 1, json 10 | !json+gzip 1, json 10",
    "ndjson, 400": "!ndjson+zstd 1, json 10 | !ndjson+zstd 1, json 10",
    "zstd, 400": "!ndjson+zstd 1, json 10 | !ndjson+zstd 1, json 10",
    "ndjson, 413": "!ndjson+zstd 9, json+zstd 10 | !ndjson+zstd 9, json+zstd 10",
  },
  zstd: {
    nothing: "json+zstd 10 | json+zstd 10",
    "zstd, 415": "!json+zstd 1, json 10 | json 10",
    "zstd and gzip, 415": "!json+zstd 1, json 10 | json 10",
    "zstd, 400": "!json+zstd 10, json 10 | !json+zstd 10, json 10",
  },
  gzip: {
    nothing: "json+gzip 10 | json+gzip 10",
    "gzip, 415": "!json+gzip 1, json 10 | json 10",
    "zstd and gzip, 415": "!json+gzip 1, json 10 | json 10",
  },
};

/** The fault rules of a server; the last lets the request through, and says what is offered. */
function rulesOf(offer, refusal) {
  const [post, encoding] = OFFERS[offer];
  const headers = { "accept-post": post, "accept-encoding": encoding };
  return [...REFUSALS[refusal].map((rule) => ({ path: "/v1/traces", ...rule, headers })), { headers }];
}

/** The forms of these requests with spans, in the order of their first, and how many of each. */
function formsOf(requests) {
  const counts = {};
  for (const { path, content_type, content_encoding, status } of requests) {
    if (path !== "/v1/traces") continue;
    const format = content_type === NDJSON ? "ndjson" : "json";
    const form = `${status === 200 ? "" : "!"}${[format, content_encoding ?? []].flat().join("+")}`;
    counts[form] = (counts[form] ?? 0) + 1;
  }
  return Object.entries(counts)
    .map((entry) => entry.join(" "))
    .join(", ");
}

async function assertEachOnce(server, names) {
  const received = (await server.spans()).map(({ name }) => name);
  assert.deepEqual(received.sort(), names.toSorted());
  assert.equal((await server.stats()).duplicates, 0);
}

describe("a server that offers", () => {
  const table = {};
  after(() => measured.table(table));

  for (const offer of Object.keys(OFFERS)) {
    for (const refusal of Object.keys(REFUSALS)) {
      test(`${offer}, and then refuses ${refusal}: each span arrives once`, async () => {
        const server = await startFallom({ raw: false });
        await server.setFaults(rulesOf(offer, "nothing"));
        // One at a time, so that one refusal is one request; a batch goes with the flush.
        await fallom.init(
          optionsFor(server, { transport: { maxConcurrent: 1 }, batch: { maxDelayMs: 60_000 } }),
        );
        // Any answer says what is offered.
        await fallom.prompts.get("none").catch(() => {});

        const names = [];
        let seen = 0;
        const flushed = async () => {
          const session = fallom.session({ configKey: "app", sessionId: "s" });
          for (let i = 0; i < SPANS; i++) {
            names.push(`span-${names.length}`);
            session.span(names.at(-1)).end();
          }
          const { delivered, dropped, pending } = await fallom.flush();
          assert.deepEqual({ delivered, dropped, pending }, { delivered: SPANS, dropped: 0, pending: 0 });
          const requests = (await server.requests()).slice(seen);
          seen += requests.length;
          return formsOf(requests);
        };
        const before = await flushed();
        await server.setFaults(rulesOf(offer, refusal));
        const went = `${await flushed()} | ${await flushed()}`;

        // What is refused but was never offered, nobody meets.
        const { nothing, [refusal]: expected = nothing } = EXPECTED[offer];
        assert.deepEqual([`${before} | ${before}`, went], [nothing, expected]);
        await assertEachOnce(server, names);
        assertBalanced(fallom.stats());
        table[offer] = { ...table[offer], [refusal]: went };
        await server.close();
      });
    }
  }
});

describe("init({ transport }) decides, whatever the server offers", () => {
  const ALL = "ndjson, zstd, gzip";
  const CASES = [
    [{ format: "single" }, ALL, "nothing", "json+zstd 10"],
    [{ compression: "none" }, ALL, "nothing", "ndjson 1"],
    [{ compression: "gzip" }, ALL, "nothing", "ndjson+gzip 1"],
    [{ format: "single", compression: "none" }, ALL, "nothing", "json 10"],
    [{ format: "ndjson" }, "nothing", "nothing", "ndjson 1"],
    [{ compression: "zstd" }, "nothing", "nothing", "json+zstd 10"],
    [{ format: "ndjson", compression: "gzip" }, "nothing", "nothing", "ndjson+gzip 1"],
    [{ format: "ndjson", compression: "zstd" }, "nothing", "nothing", "ndjson+zstd 1"],
    [{ format: "ndjson", compression: "zstd" }, "nothing", "ndjson, 415", "!ndjson+zstd 1, json 10"],
    [{ format: "ndjson", compression: "zstd" }, "nothing", "zstd, 415", "!ndjson+zstd 1, json 10"],
    [{ format: "ndjson" }, "nothing", "ndjson, 400", "!ndjson 1, json 10"],
    [{ format: "ndjson" }, "nothing", "ndjson, 413", "!ndjson 9, json 10"],
    [{ compression: "zstd" }, "nothing", "zstd, 400", "!json+zstd 10, json 10"],
  ];
  for (const [transport, offer, refusal, expected] of CASES) {
    const given = Object.values(transport).join(", ");
    test(`${given}, where ${offer} is offered and ${refusal} refused`, async () => {
      const server = await startFallom({ raw: false });
      await server.setFaults(rulesOf(offer, refusal));
      const options = optionsFor(server, { transport: { maxConcurrent: 1, ...transport } });
      const names = resultOf(await runProgram(child(record, { options, args: { spans: SPANS } })));
      assert.equal(formsOf(await server.requests()), expected);
      await assertEachOnce(server, names);
      await server.close();
    });
  }
});

async function record({ fallom, init, prompts, options, args }) {
  await init({ ...options, batch: { maxDelayMs: 60_000 } });
  await prompts.get("none").catch(() => {});
  const session = fallom.session({ configKey: "app", sessionId: "s" });
  const names = Array.from({ length: args.spans }, (_, i) => `span-${i}`);
  for (const name of names) session.span(name).end();
  await fallom.flush();
  return names;
}
