import { flush, shutdown } from "./flush";
import { init, stats } from "./init";
import { FallomSpan } from "./manual-span";
import { models } from "./models";
import { prompts } from "./prompts";
import { FallomSession, session } from "./session";
import { wrapTraced } from "./traced";

/** Tracing. */
export const trace = { init, flush, shutdown, session, FallomSession, FallomSpan, wrapTraced };

/** The default export: `import fallom from "@fallom/trace"`. */
export const fallom = { init, session, trace, models, prompts, flush, shutdown, stats };
