// A span in a form that a test can write down whole: what differs from run to run is checked here and replaced by a word.

import assert from "node:assert/strict";

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/;

/**
 * The span with its JSON texts read, ids and times replaced, and the waterfall taken out.
 * @param {object} span
 * @param {Record<string, string>} [ids] names for ids that the test wants to see, by id
 */
export function exact(span, ids = {}) {
  const { attributes, ...rest } = span;
  const { start_time, end_time, duration_ms } = span;
  assert.match(start_time, TIME);
  assert.match(end_time, TIME);
  assert.equal(Date.parse(end_time) - Date.parse(start_time), duration_ms);
  assert.match(span.trace_id, /^[\da-f]{32}$/);
  assert.match(span.span_id, /^[\da-f]{16}$/);
  return {
    ...rest,
    ...named(rest, ids, ["trace_id", "span_id", "parent_span_id"]),
    start_time: "TIME",
    end_time: "TIME",
    duration_ms: "MS",
    ...(span.time_to_first_token_ms !== undefined && { time_to_first_token_ms: "MS" }),
    attributes: exactAttributes(attributes),
  };
}

function named(span, ids, names) {
  return Object.fromEntries(
    names.filter((name) => name in span).map((name) => [name, ids[span[name]] ?? "ID"]),
  );
}

function exactAttributes(attributes) {
  const read = Object.entries(attributes).map(([name, value]) => {
    if (name === "fallom.raw.timings") return [name, "TIMINGS"];
    if (name.startsWith("fallom.raw.")) return [name, normal(JSON.parse(value))];
    if (name === "fallom.run_id") {
      assert.match(value, UUID);
      return [name, "RUN"];
    }
    return [name, value];
  });
  return Object.fromEntries(read);
}

/** Times within a content. */
function normal(value) {
  if (Array.isArray(value)) return value.map(normal);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [
      key,
      key === "timestamp" && TIME.test(member) ? "TIME" : normal(member),
    ]),
  );
}
