// Which prompt a call used, told although no content is sent. It runs real agents (support/mastra.mjs).

import { testLinking } from "./support/linking.mjs";

testLinking({ captureContent: false });
