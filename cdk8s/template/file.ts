import { parse } from "yaml";
import { Expression } from "./expression.ts";

/** The text of a file that the chart holds beside its templates, taken in as it is, braces and all. */
export class FileText extends Expression<string> {
  /** Within the chart. */
  readonly path: string;
  readonly content: string;
  constructor(path: string, content: string) {
    const whole = `${content.trimEnd()}\n`;
    super("text", { go: `$.Files.Get ${JSON.stringify(path)}`, evaluate: () => whole });
    this.path = path;
    this.content = whole;
  }

  /** What YAML reads in it. */
  get parsed(): Expression<Record<string, unknown>> {
    return new Expression("structure", {
      go: `fromYaml (${this.go})`,
      evaluate: () => parse(this.content) as Record<string, unknown>,
    });
  }
}
