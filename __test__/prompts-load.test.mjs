// 100,000 gets while the catalog changes all the time: every answer is of one moment, and nothing piles up.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { child, optionsFor } from "./support/child.mjs";
import { startFallom } from "./support/fallom.mjs";
import { measured } from "./support/measured.mjs";
import { startProgram } from "./support/program.mjs";

const GETS = 100_000;
const WARM = 20_000;
const MIB = 2 ** 20;
/** What the memory of a process may move by itself; if each list that was read stayed, it would be more. */
const MOST_GROWTH = 12 * MIB;
/** So often the catalog changes at least. */
const VERSIONS = 200;
/** Of each text: what changes is large enough to be seen if it stayed. */
const PADDING = 2000;

/** All of it says its version; between two reads of it all, some prompts come and go. */
function catalogOf(version) {
  const text = `v${version} ${"x".repeat(PADDING)} v${version}`;
  const prompt = (key) => ({ key, version, system_prompt: `{{a}} ${text}`, user_template: `{{a}} ${text}` });
  const comesAndGoes = version % 2 ? [prompt("odd")] : [prompt("even")];
  const others = Array.from({ length: 20 }, (_, i) => prompt(`other-${i}`));
  const variants = { prompt_key: "p", prompt_version: version, weight: 100 };
  return {
    prompts: [...others, ...comesAndGoes, prompt("p")],
    prompt_ab_tests: [{ key: "t", version, variants: [variants] }],
    configs: [{ key: "c", version, variants: [{ model: `v${version}`, weight: 100 }] }],
  };
}

test(`${GETS} gets under a refresh every 10 ms tear nothing, and memory stays flat`, async () => {
  const server = await startFallom({ raw: false });
  await server.setCatalog(catalogOf(1));
  const options = optionsFor(server, { refreshMs: 10 });
  const args = { gets: GETS, warm: WARM, least: VERSIONS };
  const program = startProgram(
    child(readAll, { options, args, nodeArgs: ["--expose-gc"], timeoutMs: 300_000 }),
  );
  let running = true;
  program.ended.then(() => {
    running = false;
  });
  for (let version = 2; running; version++) {
    await server.setCatalog(catalogOf(version));
    await sleep(10);
  }
  const { code, stdout, stderr } = await program.ended;
  assert.equal(code, 0, stderr);
  const { torn, backwards, versions, grown, heap } = JSON.parse(stdout.trimEnd().split("\n").at(-1));
  measured.log({ versions, grownMiB: (grown / MIB).toFixed(1), heapMiB: (heap / MIB).toFixed(1) });
  assert.deepEqual([torn, backwards], [[], 0]);
  assert.ok(versions >= VERSIONS);
  assert.ok(Math.max(grown, heap) < MOST_GROWTH, `${grown} bytes, and ${heap} in JavaScript`);
  await server.close();
});

async function readAll({ init, prompts, options, args }) {
  await init(options);
  await prompts.preload();
  const torn = [];
  const seen = new Set();
  let [latest, backwards] = [0, 0];
  let [memory, heap] = [0, 0];
  const measure = () => {
    globalThis.gc();
    // What V8 keeps ready for garbage to come is not held for anything.
    const { rss, heapTotal, heapUsed } = process.memoryUsage();
    return [rss - heapTotal, heapUsed];
  };
  for (let i = 0; i < args.warm + args.gets || seen.size < args.least; i++) {
    if (i === args.warm) [memory, heap] = measure();
    const { version, system, user } = await prompts.get("p", { variables: { a: "given" } });
    const whole =
      system.startsWith(`given v${version} `) && system.endsWith(` v${version}`) && system === user;
    if (!whole && torn.length < 10) torn.push([version, system.slice(0, 40), user.slice(0, 40)]);
    if (version < latest) backwards++;
    latest = version;
    seen.add(version);
    // What else the program does: without a turn of the event loop, nothing of it would happen.
    if (i % 1000 === 0) await new Promise((done) => setImmediate(done));
  }
  const [memoryThen, heapThen] = measure();
  return { torn, backwards, versions: seen.size, grown: memoryThen - memory, heap: heapThen - heap };
}
