// Spans on disk: what could not be delivered outlives the process, and the next one delivers it.

import assert from "node:assert/strict";
import { readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import { child, optionsFor, resultOf, warningsOf } from "./support/child.mjs";
import { startFallom } from "./support/fallom.mjs";
import { runProgram, startProgram } from "./support/program.mjs";
import { assertBalanced } from "./support/spans.mjs";
import { comingAndGoing, filesOf, spoolFolder } from "./support/spool.mjs";

const QUICK = { baseMs: 20, maxMs: 100 };

/** Options for a server, with a spool in this folder. */
const spooled = (server, dir, { spool, ...more } = {}) =>
  optionsFor(server, { retry: QUICK, spool: { dir, ...spool }, ...more });

/** Records `count` spans named n-0, n-1, … of `bytes` each, flushes, and tells what became of them. */
async function record({ fallom, options, args: { count, from = 0, bytes = 0, flushMs = 200 } }) {
  const { randomBytes } = await import("node:crypto");
  await fallom.init(options);
  const session = fallom.session({ configKey: "app", sessionId: "s" });
  for (let i = from; i < from + count; i++) {
    const span = session.span(`n-${i}`);
    // Not to be compressed.
    if (bytes) span.set({ data: randomBytes(bytes).toString("base64") });
    span.end();
    // Not faster than a small queue can be emptied.
    if (i % 5 === 0) await new Promise((resolve) => setTimeout(resolve, bytes / 1000));
  }
  const flushed = await fallom.flush({ timeoutMs: flushMs });
  return { flushed, stats: fallom.stats() };
}

/** Starts, and waits until nothing is left of what earlier processes left behind. */
async function deliver({ fallom, options, args: { atLeast = 1 } }) {
  await fallom.init(options);
  const busy = ({ delivered, dropped, spooled, queued, inFlight }) =>
    delivered + dropped.total < atLeast || spooled + queued + inFlight > 0;
  while (busy(fallom.stats())) await new Promise((resolve) => setTimeout(resolve, 10));
  return fallom.stats();
}

const run = async (body, options, args, program) =>
  resultOf(await runProgram(child(body, { options, args, ...program })));
const namesOf = async (server) => (await server.spans()).map(({ name }) => name).sort();
const numbered = (count, from = 0) => Array.from({ length: count }, (_, i) => `n-${i + from}`).sort();

describe("with a spool", { concurrency: 2 }, () => {
  test("what a process could not deliver is delivered by the next one, each span once", async (t) => {
    const [dir, server] = [spoolFolder(t), await comingAndGoing(t)];
    const { flushed, stats } = await run(record, spooled(server, dir), { count: 100 });
    assert.deepEqual(flushed, { delivered: 0, spooled: 100, dropped: 0, pending: 0, timedOut: true });
    assertBalanced(stats);

    const up = await server.up();
    const after = await run(deliver, spooled(server, dir), { atLeast: 100 });
    assertBalanced(after);
    assert.deepEqual([after.started, after.delivered, after.spooled], [100, 100, 0]);
    assert.deepEqual(await namesOf(up), numbered(100));
    assert.equal((await up.stats()).duplicates, 0);
    assert.deepEqual(filesOf(dir), [], "what was delivered leaves no file");
  });

  test("a server that is down does not delay the end of the process once all is on disk", async (t) => {
    const [dir, server] = [spoolFolder(t), await comingAndGoing(t)];
    const end = async ({ fallom, options }) => {
      await fallom.init(options);
      fallom.session({ configKey: "app", sessionId: "s" }).span("n-0").end();
      await fallom.flush({ timeoutMs: 1000 });
      process.on("exit", () => console.log(`exits ${Date.now()}`));
    };
    const options = spooled(server, dir, { exitTimeoutMs: 20_000 });
    const ended = await runProgram(child(end, { options }));
    assert.equal(ended.code, 0, ended.stderr);
    assert.ok(ended.ms < 10_000, `${ended.ms} ms`);
    const up = await server.up();
    await run(deliver, options);
    assert.deepEqual(await namesOf(up), ["n-0"]);
  });

  test("an outage longer than memory has room for loses nothing", async (t) => {
    const [dir, server] = [spoolFolder(t), await comingAndGoing(t)];
    const options = spooled(server, dir, { maxQueueBytes: 256 * 1024 });
    const outage = startProgram(
      child(
        async ({ fallom, options }) => {
          await fallom.init(options);
          const { randomBytes } = await import("node:crypto");
          const session = fallom.session({ configKey: "app", sessionId: "s" });
          for (let i = 0; i < 1000; i++) {
            session
              .span(`n-${i}`)
              .set({ data: randomBytes(1000).toString("base64") })
              .end();
            // Not faster than a small queue can be emptied.
            if (i % 5 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
          }
          while (fallom.stats().spooled < 700) await new Promise((resolve) => setTimeout(resolve, 10));
          const during = fallom.stats();
          console.log("down");
          while (fallom.stats().delivered < 1000) await new Promise((resolve) => setTimeout(resolve, 10));
          return { during, after: fallom.stats() };
        },
        { options, timeoutMs: 60_000 },
      ),
    );
    await outage.says("down");
    const up = await server.up();
    const { during, after } = resultOf(await outage.ended);
    assertBalanced(during);
    assert.equal(during.dropped.total, 0);
    assert.ok(during.spooledBytes > 700 * 1000, `${during.spooledBytes} bytes`);
    assert.ok(during.queuedBytes <= 256 * 1024, `${during.queuedBytes} bytes`);
    assertBalanced(after);
    assert.deepEqual([after.dropped.total, after.spooled, after.spooledBytes], [0, 0, 0]);
    assert.deepEqual(await namesOf(up), numbered(1000));
    assert.deepEqual(filesOf(dir), []);
  });

  test("spans older than retry.maxAgeMs wait on disk, and go when the server is back", async (t) => {
    const [dir, server] = [spoolFolder(t), await comingAndGoing(t)];
    const options = spooled(server, dir, { retry: { ...QUICK, maxAgeMs: 100 } });
    const outage = startProgram(
      child(
        async ({ fallom, options }) => {
          await fallom.init(options);
          const session = fallom.session({ configKey: "app", sessionId: "s" });
          for (let i = 0; i < 10; i++) session.span(`n-${i}`).end();
          while (fallom.stats().spooled === 0) await new Promise((resolve) => setTimeout(resolve, 10));
          console.log("down");
          while (fallom.stats().delivered < 10) await new Promise((resolve) => setTimeout(resolve, 10));
          return fallom.stats();
        },
        { options, timeoutMs: 60_000 },
      ),
    );
    await outage.says("down");
    const up = await server.up();
    const stats = resultOf(await outage.ended);
    assertBalanced(stats);
    assert.equal(stats.dropped.total, 0);
    assert.deepEqual(await namesOf(up), numbered(10));
  });

  test("a sibling on the same folder delivers what a killed process left", async (t) => {
    const dir = spoolFolder(t);
    const [server, dead] = [await startFallom(), await comingAndGoing(t)];
    t.after(() => server.close());
    // The folder belongs to a URL, so both have the same: the first one's proxy leads nowhere.
    const options = spooled(server, dir);
    const proxy = { HTTP_PROXY: dead.urls.tracesUrl, NO_PROXY: "" };
    const sibling = startProgram(child(deliver, { options, args: { atLeast: 5 }, timeoutMs: 60_000 }));
    const killed = startProgram(
      child(
        async ({ fallom, options }) => {
          await fallom.init(options);
          const session = fallom.session({ configKey: "app", sessionId: "s" });
          for (let i = 0; i < 5; i++) session.span(`n-${i}`).end();
          await fallom.flush({ timeoutMs: 100 });
          console.log("recorded");
          setInterval(() => {}, 1000);
        },
        { options, env: proxy },
      ),
    );
    await killed.says("recorded");
    assert.deepEqual(await namesOf(server), []);
    killed.child.kill("SIGKILL");
    const stats = resultOf(await sibling.ended);
    assertBalanced(stats);
    assert.equal(stats.delivered, 5);
    assert.deepEqual(await namesOf(server), numbered(5));
  });

  test("two living processes on one folder deliver each their own", async (t) => {
    const [dir, server] = [spoolFolder(t), await startFallom()];
    t.after(() => server.close());
    const both = [0, 300].map((from) =>
      run(record, spooled(server, dir), { count: 300, from, flushMs: 10_000 }),
    );
    for (const { flushed, stats } of await Promise.all(both)) {
      assert.deepEqual([flushed.delivered, stats.started], [300, 300]);
    }
    assert.deepEqual(await namesOf(server), numbered(600));
    assert.equal((await server.stats()).duplicates, 0);
    assert.deepEqual(filesOf(dir), []);
  });

  test("no process delivers the spans of another key, or to another URL", async (t) => {
    const [dir, server] = [spoolFolder(t), await comingAndGoing(t)];
    const mine = spooled(server, dir);
    await run(record, mine, { count: 3 });
    const up = await server.up();
    const elsewhere = await startFallom();
    t.after(() => elsewhere.close());
    for (const options of [{ ...mine, apiKey: "another" }, spooled(elsewhere, dir)])
      assert.equal((await run(record, options, { count: 1, from: 9, flushMs: 5000 })).stats.started, 1);
    assert.deepEqual(await namesOf(elsewhere), ["n-9"]);
    assert.deepEqual(await namesOf(up), ["n-9"]);
    await run(deliver, mine, { atLeast: 3 });
    assert.deepEqual(await namesOf(up), [...numbered(3), "n-9"]);
  });

  test("its files stay within maxBytes, and what had to go is counted", async (t) => {
    const [dir, server] = [spoolFolder(t), await comingAndGoing(t)];
    const MIB = 1024 * 1024;
    const options = spooled(server, dir, { maxQueueBytes: 64 * 1024, spool: { maxBytes: MIB } });
    const { stats } = await run(record, options, { count: 500, bytes: 4000, flushMs: 1000 });
    assertBalanced(stats);
    assert.ok(stats.dropped.spoolFull > 0, JSON.stringify(stats));
    const bytes = filesOf(dir).reduce((sum, file) => sum + statSync(file).size, 0);
    assert.ok(bytes <= MIB, `${bytes} bytes`);
    const up = await server.up();
    const after = await run(deliver, options, { atLeast: 50 });
    assertBalanced(after);
    const names = (await up.spans()).map(({ name }) => Number(name.slice(2))).sort((a, b) => a - b);
    assert.equal(names.length, after.delivered);
    assert.equal(names.at(-1), 499, "the oldest go, not the newest");
  });

  test("spans older than maxAgeMs are given up, and counted", async (t) => {
    const [dir, server] = [spoolFolder(t), await comingAndGoing(t)];
    await run(record, spooled(server, dir), { count: 3 });
    const up = await server.up();
    const stats = await run(deliver, spooled(server, dir, { spool: { maxAgeMs: 0 } }), { atLeast: 3 });
    assertBalanced(stats);
    assert.deepEqual([stats.delivered, stats.dropped.expired], [0, 3]);
    assert.deepEqual([await namesOf(up), filesOf(dir)], [[], []]);
  });

  test("files are for the user alone, and hold no key", async (t) => {
    const [dir, server] = [spoolFolder(t), await comingAndGoing(t)];
    const apiKey = "a-needle-of-a-key";
    await run(record, { ...spooled(server, dir), apiKey }, { count: 3 });
    const files = filesOf(dir);
    assert.equal(files.length, 1);
    for (const file of files) {
      assert.ok(!file.includes(apiKey) && !readFileSync(file).includes(apiKey));
      if (process.platform === "win32") continue;
      assert.deepEqual([statSync(file).mode & 0o777, statSync(dirname(file)).mode & 0o777], [0o600, 0o700]);
    }
  });

  test("onDiagnostic hears of what was found on disk", async (t) => {
    const [dir, server] = [spoolFolder(t), await comingAndGoing(t)];
    await run(record, spooled(server, dir), { count: 3 });
    await server.up();
    const hear = async ({ fallom, options }) => {
      const found = new Promise((resolve) => {
        fallom.init({ ...options, onDiagnostic: (event) => event.reason === "found" && resolve(event) });
      });
      const waiting = setTimeout(() => {}, 10_000);
      const event = await found;
      clearTimeout(waiting);
      return event;
    };
    const { type, count, message } = await run(hear, spooled(server, dir));
    assert.deepEqual([type, count, typeof message], ["spool", 3, "string"]);
  });

  test("FALLOM_SPOOL_DIR turns it on", async (t) => {
    const [dir, server] = [spoolFolder(t), await comingAndGoing(t)];
    await run(record, optionsFor(server), { count: 1 }, { env: { FALLOM_SPOOL_DIR: dir } });
    assert.equal(filesOf(dir).length, 1);
  });
});

describe("a spool that cannot do its work is no error:", { concurrency: 2 }, () => {
  /** Runs with this spool against a server that is up; everything arrives, and there is one warning. */
  async function arrivesAll(t, dir, program, warnings = 1) {
    const server = await startFallom();
    t.after(() => server.close());
    const args = { count: 50, bytes: 2000, flushMs: 10_000 };
    const ended = await runProgram(child(record, { options: spooled(server, dir), args, ...program }));
    const { flushed, stats } = resultOf(ended);
    assertBalanced(stats);
    assert.equal(flushed.delivered, 50, JSON.stringify(stats));
    assert.deepEqual(
      (await namesOf(server)).filter((name) => name.startsWith("n-")),
      numbered(50),
    );
    const said = warningsOf(ended).filter((line) => line.includes("spool"));
    assert.equal(said.length, warnings, ended.stderr);
  }

  test("a folder that cannot be made", async (t) => {
    const file = join(spoolFolder(t), "a-file");
    writeFileSync(file, "");
    await arrivesAll(t, join(file, "spool"));
  });

  const { platform } = process;
  if (platform !== "win32")
    test("a disk that is full in the middle of a write", async (t) => {
      // No file may grow beyond 32 blocks of 512 bytes: what is written then is cut off.
      await arrivesAll(t, spoolFolder(t), {
        node: "/bin/sh",
        nodeArgs: ["-c", `ulimit -f 32; exec "${process.execPath}" "$0" "$@"`],
      });
    });

  if (platform === "linux")
    test("a file system without room for a single file", async (t) => {
      await arrivesAll(t, "/proc/spool");
    });

  test("segments that were torn, overwritten or are none: what is whole in them arrives", async (t) => {
    const [dir, server] = [spoolFolder(t), await comingAndGoing(t)];
    for (const from of [0, 10, 20]) await run(record, spooled(server, dir), { count: 10, from });
    const [torn, overwritten] = filesOf(dir);
    truncateSync(torn, statSync(torn).size - 5);
    const bytes = readFileSync(overwritten);
    bytes.fill(0, 100, 120);
    writeFileSync(overwritten, bytes);
    const folder = dirname(torn);
    writeFileSync(join(folder, "0000000000000-1-0.spans"), "not one of ours");
    writeFileSync(join(folder, "notes.txt"), "mine");
    const up = await server.up();
    const stats = await run(deliver, spooled(server, dir), { atLeast: 28 });
    assertBalanced(stats);
    assert.deepEqual([stats.started, stats.delivered], [28, 28]);
    const expected = numbered(30).filter((name) => name !== "n-9" && name !== "n-10");
    assert.deepEqual(await namesOf(up), expected);
    assert.deepEqual(filesOf(dir), [join(folder, "notes.txt")]);
  });
});
