// The normal form of what users hand over: every odd value, and random ones.
import assert from "node:assert/strict";
import { test } from "node:test";
import vm from "node:vm";
import { shim } from "../scripts/shim.mjs";
import { error, hostile, ROWS } from "./support/odd-values.mjs";

const { MAX_DEPTH, MAX_NODES, snapshot } = shim("snapshot.ts");

/** What the JSON text says. */
function normal(value) {
  const text = snapshot(value);
  return text === undefined ? undefined : JSON.parse(text);
}

for (const [name, value, expected] of ROWS) {
  test(name, () => {
    assert.deepEqual(normal(value), expected);
    // Deep inside something that is plain otherwise.
    const wrapped = normal({ list: [{ before: 1, value, after: "z" }] });
    assert.deepEqual(wrapped, {
      list: [{ before: 1, ...(expected !== undefined && { value: expected }), after: "z" }],
    });
  });
}

test("what JSON leaves out is undefined", () => {
  assert.equal(snapshot(undefined), undefined);
  assert.equal(
    snapshot(() => {}),
    undefined,
  );
  assert.equal(snapshot(Symbol("s")), undefined);
});

test("an error is its name, message, stack and cause, and none of the fields that providers put on it", () => {
  const { stack, ...rest } = normal(error);
  assert.deepEqual(rest, { name: "TypeError", message: "bad input" });
  assert.match(stack, /bad input/);
  assert.equal(normal(new Error("outer", { cause: new Error("inner") })).cause.message, "inner");
  assert.equal(normal({ failed: [error] }).failed[0].message, "bad input");
  assert.equal(normal(new DOMException("gone", "AbortError")).name, "AbortError");
  assert.equal(normal(vm.runInNewContext("new RangeError('far')")).message, "far");
  assert.equal(normal(Object.assign(new Error("m"), { toJSON: () => "secret" })).message, "m");
});

test("a cycle is said, and a repeated value is no cycle", () => {
  const parent = { name: "parent", children: [] };
  parent.children.push({ parent }, { parent });
  assert.deepEqual(normal(parent), {
    name: "parent",
    children: [{ parent: "[circular]" }, { parent: "[circular]" }],
  });
  const shared = { a: 1n };
  assert.deepEqual(normal([shared, shared]), [{ a: "1" }, { a: "1" }]);
  const map = new Map();
  map.set("self", map);
  assert.deepEqual(normal(map), { self: "[circular]" });
  const failure = new Error("round");
  failure.cause = failure;
  assert.equal(normal(failure).cause, "[circular]");
});

test("what lies too deep is said, and no level before it is lost", () => {
  const nest = (levels, leaf) => (levels === 0 ? leaf : { in: nest(levels - 1, leaf) });
  const depthOf = (value) => (typeof value === "object" ? 1 + depthOf(value.in) : 0);
  const leafOf = (value) => (typeof value === "object" ? leafOf(value.in) : value);
  for (const leaf of ["leaf", 1n]) {
    assert.equal(leafOf(normal(nest(MAX_DEPTH, leaf))), String(leaf));
    const cut = normal(nest(MAX_DEPTH + 5, leaf));
    assert.equal(leafOf(cut), "[deep]");
    assert.equal(depthOf(cut), MAX_DEPTH);
  }
  assert.equal(leafOf(normal(nest(5000, 1))), "[deep]");
});

