// SIGTERM, SIGINT and SIGHUP keep their meaning. What the user listens to is the user's, whenever the listener came;
// what nobody listens to ends the process, also one whose event loop is blocked. The spans arrive in any case.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { AT_ONCE, ENDED, hangingServer, runToItsEnd } from "./support/ending.mjs";
import { startFallom } from "./support/fallom.mjs";
import { measured } from "./support/measured.mjs";

const SIGNALS = ["SIGTERM", "SIGINT", "SIGHUP"];

/** The listener comes before or after `init`, then all is recorded, then the signal comes. */
const listening = (when, listener) => `
${when === "before" ? listener : ""}
fallom.init(options);
await record(fallom);
${when === "after" ? listener : ""}
stay();
say("kill");`;

const LOAD = 'const { default: fallom } = await import("@fallom/trace");';
const inTurn = (...lines) => lines.join("\n");

const EXITS = "process.on(signal, () => process.exit(5));";
const RAISES = "process.once(signal, () => process.kill(process.pid, signal));";
/** As the package signal-exit does it. */
const STEPS_BACK =
  "const back = () => { process.off(signal, back); process.kill(process.pid, signal); }; process.on(signal, back);";
const ASYNC = "process.on(signal, async () => { await sleep(300); say('shut down'); process.exit(7); });";
const ASYNC_ONCE =
  "process.once(signal, async () => { await sleep(300); say('shut down'); process.exit(7); });";
const LIVES_ON = "process.on(signal, () => { say('heard'); setTimeout(() => process.exit(0), 50); });";
const STEPPED_BACK = "const none = () => {}; process.on(signal, none); process.off(signal, none);";

/** `code`, or by default the process dies of the signal; `open`: how many of one open span arrive, as incomplete. */
const HANDLERS = {
  "a listener that exits, before init": { body: listening("before", EXITS), code: 5 },
  "a listener that exits, after init": { body: listening("after", EXITS), code: 5 },
  "a once that raises the signal again, before init": { body: listening("before", RAISES) },
  "a once that raises the signal again, after init": { body: listening("after", RAISES) },
  "a listener that steps back and raises it again": { body: listening("after", STEPS_BACK) },
  "an asynchronous shutdown, before init": {
    body: listening("before", ASYNC),
    code: 7,
    said: /shut down/,
    tookMs: 300,
  },
  "an asynchronous shutdown, after init": {
    body: listening("after", ASYNC),
    code: 7,
    said: /shut down/,
    tookMs: 300,
  },
  "an asynchronous shutdown, once": {
    body: listening("after", ASYNC_ONCE),
    code: 7,
    said: /shut down/,
    tookMs: 300,
  },
  "a listener that lives on": { body: listening("before", LIVES_ON), code: 0, said: /heard/, tookMs: 50 },
  "a listener that is gone again": { body: listening("after", STEPPED_BACK) },
  "a listener that was gone before init": { body: listening("before", STEPPED_BACK) },
  "a busy loop": {
    body: inTurn("fallom.init(options);", "await record(fallom);", 'say("kill");', "block();"),
    // JavaScript alone knows what is open, and it does not come to its turn.
    open: 0,
  },
  "the program itself raises it, and exits": {
    body: inTurn(
      "fallom.init(options);",
      "await record(fallom);",
      "ending();",
      "process.kill(process.pid, signal);",
      "process.exit(0);",
    ),
  },
};

describe("every span arrives, and the signal keeps its meaning", { concurrency: AT_ONCE }, () => {
  const took = Object.fromEntries(Object.keys(HANDLERS).map((name) => [name, {}]));
  let server;

  before(async () => {
    server = await startFallom();
  });
  after(async () => {
    const { duplicates, conflicts } = await server.stats();
    assert.deepEqual({ duplicates, conflicts }, { duplicates: 0, conflicts: 0 });
    await server.close();
    measured.log("from the signal to the end of the process, in ms");
    measured.table(took, SIGNALS);
  });

  for (const [name, { body, code, open = 1, said, tookMs = 0 }] of Object.entries(HANDLERS)) {
    for (const signal of SIGNALS) {
      test(`${name}: ${signal}`, async () => {
        const end = await runToItsEnd({ server, bare: true, body: LOAD + body, method: "both", signal });
        const arrived = { ended: ENDED, open };
        assert.deepEqual(countsOf(end.spans), { generate: arrived, stream: arrived }, end.stderr);
        assert.deepEqual([end.code, end.signal], code === undefined ? [null, signal] : [code, null]);
        assert.equal(end.stderr, "");
        if (said) assert.match(end.said, said);
        assert.ok(end.endMs >= tookMs - 5, `${end.endMs} ms`);
        took[name][signal] = end.endMs;
      });
    }
  }
});

function countsOf(spans) {
  const counts = {};
  for (const { name, attributes } of spans) {
    const method = name.split(".").at(-1);
    counts[method] ??= { ended: 0, open: 0 };
    counts[method][attributes["fallom.incomplete"] === undefined ? "ended" : "open"]++;
  }
  return counts;
}

describe("a signal that comes again", { concurrency: AT_ONCE }, () => {
  let server;

  before(async () => {
    server = await startFallom();
  });
  after(() => server.close());

  const body = "await record(fallom); stay(); say('kill');";

  // Ctrl-C under `npm start`: the terminal signals the whole group, and npm passes it on.
  test("at once is the same signal still: nothing is cut short", async () => {
    await server.setFaults([{ path: "/v1/traces", delay_ms: 100 }]);
    const end = await runToItsEnd({ server, body, signal: "SIGINT", repeat: [0, 20, 40, 60] });
    assert.deepEqual([end.ended, end.open, end.signal], [ENDED, 1, "SIGINT"], end.stderr);
  });

  test("later is impatience: the process dies at once", async () => {
    const options = { tracesUrl: (await hangingServer()).url, exitTimeoutMs: 10_000 };
    const end = await runToItsEnd({ server, body, signal: "SIGINT", options, repeat: [600] });
    assert.equal(end.signal, "SIGINT", end.stderr);
    assert.ok(end.endMs >= 590 && end.endMs < 3000, `${end.endMs} ms`);
  });
});

describe("the program does not go on after the signal", () => {
  test("while its spans are delivered", async () => {
    const server = await startFallom();
    await server.setFaults([{ path: "/v1/traces", delay_ms: 300 }]);
    const body = "await record(fallom); say('kill'); for (;;) { say('tick'); await sleep(5); }";
    const end = await runToItsEnd({ server, body, signal: "SIGTERM" });
    const ticks = end.said.split("tick").length - 1;
    assert.deepEqual([end.ended, end.signal], [ENDED, "SIGTERM"], end.stderr);
    assert.ok(end.endMs > 290 && ticks < 30, `${ticks} ticks in ${end.endMs} ms`);
    await server.close();
  });
});
