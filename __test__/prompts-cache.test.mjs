// `cache`: prompts, tests and configs on disk, for a start without Fallom. Each start is a process of its own.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, beforeEach, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { catalogOf } from "./support/catalog.mjs";
import { child, optionsFor, resultOf, warningsOf } from "./support/child.mjs";
import { startFallom } from "./support/fallom.mjs";
import { runProgram, startProgram } from "./support/program.mjs";

/** No get waits so long, if the cache serves. */
const GET_MS = 5000;

const seventh = JSON.stringify({ key: "c", version: 7, variants: [{ model: "seventh", weight: 100 }] });
/** Serves a version that no list holds. */
const SEVENTH = { path: "/configs/c/version/7", body: seventh };

const folders = mkdtempSync(join(tmpdir(), "fallom-cache-"));
after(() => rmSync(folders, { recursive: true, force: true }));

let server;
let port;
let dir;

beforeEach(async () => {
  server = await startFallom({ port });
  port = Number(new URL(server.url).port);
  dir = mkdtempSync(join(folders, "dir-"));
  await server.setCatalog(catalogOf(1, "first"));
  await server.setFaults([SEVENTH]);
});
afterEach(() => server.close());

const optionsWith = (more) => optionsFor(server, { getTimeoutMs: GET_MS, cache: { dir }, ...more });
const start = (body, { env, ...more } = {}) => runProgram(child(body, { options: optionsWith(more), env }));
const filesIn = (folder) => readdirSync(folder).sort();

/** Asks for everything there is. What it read is on disk only a moment later: so long it stays. */
async function askForAll({ init, prompts, models, options, args }) {
  const begun = performance.now();
  init(options);
  const said = (asked) =>
    asked.then(
      (value) => value.system ?? value,
      (error) => `${error}`,
    );
  const answers = await Promise.all([
    said(prompts.get("p")),
    said(prompts.getAB("t", "s")),
    said(models.get("c", "s")),
    said(models.get("c", "s", { version: 7 })),
  ]);
  const ms = performance.now() - begun;
  const { readdirSync } = await import("node:fs");
  const files = () => {
    try {
      return readdirSync(args.dir).filter((name) => name.endsWith(".cache")).length;
    } catch {
      return 0;
    }
  };
  while (args.dir && files() < 4) await new Promise((done) => setTimeout(done, 5));
  return { answers, ms };
}

/** A first process, with the server up. */
async function fill(more) {
  const options = optionsWith(more);
  const ended = await runProgram(child(askForAll, { options, args: { dir: options.cache.dir } }));
  assert.deepEqual(resultOf(ended).answers, FIRST);
  assert.equal(ended.stderr, "");
}

const FIRST = ["first", "first", "first", "seventh"];

describe("with a cache, a start", () => {
  for (const [what, bring] of [
    ["without a server", () => server.close()],
    ["with a server that refuses", () => server.setFaults([{ status: 503 }])],
    ["with a server that refuses the key", () => server.setFaults([{ status: 401 }])],
    ["with a server that answers garbage", () => server.setFaults([{ body: "<html>" }])],
    ["with a server that hangs", () => server.setFaults([{ hang: true }])],
  ]) {
    test(`${what} serves what was known last, at once`, async () => {
      await fill();
      await bring();
      const ended = await start(askForAll);
      const { answers, ms } = resultOf(ended);
      assert.deepEqual(answers, FIRST);
      assert.ok(ms < GET_MS / 2, `${ms} ms`);
      for (const line of warningsOf(ended))
        assert.match(line, /could not be read: .*What it said \d+ s ago is served until it can\.$/);
    });
  }

  test("serves what was known last while the refresh runs behind, and then what is new", async () => {
    await fill();
    await server.setCatalog(catalogOf(2, "second"));
    await server.setFaults([SEVENTH, { delay_ms: 300 }]);
    const ended = await start(async ({ init, prompts, models, options }) => {
      init(options);
      const texts = [(await prompts.get("p")).system, await models.get("c", "s")];
      while ((await prompts.get("p")).system !== "second") await new Promise((done) => setTimeout(done, 5));
      while ((await models.get("c", "s")) !== "second") await new Promise((done) => setTimeout(done, 5));
      return texts;
    });
    assert.deepEqual(resultOf(ended), ["first", "first"]);
  });

  test("asks whether anything is new, and reads nothing again that is not", async () => {
    await fill();
    const before = (await server.requests()).length;
    resultOf(await start(askForAll));
    while ((await server.requests()).slice(before).filter(({ status }) => status).length < 3) await sleep(5);
    const again = (await server.requests()).slice(before);
    for (const path of ["/prompts", "/prompt-ab-tests", "/configs"])
      assert.deepEqual(
        again.filter((request) => request.path === path).map(({ status }) => status),
        [304],
      );
  });

  test("has no prompt that was deleted since, once the list was read", async () => {
    await fill();
    await server.setCatalog({ ...catalogOf(1, "first"), prompts: [] });
    const untilGone = async ({ init, prompts, options }) => {
      init(options);
      for (;;) {
        const text = await prompts.get("p").then(
          ({ system }) => system,
          (error) => `${error}`,
        );
        if (text !== "first") return text;
        await new Promise((done) => setTimeout(done, 5));
      }
    };
    assert.match(resultOf(await start(untilGone)), /^Error: Prompt 'p' not found\. Check the key/);
  });
});

