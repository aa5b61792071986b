// However the process ends, or a thread of it: what has ended arrives, what is open arrives as incomplete, and the end
// itself is the one that it would be untraced. Signals that the user handles: see exit-signals.test.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { AT_ONCE, ENDED, runToItsEnd } from "./support/ending.mjs";
import { startFallom } from "./support/fallom.mjs";
import { measured } from "./support/measured.mjs";

const METHODS = ["generate", "stream"];

/** The main thread records. */
const inMain = (end) => ({ body: `await record(fallom);\n${end}` });

/** A worker records; both threads have called `init`. */
const inWorker = ({ worker, main }) => ({
  body: `
if (isMainThread) {
  const worker = await startWorker();
  ${main}
} else {
  await record(fallom);
  ${worker}
}`,
});

/** A worker records, and it alone has loaded the package. */
const onlyInWorker = ({ worker, main }) => ({
  bare: true,
  body: `
if (isMainThread) {
  const worker = await startWorker();
  ${main}
} else {
  const { default: fallom } = await import("@fallom/trace");
  fallom.init(options);
  await record(fallom);
  ${worker}
}`,
});

const staying = "stay(); parentPort.postMessage('recorded');";
const terminated = { worker: staying, main: "ending(); await worker.terminate();" };
const terminatedThenExit = { worker: staying, main: "ending(); await worker.terminate(); process.exit(6);" };
const exitOfMain = { worker: staying, main: "ending(); process.exit(6);" };
const exitOfWorker = { worker: "ending(); process.exit(4);", main: "" };

/** `open`: how many of one open span arrive, as incomplete. */
const WAYS = {
  "natural end": { ...inMain("ending();"), code: 0 },
  "process.exit() in the middle of a call": { ...inMain("ending(); process.exit(3);"), code: 3 },
  "process.exitCode": { ...inMain("ending(); process.exitCode = 9;"), code: 9 },
  SIGTERM: { ...inMain("stay(); say('kill');"), signal: "SIGTERM" },
  SIGINT: { ...inMain("stay(); say('kill');"), signal: "SIGINT" },
  SIGHUP: { ...inMain("stay(); say('kill');"), signal: "SIGHUP" },
  "uncaught exception": {
    ...inMain("setTimeout(() => { ending(); throw new Error('a bug of the user'); });"),
    code: 1,
    stderr: /a bug of the user/,
  },
  "unhandled rejection": {
    ...inMain("ending(); Promise.reject(new Error('a bug of the user'));"),
    code: 1,
    stderr: /a bug of the user/,
  },
  "natural end of a worker": { ...inWorker({ worker: "ending();", main: "" }), code: 0, said: /worker 0/ },
  "process.exit() in a worker": { ...inWorker(exitOfWorker), code: 0, said: /worker 4/ },
  "uncaught exception in a worker": {
    ...inWorker({ worker: "ending(); throw new Error('a bug of the user');", main: "" }),
    code: 0,
    said: /worker 1/,
  },
  // No JavaScript of the worker runs any more: its open span cannot be told.
  "worker.terminate()": { ...inWorker(terminated), code: 0, open: 0 },
  "worker.terminate(), only it has the package": { ...onlyInWorker(terminated), code: 0, open: 0 },
  "worker.terminate(), then process.exit()": { ...onlyInWorker(terminatedThenExit), code: 6, open: 0 },
  "process.exit() in a worker that alone has it": {
    ...onlyInWorker(exitOfWorker),
    code: 0,
    said: /worker 4/,
  },
  "process.exit() while a worker runs": { ...inWorker(exitOfMain), code: 6 },
  "process.exit() while one runs that alone has it": { ...onlyInWorker(exitOfMain), code: 6, open: 0 },
  "SIGTERM while a worker runs": {
    ...inWorker({ worker: staying, main: "say('kill');" }),
    signal: "SIGTERM",
  },
};

