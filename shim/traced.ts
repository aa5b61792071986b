import { types } from "node:util";
import { describeError } from "./error";
import { setContent, startManual } from "./manual-span";
import type { OpenSpan } from "./span";
import type { SpanOptions } from "./types";
import { capture } from "./values";

/**
 * A function that does what `fn` does and records each call as a span of its own: arguments as `input`, the result
 * as `output`, and a failure as the error it throws on. `this`, arguments, result and errors come through intact;
 * a promise is followed to its end. What runs inside belongs to the span.
 *
 * @param session the session that the spans belong to
 * @param name the name of the spans
 * @param fn an async function; a plain one works, too
 * @param options as for `session.span`
 */
export function wrapTraced<F extends (...args: never[]) => unknown>(
  session: object,
  name: string,
  fn: F,
  options?: SpanOptions,
): F {
  // Whoever wraps no function learns it from the call, as without tracing.
  if (typeof fn !== "function") return fn;
  return new Proxy(fn, {
    apply(target, self: unknown, args: unknown[]): unknown {
      const span = startManual(session, name, options);
      if (!span.recording) return Reflect.apply(target, self, args);
      keep(span, "input", args.length === 1 ? args[0] : args);
      let result: unknown;
      try {
        result = span.apply(target, self, args);
      } catch (error) {
        fail(span, error);
        throw error;
      }
      // Other thenables may start their work when `then` is called, so they are left alone.
      return types.isPromise(result) ? follow(span, result) : succeed(span, result);
    },
  });
}

/** The promise that follows must be ours: to observe theirs would mark its rejection as handled. */
function follow(span: OpenSpan, promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    (value) => succeed(span, value),
    (error: unknown) => {
      fail(span, error);
      throw error;
    },
  );
}

function succeed<T>(span: OpenSpan, value: T): T {
  keep(span, "output", value);
  span.finish();
  return value;
}

function fail(span: OpenSpan, error: unknown): void {
  span.finish({ status: "ERROR", errorMessage: describeError(error, span.capture) });
}

function keep(span: OpenSpan, name: "input" | "output", value: unknown): void {
  if (span.capture) setContent(span, name, capture(value));
}
