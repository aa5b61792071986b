// Values that users hand over and JSON does not know, with their normal form.

import assert from "node:assert/strict";
import { Blob as NodeBlob } from "node:buffer";
import vm from "node:vm";

/** An object with a getter that throws. */
export function hostile(message = "no") {
  return {
    get broken() {
      throw new Error(message);
    },
  };
}

const bytes = new Uint8Array(12);
export const error = Object.assign(new TypeError("bad input"), { requestBody: "the whole prompt" });

/** Name, value, its normal form. */
export const ROWS = [
  ["a date is ISO text", new Date(0), "1970-01-01T00:00:00.000Z"],
  ["an invalid date is null", new Date(Number.NaN), null],
  ["a date of another realm is ISO text", vm.runInNewContext("new Date(0)"), "1970-01-01T00:00:00.000Z"],
  ["a big integer is decimal text", 12345678901234567890n, "12345678901234567890"],
  [
    "a map with text keys is an object",
    new Map([
      ["a", 1],
      ["b", new Map()],
    ]),
    { a: 1, b: {} },
  ],
  [
    "any other map is its entries",
    new Map([
      [1, "a"],
      ["b", 2],
    ]),
    [
      [1, "a"],
      ["b", 2],
    ],
  ],
  ["a set is an array", new Set([1, "a", new Set([2n])]), [1, "a", ["2"]]],
  ["a map of another realm is a map", vm.runInNewContext("new Map([['a', 1]])"), { a: 1 }],
  ["a buffer is its size", Buffer.from("hello"), "[binary, 5 bytes, Buffer]"],
  ["a typed array is its size", new Float64Array(2), "[binary, 16 bytes, Float64Array]"],
  ["bytes are their size", bytes, "[binary, 12 bytes, Uint8Array]"],
  ["an array buffer is its size", bytes.buffer, "[binary, 12 bytes, ArrayBuffer]"],
  ["a shared array buffer is its size", new SharedArrayBuffer(3), "[binary, 3 bytes, SharedArrayBuffer]"],
  ["a data view is its size", new DataView(bytes.buffer, 4), "[binary, 8 bytes, DataView]"],
  ["a blob is its size", new NodeBlob(["abc"]), "[binary, 3 bytes, Blob]"],
  ["a function is left out", { a: 1, f() {} }, { a: 1 }],
  ["a function in an array is null", [() => {}, Symbol("s"), undefined], [null, null, null]],
  ["a symbol is left out", { a: 1, s: Symbol("s"), [Symbol("key")]: 1 }, { a: 1 }],
  [
    "a throwing getter is said",
    { a: 1, ...Object.create(null), b: hostile() },
    { a: 1, b: { broken: "[threw: no]" } },
  ],
  ["a throwing toJSON is said", { a: { toJSON: () => assert.fail("no") } }, { a: "[threw: no]" }],
  [
    "an instance is its own fields",
    new (class {
      a = 1;
      #b = 2;
      get c() {
        return this.#b;
      }
    })(),
    { a: 1 },
  ],
  ["a toJSON decides", { a: { toJSON: (key) => ({ key, n: 1n }) } }, { a: { key: "a", n: "1" } }],
  ["a toJSON is asked once", { toJSON: () => ({ toJSON: () => "twice", a: 1n }) }, { a: "1" }],
  [
    "a toJSON may return itself",
    {
      a: 1,
      toJSON() {
        return this;
      },
    },
    { a: 1 },
  ],
  ["no number is null", [Number.NaN, Infinity, -Infinity, -0], [null, null, null, 0]],
  [
    "boxed values are what they hold",
    [Object("a"), Object(1), Object(true), Object(1n)],
    ["a", 1, true, "1"],
  ],
  ["an object without prototype is an object", Object.assign(Object.create(null), { a: 1n }), { a: "1" }],
  ["holes are null", Object.assign(new Array(3), { 0: 1, 2: 1n }), [1, null, "1"]],
  ["a promise is empty", [Promise.resolve(1), new WeakMap(), 1n], [{}, {}, "1"]],
  ["a pattern is its text", /a+b/gi, "/a+b/gi"],
  ["a URL is its text", new URL("https://example.com/a?b=c"), "https://example.com/a?b=c"],
  ["a proxy is what it shows", new Proxy({ a: 1n }, {}), { a: "1" }],
  [
    "a getter is read",
    {
      get a() {
        return 1n;
      },
    },
    { a: "1" },
  ],
  ["a text stays", 'a "quoted" \u2028 text', 'a "quoted" \u2028 text'],
  ["null stays", null, null],
];
