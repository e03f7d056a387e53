import { goProgram } from "./go.ts";

/** The path of FerretDB as a program that needs no library; compiled on the first call ever. */
export async function obtainFerretDb(): Promise<string> {
  return goProgram({
    name: "ferretdb",
    from: { module: "github.com/FerretDB/FerretDB/v2/cmd/ferretdb@v2.7.0" },
  });
}
