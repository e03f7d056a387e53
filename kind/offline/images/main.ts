/** For people: `npx node kind/offline/images/main.ts` builds the stand-ins, and prints their names. */
import { PartMissing } from "../../../test/parts/part.ts";
import { standInImages } from "./stand-ins.ts";

try {
  console.log((await standInImages()).join("\n"));
} catch (error) {
  console.error(error instanceof PartMissing ? error.message : error);
  process.exitCode = 1;
}
