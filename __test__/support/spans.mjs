// Reading spans as they were received.

import assert from "node:assert/strict";

/** The value of one of the JSON texts (`fallom.raw.request`, …) of a span; `undefined` if it is not there. */
export function raw(span, name) {
  const text = span.attributes[`fallom.raw.${name}`];
  return text === undefined ? undefined : JSON.parse(text);
}

/** The one span of this name. */
export function named(spans, name) {
  const found = spans.filter((span) => span.name === name);
  assert.equal(found.length, 1, `one ${name} among ${spans.map((span) => span.name)}`);
  return found[0];
}

/** The name of the span that this one belongs to, in the same trace; `undefined` for a root. */
export function parentOf(spans, span) {
  if (span.parent_span_id === undefined) return undefined;
  const parent = spans.find((other) => other.span_id === span.parent_span_id);
  assert.equal(parent?.trace_id, span.trace_id, `the parent of ${span.name} is in its trace`);
  return parent.name;
}

/** Child and parent of each span, by their names, sorted. */
export function shape(spans) {
  return spans.map((span) => `${span.name} < ${parentOf(spans, span) ?? "-"}`).sort();
}

/** The ledger's promise, which holds at all times. */
export function assertBalanced(stats) {
  const { started, open, queued, inFlight, spooled, delivered, dropped } = stats;
  assert.equal(
    started,
    open + queued + inFlight + spooled + delivered + dropped.total,
    JSON.stringify(stats),
  );
  const { total, ...reasons } = dropped;
  assert.equal(
    total,
    Object.values(reasons).reduce((sum, count) => sum + count, 0),
    JSON.stringify(dropped),
  );
}
