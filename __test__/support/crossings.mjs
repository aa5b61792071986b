// Counts the calls that cross from JavaScript to the addon, by name. Import this before the first
// use of `@fallom/trace`, which loads it.

import assert from "node:assert/strict";
import Module from "node:module";

const ADDON = /[\\/]fallom-trace\.[\w-]+\.node$/;

const counts = new Map();
let loaded = 0;

// An addon is loaded by `require`, whatever asks for it: there each of its functions is replaced by one that counts.
const loadAddon = Module._extensions[".node"];
Module._extensions[".node"] = function load(module, filename) {
  loadAddon.call(this, module, filename);
  if (!ADDON.test(filename)) return;
  loaded += 1;
  module.exports = Object.fromEntries(
    Object.entries(module.exports).map(([name, exported]) => [name, counting(name, exported)]),
  );
};

function counting(name, exported) {
  // Of a class, the methods would cross, and be missed.
  assert.equal(typeof exported, "function", `what the addon exports: ${name}`);
  assert.deepEqual(Object.getOwnPropertyNames(exported.prototype ?? {}).slice(1), [], `${name} is a class`);
  return (...args) => {
    counts.set(name, (counts.get(name) ?? 0) + 1);
    return exported(...args);
  };
}

/**
 * The calls that crossed while `action` ran, and until what it gives had settled.
 * @param {() => unknown} action
 * @returns {Promise<Record<string, number>>}
 */
export async function crossings(action) {
  const before = new Map(counts);
  await action();
  assert.equal(loaded, 1, "this counts only if it was imported before the addon was loaded");
  const since = [...counts].map(([name, count]) => [name, count - (before.get(name) ?? 0)]);
  return Object.fromEntries(since.filter(([, count]) => count > 0).sort());
}
