import { createRequire } from "node:module";

export const { getLoadablePath, load } = createRequire(import.meta.url)("./index.cjs");
