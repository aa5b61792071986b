import { snapshot } from "./snapshot";
import { className, isError, messageOf } from "./thrown";

/** The longest error message that is sent, in bytes of UTF-8. */
const MAX_BYTES = 4096;
/** How far `cause` is followed in search of an HTTP status. */
const MAX_CAUSES = 5;

/**
 * What is said of an error in `error_message`. With content capture, its message; without, its class name and, for
 * a provider's error, the HTTP status: never text, because providers put the prompt into it. Never throws.
 */
export function describeError(error: unknown, capture: boolean): string {
  try {
    if (!capture) return withoutContent(error);
    const message = messageOf(error);
    // Something thrown that has no message: then what it holds says more than its class.
    return clip(message === className(error) ? (describeThing(error) ?? message) : message);
  } catch {
    return "Error";
  }
}

function describeThing(error: unknown): string | undefined {
  return typeof error === "object" && error !== null && !isError(error) ? snapshot(error) : undefined;
}

function withoutContent(error: unknown): string {
  let status: number | undefined;
  try {
    status = httpStatus(error);
  } catch {
    // A hostile getter: the class name still stands.
  }
  return status === undefined ? className(error) : `${className(error)} (HTTP ${status})`;
}

function httpStatus(error: unknown): number | undefined {
  let at = error;
  for (let i = 0; i < MAX_CAUSES && typeof at === "object" && at !== null; i++) {
    const { statusCode, status } = at as { statusCode?: unknown; status?: unknown };
    for (const code of [statusCode, status]) {
      if (typeof code === "number" && Number.isInteger(code) && code >= 100 && code <= 599) return code;
    }
    // `lastError`: what a retry of the AI SDK gave up on.
    const { cause, lastError } = at as { cause?: unknown; lastError?: unknown };
    at = cause ?? lastError;
  }
  return undefined;
}

/** Cuts at a character, so that no half of one is sent. */
function clip(text: string): string {
  const whole = text.length > MAX_BYTES ? text.slice(0, MAX_BYTES) : text;
  const sound = whole.toWellFormed();
  if (Buffer.byteLength(sound) <= MAX_BYTES) return sound;
  const bytes = Buffer.allocUnsafe(MAX_BYTES);
  return bytes.toString("utf8", 0, bytes.write(sound, "utf8"));
}
