// What users of the older JavaScript SDK suffer as spans are delivered and the process ends: none of it comes back.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { child, optionsFor, resultOf, warningsOf } from "./support/child.mjs";
import { hangingServer, refusingServer, runToItsEnd } from "./support/ending.mjs";
import { startFallom } from "./support/fallom.mjs";
import { runProgram } from "./support/program.mjs";

let server;

before(async () => {
  server = await startFallom();
});
after(() => server.close());

for (const [what, calls, most, ...faults] of [
  ["a call, shutdown, exit: the call arrives", 1, 1],
  ["one 503 loses nothing", 1, 2, { times: 1, status: 503 }],
  ["1,000 calls are not 1,000 requests", 1000, 100],
]) {
  test(`defect 6: ${what}`, async () => {
    const { stats, arrived, ended } = await callAndExit({ calls, faults });
    assert.deepEqual([stats.delivered, arrived], [calls, calls]);
    assert.ok(stats.requests <= most, `${stats.requests} requests`);
    assert.equal(ended.stderr, "");
  });
}

for (const status of [401, 400, 503]) {
  test(`defect 6: without debug mode an error shows, too: ${status}`, async () => {
    const { stats, arrived, ended } = await callAndExit({ calls: 1, faults: [{ status }] });
    assert.deepEqual([arrived, stats.lastError.status], [0, status]);
    assert.ok(stats.lastError.message);
    // What is given up is said on stderr, too.
    if (stats.dropped.total) assert.equal(warningsOf(ended).length, 1, ended.stderr);
  });
}

async function callAndExit({ calls, faults }) {
  const own = await startFallom();
  await own.setFaults(faults.map((fault) => ({ path: "/v1/traces", ...fault })));
  const options = optionsFor(own, { exitTimeoutMs: 0 });
  const ended = await runProgram(child(callThenExit, { options, args: { calls } }));
  const { unique } = await own.stats();
  await own.close();
  return { stats: resultOf(ended), arrived: unique, ended };
}

async function callThenExit({ fallom, init, trace, options, args }) {
  await init(options);
  const session = fallom.session({ configKey: "app", sessionId: "calls" });
  const traced = session.wrapMastraAgent({ generate: async () => "hi" });
  for (let i = 0; i < args.calls; i++) await traced.generate("hello");
  await trace.shutdown({ timeoutMs: 3000 });
  console.log(JSON.stringify(fallom.stats()));
  process.exit(0);
}

test("defect 7: after init, SIGTERM ends the process", async () => {
  const ended = await runToItsEnd({ server, body: "stay(); say('kill');", signal: "SIGTERM" });
  assert.equal(ended.signal, "SIGTERM");
});

for (const start of [hangingServer, refusingServer]) {
  test(`defect 7: a ${start.name} does not delay the exit by 5 s`, async () => {
    const options = { tracesUrl: (await start()).url };
    const { endMs } = await runToItsEnd({ server, body: "await record(fallom); ending();", options });
    // Twice the exitTimeoutMs that nobody set.
    assert.ok(endMs < 4000, `${endMs} ms`);
  });
}
