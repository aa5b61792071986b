// Assignments and templates against their definitions, written down again in plain JavaScript: a million sessions, and
// thousands of templates. The vectors of `vectors.test.mjs` say what the definitions are.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, test } from "node:test";
import fallom, { models, prompts } from "@fallom/trace";
import { optionsFor } from "./support/child.mjs";
import { startFallom } from "./support/fallom.mjs";
import { measured } from "./support/measured.mjs";
import { draws, seeded } from "./support/random.mjs";

const SESSIONS = 1_000_000;
const SETS = 500;
/** In percent. */
const SHARES = [50, 25, 12.5, 7.5, 5];
/** In points. */
const MOST_OFF = 0.2;

const TEMPLATES = 4000;

const NAMES = ["name", "a", "_1", "Z9", "toString", "__proto__x"];
const VALUES = ["", "Ada", "$& $1 $$", "{{name}}", "{{", "日本語 🚀", 0, null, true, 1e21];
const PARTS = [
  ...["{", "}", "{{", "}}", "{{{", "}}}", " ", "\n", "\t", "\u00a0", "\ufeff", "\u2028", "\u0085", "\u200b"],
  ...["name", "a", "_1", "Z9", "toString", "é", "имя", "🚀", "-", ".", "$&", "\\"],
  ...["{{name}}", "{{ a }}", "{{\u3000_1\r\n}}", "{{na me}}", "{{name}", "{{{a}}}", "{{é}}"],
];

const { whole, pick, chance } = draws(seeded(20_251));
const sets = Array.from({ length: SETS }, weightSet);
const templates = Array.from({ length: TEMPLATES }, template);

let server;

before(async () => {
  server = await startFallom();
  const most = Math.max(...sets.map((set) => Object.keys(set).length));
  const variants = Array.from({ length: most }, (_, i) => ({ key: `v${i}`, version: 1, system_prompt: "" }));
  await server.setCatalog({
    prompts: [
      ...variants,
      ...templates.map((text, i) => ({ key: `t${i}`, version: 1, system_prompt: text, user_template: text })),
    ],
    prompt_ab_tests: sets.map((set, i) => ({
      key: `set-${i}`,
      version: 1,
      variants: named(set, "prompt_key"),
    })),
    configs: [
      {
        key: "shares",
        version: 1,
        variants: named(
          SHARES.map((weight) => ({ weight })),
          "model",
        ),
      },
    ],
  });
  await fallom.init(optionsFor(server));
  assert.ok(await prompts.preload());
  assert.ok(await models.preload());
});
after(() => server.close());

test("a million sessions get the variant of the definition, of random weights", async () => {
  for (let i = 0; i < SESSIONS; i++) {
    const id = sessionId(i);
    const { variantIndex } = await prompts.getAB(`set-${i % SETS}`, id);
    const expected = walk(sets[i % SETS], bucketOf(id));
    if (variantIndex !== expected) assert.equal(variantIndex, expected, why(sets[i % SETS], id));
  }
});

test("of a million sessions each model gets the share of its weight", () => {
  const counts = SHARES.map(() => 0);
  const shares = SHARES.map((weight) => ({ weight }));
  for (let i = 0; i < SESSIONS; i++) {
    const id = `session-${i}`;
    const expected = walk(shares, bucketOf(id));
    if (models.getSync("shares", id) !== `v${expected}`) assert.fail(why(shares, id));
    counts[expected]++;
  }
  for (const [i, weight] of SHARES.entries()) {
    const share = (counts[i] / SESSIONS) * 100;
    measured.log(`weight ${weight}: ${share.toFixed(3)} % of ${SESSIONS} sessions`);
    assert.ok(Math.abs(share - weight) <= MOST_OFF, `${share} instead of ${weight}`);
  }
});

test("4,000 random templates, Unicode and stray braces among them, are filled in as the definition says", () => {
  for (const [i, text] of templates.entries()) {
    const variables = Object.fromEntries(
      NAMES.filter(() => chance(0.6)).map((name) => [name, pick([...VALUES, ...PARTS])]),
    );
    const expected = render(text, variables);
    const { system, user, variables: names } = prompts.getSync(`t${i}`, { variables });
    assert.deepEqual([system, user], [expected, expected], JSON.stringify([text, variables]));
    assert.deepEqual(names, namesOf(text), text);
  }
});

test("a fallback's variables are filled in like a prompt's", () => {
  for (const text of templates.slice(0, 500)) {
    const variables = { name: "Ada", a: "{{name}}", _1: "$&" };
    const { system, user } = prompts.getSync("nowhere", {
      variables,
      fallback: { system: text, user: text },
    });
    const expected = render(text, variables);
    assert.deepEqual([system, user], [expected, expected], text);
  }
});

// The definitions (`wire.md`, "Assignment" and "Templates").

function bucketOf(id) {
  return createHash("md5").update(Buffer.from(id, "utf8")).digest().readUInt32BE(0) % 1_000_000;
}

function walk(set, bucket) {
  const weights = Object.values(set).map(({ weight }) => Number(weight));
  let cumulative = 0;
  for (const [i, weight] of weights.entries()) {
    cumulative += weight * 10_000;
    if (bucket < cumulative) return i;
  }
  return weights.length - 1;
}

function render(text, variables) {
  return text.replace(/\{\{\s*([A-Za-z0-9_]+)\s*\}\}/g, (placeholder, name) =>
    Object.hasOwn(variables, name) ? String(variables[name]) : placeholder,
  );
}

function namesOf(text) {
  return [...new Set([...text.matchAll(/\{\{\s*([A-Za-z0-9_]+)\s*\}\}/g)].map(([, name]) => name))];
}

// What is random.

function sessionId(i) {
  const alphabets = ["0123456789abcdef", "abcXYZ-_/ ", "äß日本語🚀é", "\ud83d\ude80x"];
  // A lone surrogate now and then: alphabets are cut by code unit.
  const alphabet = pick(alphabets);
  let id = chance(0.5) ? `session-${i}-` : "";
  for (let rest = whole(0, 12); rest > 0; rest--) id += alphabet[whole(0, alphabet.length - 1)];
  return id;
}

/** A list, or an object with integer-like keys among its own; weights whole, fractional, odd, or texts. */
function weightSet() {
  const variants = Array.from({ length: whole(1, 8) }, () => {
    const weight = pick([whole(0, 100), whole(0, 10_000) / 100, whole(0, 100_000) / 997, 1.005]);
    return { weight: chance(0.2) ? String(weight) : weight };
  });
  if (chance(0.7)) return variants;
  const keys = variants.map((_, i) => pick([`${whole(0, 50)}`, `key-${i}`, `0${i}`]));
  return Object.fromEntries(variants.map((variant, i) => [keys[i], variant]));
}

/** Each variant named after its place in the walk, which for an object is JavaScript's order of keys. */
function named(set, field) {
  const entries = Object.entries(set).map(([key, variant], i) => [key, { ...variant, [field]: `v${i}` }]);
  return Array.isArray(set) ? entries.map(([, variant]) => variant) : Object.fromEntries(entries);
}

function template() {
  return Array.from({ length: whole(0, 30) }, () => pick(PARTS)).join("");
}

function why(set, id) {
  return JSON.stringify({ set, id });
}