describe("the files", () => {
  const posix = process.platform !== "win32";
  test("are for their user only, and hold no key", async () => {
    dir = join(dir, "made", "deep");
    await fill({ apiKey: "sk-very-secret" });
    const files = filesIn(dir);
    assert.equal(files.length, 4);
    if (posix) assert.equal(statSync(dir).mode & 0o777, 0o700);
    for (const name of files) {
      if (posix) assert.equal(statSync(join(dir, name)).mode & 0o777, 0o600, name);
      assert.ok(!name.includes("secret") && !readFileSync(join(dir, name)).includes("secret"), name);
    }
  });

  test("of one key or URL are not another's", async () => {
    await fill();
    const { url } = server;
    await server.close();
    for (const other of [{ apiKey: "another" }, { promptsUrl: `${url}/v2`, configsUrl: `${url}/v2` }]) {
      const { answers } = resultOf(await start(askForAll, other));
      for (const answer of answers) assert.match(answer, /not found/);
    }
    assert.deepEqual(resultOf(await start(askForAll)).answers, FIRST);
  });

  const DAMAGES = {
    "cut in half": (bytes) => bytes.subarray(0, bytes.length / 2),
    emptied: () => Buffer.alloc(0),
    "with one byte changed": (bytes) => {
      bytes[bytes.length - 5] ^= 1;
      return bytes;
    },
    "somebody else's": () => Buffer.from("PK\x03\x04 no file of ours\n{}"),
  };
  for (const [how, damage] of Object.entries(DAMAGES)) {
    test(`${how}, harm nothing, are said once each, and are made good`, async () => {
      await fill();
      for (const name of filesIn(dir)) writeFileSync(join(dir, name), damage(readFileSync(join(dir, name))));
      const damaged = filesIn(dir).map((name) => readFileSync(join(dir, name)).toString("latin1"));
      const ended = await start(askForAll);
      assert.deepEqual(resultOf(ended).answers, FIRST);
      const said = warningsOf(ended);
      assert.equal(said.length, 1, ended.stderr);
      assert.match(said[0], /^\[fallom\] The cache in .* cannot be used .*damaged/);
      await fillAgain(damaged);
      await server.close();
      assert.deepEqual(resultOf(await start(askForAll)).answers, FIRST);
    });
  }

  /** Runs until each file has changed. */
  async function fillAgain(damaged) {
    const program = startProgram(child(stay, { options: optionsWith() }));
    const whole = () =>
      filesIn(dir)
        .filter((name) => name.endsWith(".cache"))
        .every((name) => !damaged.includes(readFileSync(join(dir, name)).toString("latin1")));
    while (!whole()) await sleep(5);
    program.child.kill("SIGKILL");
    await program.ended;
  }

  async function stay({ init, models, options }) {
    init(options);
    await models.get("c", "s", { version: 7 });
    setInterval(() => {}, 1000);
  }

  test("that cannot be written harm nothing, and are said once", async () => {
    for (const [i, blocked] of [join(dir, "file"), join(dir, "file", "below")].entries()) {
      if (i === 0) writeFileSync(blocked, "no folder");
      const ended = await start(askForAll, { cache: { dir: blocked } });
      assert.deepEqual(resultOf(ended).answers, FIRST);
      const said = warningsOf(ended);
      assert.equal(said.length, 1, ended.stderr);
      assert.match(said[0], /The cache in .*file.* cannot be (used|written)/);
    }
  });

  test("that a killed process left behind half written are not taken for whole ones", async () => {
    await fill();
    for (const name of filesIn(dir)) writeFileSync(join(dir, `${name}.4711.new`), "half");
    await server.close();
    assert.deepEqual(resultOf(await start(askForAll)).answers, FIRST);
  });

  test("are shared by processes that start together", async () => {
    const together = await Promise.all(
      Array.from({ length: 4 }, () =>
        runProgram(child(askForAll, { options: optionsWith(), args: { dir } })),
      ),
    );
    for (const ended of together) {
      assert.deepEqual(resultOf(ended).answers, FIRST);
      assert.equal(ended.stderr, "");
    }
    await server.close();
    assert.deepEqual(resultOf(await start(askForAll)).answers, FIRST);
  });
});

describe("where", () => {
  const startAt = async (options, env, folder) => {
    const ended = await runProgram(
      child(askForAll, { options: { ...optionsFor(server), ...options }, args: { dir: folder }, env }),
    );
    assert.deepEqual(resultOf(ended).answers, FIRST);
    return ended;
  };

  // The folder that a user has for it, and the variable that moves it, are Linux's.
  if (process.platform === "linux")
    test("cache: true keeps them in the user's cache folder", async () => {
      await startAt({ cache: true }, { XDG_CACHE_HOME: dir }, join(dir, "fallom", "catalog"));
    });

  test("FALLOM_CACHE_DIR names a folder and turns it on, unless the option says no", async () => {
    await startAt({}, { FALLOM_CACHE_DIR: dir }, dir);
    const other = join(dir, "other");
    await startAt({ cache: { dir: other } }, { FALLOM_CACHE_DIR: join(dir, "variable") }, other);
    mkdirSync(join(dir, "off"));
    await startAt({ cache: false }, { FALLOM_CACHE_DIR: join(dir, "off") }, undefined);
    assert.deepEqual([filesIn(join(dir, "off")), filesIn(dir).includes("variable")], [[], false]);
  });

  test("without it, nothing is written", async () => {
    await startAt({}, { XDG_CACHE_HOME: dir, HOME: dir }, undefined);
    assert.deepEqual(filesIn(dir), []);
  });
});
