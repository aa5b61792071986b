// What `init` may be told, by options and by the environment. Each test is a process of its own, since a tracer starts
// once per process.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { child, optionsFor, resultOf, traceOne, warningsOf } from "./support/child.mjs";
import { startFallom } from "./support/fallom.mjs";
import { runProgram } from "./support/program.mjs";

let server;

before(async () => {
  server = await startFallom();
});
after(() => server.close());

const run = (body, program) => runProgram(child(body, program));
const spansOf = (sessionId) => server.spans({ sessionId });

describe("a misused option", { concurrency: 4 }, () => {
  const MISUSED = [
    ["apiKey", { apiKey: 7 }],
    ["tracesUrl", { tracesUrl: "fallom.com" }],
    ["configsUrl", { configsUrl: "ftp://fallom.com" }],
    ["promptsUrl", { promptsUrl: {} }],
    ["captureContent", { captureContent: "yes" }],
    ["debug", { debug: 1 }],
    ["enabled", { enabled: "false" }],
    ["maxSpanBytes", { maxSpanBytes: 100 }],
    ["maxSpanBytes", { maxSpanBytes: "1 MiB" }],
    ["maxQueueBytes", { maxQueueBytes: -1 }],
    ["maxOpenMs", { maxOpenMs: -1 }],
    ["batch", { batch: 512 }],
    ["batch.maxSpans", { batch: { maxSpans: 0 } }],
    ["batch.maxBytes", { batch: { maxBytes: 1.5 } }],
    ["batch.maxDelayMs", { batch: { maxDelayMs: "soon" } }],
    ["batch.size", { batch: { size: 1 } }],
    ["transport.format", { transport: { format: "otlp" } }],
    ["transport.compression", { transport: { compression: "brotli" } }],
    ["transport.timeoutMs", { transport: { timeoutMs: null, maxConcurrent: 0 } }, "transport.maxConcurrent"],
    ["retry.baseMs", { retry: { baseMs: [] } }],
    ["exitTimeoutMs", { exitTimeoutMs: () => 1 }],
    ["refreshMs", { refreshMs: Number.NaN }],
    ["getTimeoutMs", { getTimeoutMs: Number.POSITIVE_INFINITY }],
    ["getTimeoutMs", { getTimeoutMs: 2n }],
    ["cache", { cache: "/a/folder" }],
    ["cache.dir", { cache: { dir: true } }],
    ["cache.path", { cache: { path: "/a/folder" } }],
    ["spool", { spool: 1 }],
    ["spool.maxBytes", { spool: { maxBytes: 1 } }],
    ["spool.path", { spool: { path: "spool" } }],
    ["onDiagnostic", { onDiagnostic: "log" }],
    ["waitUntil", { waitUntil: {} }],
    ["batch.onDiagnostic", { batch: { onDiagnostic: () => {} } }],
    ["apikey", { apikey: "a typo" }],
  ];

  test("is a TypeError at once that names it and not its value, and starts nothing", async () => {
    const ended = await run(refuseAll, { args: { misused: MISUSED.map(([, options]) => spell(options)) } });
    const messages = resultOf(ended);
    for (const [i, [option, , named = option]] of MISUSED.entries())
      assert.ok(messages[i]?.includes(`'${named}'`), `${named}: ${messages[i]}`);
    assert.ok(!messages.join().includes("typo"), "values may be secret");
  });

  test("and what is no object at all is one, too", async () => {
    const messages = resultOf(
      await run(refuseAll, { args: { misused: ["null", '"key"', "[]", "() => {}"] } }),
    );
    for (const message of messages) assert.match(message, /options must be an object/);
  });

  /** As code: JSON has no word for functions, BigInts and NaN. */
  function spell(value) {
    if (typeof value === "bigint") return `${value}n`;
    if (typeof value !== "object" || value === null)
      return typeof value === "string" ? JSON.stringify(value) : `${value}`;
    if (Array.isArray(value)) return `[${value.map(spell)}]`;
    return `({${Object.entries(value).map(([key, member]) => `${key}: ${spell(member)}`)}})`;
  }

  async function refuseAll({ fallom, args }) {
    const { runInThisContext } = await import("node:vm");
    const messages = args.misused.map((code) => {
      try {
        fallom.init(runInThisContext(code));
        return `nothing was thrown for ${code}`;
      } catch (error) {
        return error instanceof TypeError ? error.message : `no TypeError: ${error}`;
      }
    });
    const session = fallom.session({ configKey: "app", sessionId: "s" });
    session.span("untraced").end();
    if (fallom.stats().started > 0) throw new Error("something was started");
    return messages;
  }
});

