import { standInImages } from "./images/stand-ins.ts";

/** Those of broker, store and Prometheus, built where they are missing; and so is the one that Millrace's own image is built on. */
export async function serverImages(): Promise<readonly string[]> {
  return (await standInImages()).filter((name) => !name.startsWith("node:"));
}
