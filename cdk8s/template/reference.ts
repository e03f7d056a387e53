import { stringify } from "yaml";
import { Group, type Members, type Schema } from "./values.ts";

/** values.yaml: each value under the sentence that says what it is. */
export function valuesYaml(members: Members, depth = 0): string {
  const pad = "  ".repeat(depth);
  const blocks = Object.entries(members).map(([name, member]) => {
    const comment = wrapped(member.sentence, 118 - pad.length).map((line) => `${pad}# ${line}`);
    if (member instanceof Group) {
      return [...comment, `${pad}${name}:`, valuesYaml(member.members, depth + 1)].join("\n");
    }
    const written = stringify({ [name]: member.default }, { lineWidth: 0 }).trimEnd();
    return [...comment, ...written.split("\n").map((line) => `${pad}${line}`)].join("\n");
  });
  return blocks.join(depth === 0 ? "\n\n" : "\n");
}

function wrapped(sentence: string, width: number): readonly string[] {
  const rows: string[] = [];
  for (const word of sentence.split(" ")) {
    const last = rows.at(-1);
    if (last === undefined || last.length + 1 + word.length > width) rows.push(word);
    else rows[rows.length - 1] = `${last} ${word}`;
  }
  return rows;
}

/** values.schema.json: closed, so that a misspelt value stops the install. */
export function valuesSchema(members: Members): Schema {
  return {
    $schema: "http://json-schema.org/draft-07/schema#",
    title: "Values of the chart",
    ...groupSchema(new Group("", members, {})),
  };
}

function groupSchema({ members, schema, sentence }: Group<Members>): Schema {
  const properties = Object.entries(members).map(([name, member]) => [
    name,
    member instanceof Group
      ? groupSchema(member)
      : { description: member.sentence, default: member.default, ...member.schema },
  ]);
  return {
    ...(sentence === "" ? {} : { description: sentence }),
    type: "object",
    additionalProperties: false,
    // Helm takes away what is null, default and all.
    required: Object.keys(members),
    properties: Object.fromEntries(properties),
    ...schema,
  };
}

/** Rows of a table: the value, its default, its sentence. */
export function valuesTable(members: Members, path = ""): readonly string[] {
  return Object.entries(members).flatMap(([name, member]) => {
    const at = `${path}${name}`;
    if (member instanceof Group) return valuesTable(member.members, `${at}.`);
    return [`| \`${at}\` | \`${JSON.stringify(member.default)}\` | ${member.sentence} |`];
  });
}