describe("every span arrives", { concurrency: AT_ONCE }, () => {
  const table = makeTable("the process took so long to end, in ms");
  let server;

  before(async () => {
    server = await startFallom();
  });
  after(async () => {
    const { duplicates, conflicts } = await server.stats();
    assert.deepEqual({ duplicates, conflicts }, { duplicates: 0, conflicts: 0 });
    await server.close();
    table.print();
  });

  for (const [name, way] of Object.entries(WAYS)) {
    for (const method of METHODS) {
      test(`${name}, ${method}`, async () => {
        const end = await runToItsEnd({ ...way, server, method });
        assert.deepEqual(
          [end.ended, end.open, end.code, end.signal],
          [ENDED, way.open ?? 1, way.code ?? null, way.signal ?? null],
          end.stderr,
        );
        if (way.said) assert.match(end.said, way.said);
        if (way.stderr) assert.match(end.stderr, way.stderr);
        else assert.equal(end.stderr, "");
        table.add(name, method, end.endMs);
      });
    }
    test(`${name}, untraced, ends the same`, async () => {
      const end = await runToItsEnd({ ...way, server, options: { enabled: false } });
      assert.deepEqual([end.code, end.signal, end.spans], [way.code ?? null, way.signal ?? null, []]);
      table.add(name, "untraced", end.endMs);
    });
  }
});

describe("what is open is told as far as it is known", () => {
  let server;

  before(async () => {
    server = await startFallom();
  });
  after(() => server.close());

  for (const signal of [undefined, "SIGTERM"]) {
    test(`after ${signal ?? "process.exit()"}`, async () => {
      const body = `
const span = fallom.session({ configKey: "app", sessionId }).span("step");
span.set({ "so far": 1 });
await sleep(20);
${signal ? "stay(); say('kill');" : "process.exit();"}`;
      const { spans, stderr } = await runToItsEnd({ server, body, signal });
      assert.equal(spans.length, 1, stderr);
      const [{ name, status, error_message, attributes, duration_ms }] = spans;
      assert.deepEqual([name, status, attributes["so far"]], ["step", "ERROR", 1]);
      assert.equal(error_message, "the process ended before the span did");
      assert.equal(attributes["fallom.incomplete"], "exit");
      assert.ok(duration_ms >= 19, `${duration_ms} ms`);
    });
  }

  for (const when of ["before", "after"]) {
    test(`a span that the user ends in an exit listener, added ${when} init, is complete`, async () => {
      const listener = "process.on('exit', () => open.end());";
      const body = `
let open;
${when === "before" ? listener : ""}
fallom.init(options);
open = fallom.session({ configKey: "app", sessionId }).span("whole run");
${when === "after" ? listener : ""}`;
      const end = await runToItsEnd({ server, body });
      assert.deepEqual([end.ended, end.open], [1, 0], end.stderr);
    });
  }
});

test("two installed copies of the package: the event loop turns, and the spans of both arrive", async () => {
  const server = await startFallom();
  const body = `
const { cpSync, mkdtempSync, readdirSync, rmSync } = await import("node:fs");
const { createRequire } = await import("node:module");
const { tmpdir } = await import("node:os");
const { dirname, join } = await import("node:path");
const require = createRequire(import.meta.url);
const root = dirname(require.resolve("@fallom/trace/package.json"));
const other = mkdtempSync(join(tmpdir(), "fallom-copy-"));
const parts = ["package.json", "dist", ...readdirSync(root).filter((name) => name.endsWith(".node"))];
for (const part of parts) cpSync(join(root, part), join(other, part), { recursive: true });
const copy = require(other);
copy.init(options);
const open = [];
process.on("exit", () => {
  for (const span of open) span.end();
  rmSync(other, { recursive: true });
});
for (const each of [fallom, copy]) open.push(each.session({ configKey: "app", sessionId }).span("whole run"));
await sleep(20);
say("turned");`;
  const end = await runToItsEnd({ server, body });
  await server.close();
  assert.match(end.said, /turned/, end.stderr);
  assert.deepEqual([end.code, end.ended, end.open], [0, 2, 0], end.stderr);
});

/** How long each took, printed at the end. */
function makeTable(title) {
  const rows = Object.fromEntries(Object.keys(WAYS).map((name) => [name, {}]));
  return {
    add(row, column, ms) {
      rows[row][column] = ms;
    },
    print() {
      measured.log(title);
      measured.table(rows, [...METHODS, "untraced"]);
    },
  };
}
