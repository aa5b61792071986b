const TRACE_BYTES = 16;
const SPAN_BYTES = 8;
const ZERO = /^0+$/;
const DIGIT_ZERO = 48;

/** Bytes drawn ahead, for a call to the generator costs more than they do. */
const pool = Buffer.allocUnsafeSlow(4096);
let drawn = pool.length;
/** Some of them as digits: ids are pieces of that text, and hold it. */
const DIGITS_OF = 1024;
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
  if (drawn === pool.length) {
    // Loaded with the first span: it takes 2 ms, which a mere `require` of this package should not.
    randomFill ??= (require("node:crypto") as typeof import("node:crypto")).randomFillSync;
    randomFill(pool);
    drawn = 0;
  }
  digits = pool.toString("hex", drawn, drawn + DIGITS_OF);
  drawn += DIGITS_OF;
  used = 0;
}

function normal(value: unknown, bytes: number): string | undefined {
  if (typeof value !== "string") return undefined;
  const id = value.replaceAll("-", "").toLowerCase();
  return id.length === bytes * 2 && /^[0-9a-f]+$/.test(id) && !ZERO.test(id) ? id : undefined;
}