test("hostile values cost themselves, and nothing beside them", () => {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  const traps = ["ownKeys", "getPrototypeOf", "get", "getOwnPropertyDescriptor", "has"];
  for (const trap of traps) {
    const refusing = new Proxy({ a: 1 }, { [trap]: () => assert.fail("trapped") });
    const text = JSON.stringify(normal({ before: 1n, refusing, after: 2 }));
    assert.match(text, /"before":"1".*"after":2/, trap);
  }
  assert.match(normal({ a: 1, proxy }).proxy, /^\[threw: /);
  assert.match(normal(proxy), /^\[threw: /);
  assert.equal(
    normal({
      get a() {
        throw null;
      },
    }).a,
    "[threw: null]",
  );
  assert.match(
    normal({
      get a() {
        throw hostile();
      },
    }).a,
    /^\[threw: /,
  );
  assert.match(
    normal({
      get a() {
        throw proxy;
      },
    }).a,
    /^\[threw: /,
  );
});

test("a value without end does not hang", { timeout: 20_000 }, () => {
  const endless = () =>
    new Proxy(
      {},
      {
        ownKeys: () => ["a", "b", "c"],
        getOwnPropertyDescriptor: () => ({ value: 1, enumerable: true, configurable: true }),
        get: (_target, key) => (typeof key === "string" && key.length === 1 ? endless() : undefined),
      },
    );
  assert.ok(snapshot(endless()).includes('"[…]"'));
  const ancestors = () => new Proxy({}, { getPrototypeOf: ancestors });
  assert.deepEqual(normal(ancestors()), {});
  const sparse = [1];
  sparse[4_000_000_000] = 2;
  assert.ok(snapshot(sparse).endsWith(',"[…]"]'));
  assert.equal(normal(new Array(MAX_NODES + 10).fill(0)).at(-1), "[…]");
});

test("no value is changed", () => {
  const inner = Object.freeze({ n: 1n });
  const value = Object.freeze({
    date: new Date(5),
    map: new Map([["k", inner]]),
    list: Object.freeze([inner]),
  });
  snapshot(value);
  assert.deepEqual(value, { date: new Date(5), map: new Map([["k", inner]]), list: [inner] });
});

test("a prototype is neither read nor written through `__proto__`", () => {
  const text = '{"__proto__":{"polluted":"1"},"constructor":{"a":1}}';
  assert.equal(snapshot(JSON.parse(text)), text);
  assert.equal(snapshot(new Map([["__proto__", 1n]])), '{"__proto__":"1"}');
  assert.equal({}.polluted, undefined);
});

test("half a character stays JSON", () => {
  assert.equal(snapshot({ a: "\ud83d", "\udc00": 1n }), '{"a":"\\ud83d","\\udc00":"1"}');
});

test("a getter that takes a snapshot itself does not disturb the one around it", () => {
  const value = {
    first: 1n,
    get second() {
      return snapshot({ a: 2n, b: [3n] });
    },
    third: { n: 4n },
  };
  assert.deepEqual(normal(value), { first: "1", second: '{"a":"2","b":["3"]}', third: { n: "4" } });
});

/** A small generator of numbers (mulberry32), so that a failure can be run again. */
function randomFrom(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const PLAIN = [
  (r) => r() * 1e6 - 5e5,
  (r) => Math.floor(r() * 100),
  () => -0,
  () => "",
  () => null,
  () => undefined,
  () => true,
  (r) => String.fromCharCode(...Array.from({ length: 6 }, () => Math.floor(r() * 0x10000))),
  () => Number.NaN,
  () => new Date(86_400_000),
  () => () => {},
  () => Symbol("s"),
  (r) => ({ toString: r() }),
];
const ODD = [
  () => 7n,
  () => new Map([["a", 1]]),
  () => new Set([1]),
  () => Buffer.alloc(3),
  () => new Error("e"),
  hostile,
  () => new Proxy([], {}),
  () => Object.create({ inherited: 1 }),
  () => /x/,
  () => Object(5n),
  () => new Date(Number.NaN),
  () => new Proxy({}, { ownKeys: () => assert.fail("no keys") }),
  () => ({ toJSON: () => assert.fail("no JSON") }),
];

function randomValue(random, leaves, depth = 0) {
  const roll = random();
  const size = Math.floor(random() * 5);
  if (depth > 6 || roll < 0.4) return leaves[Math.floor(random() * leaves.length)](random);
  if (roll < 0.6) return Array.from({ length: size }, () => randomValue(random, leaves, depth + 1));
  const keys = Array.from(
    { length: size },
    () => ["a", "b", "0", "__proto__x", "ключ", ""][Math.floor(random() * 6)],
  );
  return Object.fromEntries(keys.map((key) => [key, randomValue(random, leaves, depth + 1)]));
}

test("plain data reads as JSON.stringify writes it", () => {
  for (let seed = 1; seed <= 2000; seed++) {
    const value = randomValue(randomFrom(seed), PLAIN);
    assert.equal(snapshot(value), JSON.stringify(value), `seed ${seed}`);
    // The careful walk, which the big integer beside it asks for, says the same.
    const beside = snapshot([1n, value]);
    assert.equal(beside, `["1",${JSON.stringify([value]).slice(1)}`, `seed ${seed}`);
  }
});

test("whatever it is, the text is JSON, and nothing is thrown", () => {
  for (let seed = 1; seed <= 2000; seed++) {
    const text = snapshot(randomValue(randomFrom(seed), [...PLAIN, ...ODD]));
    if (text !== undefined) assert.doesNotThrow(() => JSON.parse(text), `seed ${seed}`);
  }
});