describe("the environment", { concurrency: 4 }, () => {
  const tracedWith = (sessionId, env, options = {}) => run(traceOne, { env, options, args: { sessionId } });

  test("FALLOM_API_KEY and FALLOM_BASE_URL are all that it takes", async () => {
    const ended = await tracedWith("from env", { FALLOM_API_KEY: "k", FALLOM_BASE_URL: `${server.url}/` });
    assert.equal(ended.stderr, "");
    assert.equal((await spansOf("from env")).length, 1);
  });

  test("a user and password in a URL do not come in the way of the key", async () => {
    const keyed = await startFallom({ key: "k" });
    const url = keyed.url.replace("//", "//user:password@");
    await tracedWith("with a user", { FALLOM_API_KEY: "k", FALLOM_BASE_URL: url });
    const spans = await keyed.spans({ sessionId: "with a user" });
    await keyed.close();
    assert.equal(spans.length, 1);
  });

  test("a service's own variable beats FALLOM_BASE_URL, and an option beats both", async () => {
    const env = { FALLOM_API_KEY: "k", FALLOM_BASE_URL: "http://127.0.0.1:1", FALLOM_TRACES_URL: server.url };
    await tracedWith("own variable", env);
    await tracedWith(
      "option",
      { ...env, FALLOM_TRACES_URL: "http://127.0.0.1:1" },
      { tracesUrl: server.url },
    );
    assert.equal((await spansOf("own variable")).length, 1);
    assert.equal((await spansOf("option")).length, 1);
  });

  for (const value of ["false", "0", "No"])
    test(`FALLOM_CAPTURE_CONTENT=${value} switches content off, even against captureContent: true`, async () => {
      const sessionId = `private ${value}`;
      await tracedWith(
        sessionId,
        { FALLOM_CAPTURE_CONTENT: value },
        optionsFor(server, { captureContent: true }),
      );
      const [{ attributes }] = await spansOf(sessionId);
      assert.deepEqual([attributes.input, attributes.output], [undefined, undefined]);
    });

  test("FALLOM_CAPTURE_CONTENT=true does not switch it on against captureContent: false", async () => {
    const options = optionsFor(server, { captureContent: false });
    await tracedWith("private", { FALLOM_CAPTURE_CONTENT: "true" }, options);
    const [{ attributes }] = await spansOf("private");
    assert.equal(attributes.input, undefined);
  });

  test("a bad value is one warning that names it, and the default is used", async () => {
    const env = {
      FALLOM_CAPTURE_CONTENT: "maybe",
      FALLOM_ENABLED: "2",
      FALLOM_DEBUG: "?",
      FALLOM_PROMPTS_URL: "here",
    };
    const ended = await tracedWith("bad env", env, {
      apiKey: "k",
      tracesUrl: server.url,
      configsUrl: server.url,
    });
    const said = warningsOf(ended).filter((line) => line.includes("ignored"));
    assert.deepEqual(said.map((line) => /FALLOM_\w+/.exec(line)[0]).sort(), Object.keys(env).sort());
    const [{ attributes }] = await spansOf("bad env");
    assert.equal(attributes.output, "3");
  });

  test("FALLOM_DEBUG=1 tells what is done, but no key and no content", async () => {
    const env = { FALLOM_DEBUG: "1" };
    const options = optionsFor(server, { apiKey: "very-secret" });
    const ended = await tracedWith("debug", env, options);
    assert.ok(warningsOf(ended).length > 0);
    assert.ok(!ended.stderr.includes("very-secret"));
  });
});
