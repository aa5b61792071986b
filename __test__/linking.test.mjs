// Which prompt a call used. It runs real agents (support/mastra.mjs).

import { testLinking } from "./support/linking.mjs";

testLinking({ captureContent: true });
