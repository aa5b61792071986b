import { native } from "./native";
import type { FlushOptions, FlushResult } from "./types";

const DEFAULT_FLUSH_MS = 5000;

/**
 * Waits until the spans that are there now are delivered or given up. Never rejects.
 * For serverless functions, at the end of each invocation.
 */
export function flush(options?: FlushOptions): Promise<FlushResult> {
  return settle((timeoutMs) => native().flush(timeoutMs), options);
}

/** Flushes, then stops tracing: the application runs on untraced. Never rejects. */
export function shutdown(options?: FlushOptions): Promise<FlushResult> {
  return settle((timeoutMs) => native().shutdown(timeoutMs), options);
}

/**
 * As `flush`, for what we do by ourselves: it holds no event loop open that has nothing else to do. Never rejects; in a
 * process that ends before, it stays pending, and what is left is delivered at the exit.
 */
export function flushInBackground(): Promise<void> {
  return new Promise((resolve) => {
    try {
      native().flushInBackground(DEFAULT_FLUSH_MS, resolve);
    } catch {
      resolve();
    }
  });
}

async function settle(
  call: (timeoutMs: number) => Promise<string>,
  options: FlushOptions | undefined,
): Promise<FlushResult> {
  const wanted: unknown = options?.timeoutMs;
  const valid = typeof wanted === "number" && wanted >= 0;
  if (!valid && wanted !== undefined) native().warn("flush: timeoutMs is no number of ms; 5000 is used");
  try {
    return JSON.parse(await call(valid ? Math.min(wanted, 2 ** 31 - 1) : DEFAULT_FLUSH_MS)) as FlushResult;
  } catch (error) {
    native().warn(`flush failed: ${error instanceof Error ? error.message : "unknown error"}`);
    return { delivered: 0, spooled: 0, dropped: 0, pending: 0, timedOut: true };
  }
}
