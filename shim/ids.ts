const TRACE_BYTES = 16;
const SPAN_BYTES = 8;
const ZERO = /^0+$/;
const DIGIT_ZERO = 48;

/** Random digits drawn ahead: one call to the generator feeds some tens of ids, which are pieces of one text and hold it. */
const pool = Buffer.allocUnsafeSlow(1024);
let digits = "";
let used = 0;
let randomFill: typeof import("node:crypto").randomFillSync | undefined;

/** A trace id: 32 lowercase hex digits, never all zero. */
export function newTraceId(): string {
  return hex(TRACE_BYTES);
}

/** A span id: 16 lowercase hex digits, never all zero. */
export function newSpanId(): string {
  return hex(SPAN_BYTES);
}

/** A trace id as the user gave it (a UUID counts), or `undefined` where it cannot be one. */
export function asTraceId(value: unknown): string | undefined {
  return normal(value, TRACE_BYTES);
}

/** A span id as the user gave it, or `undefined` where it cannot be one. */
export function asSpanId(value: unknown): string | undefined {
  return normal(value, SPAN_BYTES);
}

function hex(bytes: number): string {
  for (;;) {
    if (used + bytes * 2 > digits.length) refill();
    const id = digits.slice(used, used + bytes * 2);
    used += bytes * 2;
    if (id.charCodeAt(0) !== DIGIT_ZERO || !ZERO.test(id)) return id;
  }
}

function refill(): void {
  // Loaded with the first span: it takes 2 ms, which a mere `require` of this package should not.
  randomFill ??= (require("node:crypto") as typeof import("node:crypto")).randomFillSync;
  digits = randomFill(pool).toString("hex");
  used = 0;
}

function normal(value: unknown, bytes: number): string | undefined {
  if (typeof value !== "string") return undefined;
  const id = value.replaceAll("-", "").toLowerCase();
  return id.length === bytes * 2 && /^[0-9a-f]+$/.test(id) && !ZERO.test(id) ? id : undefined;
}
