import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { parseArgs, promisify } from "node:util";
import { reasons } from "../operator/decide.ts";
import { API_VERSION, KIND, queueScalerSpec } from "../operator/queue-scaler.ts";
import { conditionMeanings, conditionTypes, queueScalerStatus } from "../operator/queue-scaler-status.ts";
import { attacksPage } from "./attacks-page.ts";
import { dashboardsPage } from "./dashboards-page.ts";
import { doctorPage } from "./doctor-page.ts";
import { metricsPage } from "./metrics-page.ts";
import { page, table } from "./page.ts";
import { flagOf, settingNames, settings, variableOf } from "../src/settings.ts";
import { type ErrorCode, errorTable, MillraceError } from "../src/errors.ts";
import { problemOf } from "../src/http/problem.ts";

// Writes the pages that say what the code says already; with --check it compares instead, and names those that are stale.

function settingsPage(): string {
  const rows = settingNames.map((name) => {
    const { allowed, secret, sentence } = settings[name];
    const variable = `\`${variableOf(name)}\``;
    const fallback = String(settings[name].default);
    return [
      secret ? `${variable} (secret)` : variable,
      secret ? `none; \`${variableOf(name)}_FILE\`` : `\`${flagOf(name)}\``,
      fallback === "" ? "none" : `\`${fallback}\``,
      allowed,
      sentence,
    ];
  });
  return page(
    "# Settings",
    "A flag goes before a variable, and a variable before the default. An empty variable counts as unset. " +
      "`millrace config` prints the values in effect.",
    "A secret has no flag, since arguments can be read by every user of the machine. It may also be in a file, which the " +
      "variable with `_FILE` names and which goes before the variable itself. A secret that is set is printed as `***`.",
    "An invalid value, and a `MILLRACE_` variable that is not known, stops the start. The message names every one of " +
      "them and what is allowed.",
    table(["Variable", "Flag", "Default", "Allowed", "What it is"], rows),
  );
}

type Status = (typeof errorTable)[ErrorCode]["status"];
/** What a client should do, which is the same for all errors of a status. */
const advice: Readonly<Record<Status, string>> = {
  400: "Mend what `detail` and `errors` name. In an answer of `POST /events`, `results` names each rejected event.",
  401: "Send `Authorization: Bearer <key>`.",
  403: "Use a key that does: [keys](keys.md) says what each allows. A page in a browser reaches the routes of its own host alone.",
  404: "Check the address.",
  405: "Use a method of the `Allow` header.",
  408: "Send it again, with the same ids, over a new connection.",
  413: "Send fewer events in one request, or a smaller event. `detail` tells the limit.",
  415: "Use a type or encoding that `detail` names.",
  417: "Leave out the `Expect` header, or send `100-continue`.",
  421: "Ask for `localhost` or an address, or name the host in `MILLRACE_ALLOWED_HOSTS`.",
  429: "Send it again, no sooner than `Retry-After` says.",
  500: "Send it again later with the same ids. If it stays, it is a defect: the log of the process has the cause.",
  503: "Send it again with the same ids, no sooner than `Retry-After` says: events may have been taken.",
};
const noAnswer =
  "No answer over HTTP has this code: it is the reason of a dead letter, or the message of a command that stops.";

function errorsPage(): string {
  const rows = (Object.keys(errorTable) as ErrorCode[]).map((code) => {
    const { status, retry, title } = errorTable[code];
    const anchor = new URL(problemOf(new MillraceError(code)).type).hash.slice(1);
    const internal = status === 500 && code !== "INTERNAL";
    return [
      `<a id="${anchor}"></a>\`${code}\``,
      internal ? "" : String(status),
      retry,
      title,
      internal ? noAnswer : advice[status],
    ];
  });
  return page(
    "# Errors",
    "An error of the collector or the query API is answered as problem details (RFC 9457, `application/problem+json`) with `type`, `title`, `status`, " +
      "`code` and, where there is more to say, `detail` and `errors`. Rely on `code`; `detail` is for people. `type` ends " +
      "in the anchor of the row below.",
    "**Again** tells whether the same request may succeed later. An event with an `id`, or a request with an " +
      "`Idempotency-Key`, is counted once however often it is sent within the deduplication window. An event without " +
      "either is counted again when it is sent again after an answer that left open whether it was taken.",
    table(["Code", "Status", "Again", "Title", "What a client should do"], rows),
  );
}

/** What of a schema the reference shows. */
interface FieldSchema {
  readonly description?: string;
  readonly type?: string;
  readonly default?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly enum?: readonly string[];
  readonly properties?: Readonly<Record<string, FieldSchema>>;
  readonly required?: readonly string[];
  readonly items?: FieldSchema;
}

/** The schema as JSON has it, without what only its types need. */
const plain = (schema: object): FieldSchema => JSON.parse(JSON.stringify(schema));

function fieldRows(schema: FieldSchema, path: string): readonly (readonly string[])[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    const at = path === "" ? name : `${path}.${name}`;
    const below = field.properties === undefined ? (field.items ?? {}) : field;
    const isList = field.items !== undefined;
    const required = schema.required?.includes(name) === true && field.default === undefined;
    const fallback =
      field.default === undefined || field.properties !== undefined
        ? ""
        : `\`${JSON.stringify(field.default)}\``;
    return [
      [
        `\`${at}${isList ? "[]" : ""}\``,
        allowedOf(field),
        required ? "**required**" : fallback,
        field.description ?? "",
      ],
      ...fieldRows(below, isList ? `${at}[]` : at),
    ];
  });
}

function allowedOf({ type, enum: choices, minimum, maximum }: FieldSchema): string {
  if (choices !== undefined) return choices.map((one) => `\`${one}\``).join(", ");
  const bounds = [
    minimum === undefined ? "" : `from ${minimum}`,
    maximum === undefined ? "" : `to ${maximum}`,
  ];
  return [type ?? "", ...bounds].filter((part) => part !== "").join(" ");
}

function queueScalerPage(): string {
  const conditions = conditionTypes.map((type) => [`\`${type}\``, conditionMeanings[type]]);
  const rows = Object.entries(reasons).map(([reason, meaning]) => [`\`${reason}\``, meaning]);
  const head = ["Field", "Allowed", "Default", "What it is"];
  return page(
    "# QueueScaler",
    `\`${API_VERSION}\`, kind \`${KIND}\`, short name \`qs\`. It scales any workload that has a scale subresource by a queue of RabbitMQ. ` +
      "[kubernetes.md](kubernetes.md) has an example, [scaling-decisions.md](scaling-decisions.md) how it decides.",
    "## Spec",
    table(head, fieldRows(plain(queueScalerSpec), "")),
    "## Status",
    table(head, fieldRows(plain(queueScalerStatus), "")),
    "### Conditions",
    table(["Type", "True means"], conditions),
    "### Reasons",
    "`status.reason` says in one word why so many replicas are wanted, `status.message` in a sentence with the figures. Beside those of decisions " +
      "there is `ManualScale`, while a number that somebody else has set stays, and the reason of `Ready` where nothing could be decided, such as `SpecInvalid` of a spec that a definition older than the operator, or one that was edited, has let through.",
    table(["Reason", "It means"], rows),
  );
}

const execute = promisify(execFile);
const millrace = resolve(import.meta.dirname, "../bin/millrace.js");

async function commandsPage(): Promise<string> {
  const helps = await helpOf([]);
  const sections = helps.map(
    ({ command, text }) => `## ${["millrace", ...command].join(" ")}\n\n\`\`\`text\n${text}\n\`\`\``,
  );
  return page(
    "# Commands",
    "What `--help` prints. A command that says `Settings: see settings.md` takes every flag of [settings.md](settings.md).",
    ...sections,
  );
}

interface Help {
  readonly command: readonly string[];
  readonly text: string;
}

/** The help of a command and of all below it. */
async function helpOf(command: readonly string[]): Promise<readonly Help[]> {
  const { stdout } = await execute(process.execPath, [millrace, ...command, "--help"]);
  const paragraphs = stdout.trimEnd().split("\n\n");
  const text = paragraphs
    .map((one) => (one.startsWith("Settings:") ? "Settings: see settings.md" : one))
    .join("\n\n");
  const list = paragraphs.find((one) => one.startsWith("Commands:")) ?? "";
  const names = Array.from(list.matchAll(/^ {2}([a-z-]+)/gm), ([, name = ""]) => name);
  const below = names.filter((name) => name !== "help").map((name) => helpOf([...command, name]));
  return [{ command, text }, ...(await Promise.all(below)).flat()];
}

const pages = {
  "settings.md": settingsPage(),
  "errors.md": errorsPage(),
  "metrics.md": await metricsPage(),
  "commands.md": await commandsPage(),
  "queue-scaler.md": queueScalerPage(),
  "dashboards.md": dashboardsPage(),
  "attacks.md": attacksPage(),
  "doctor.md": doctorPage(),
};
const { values: flags } = parseArgs({ options: { check: { type: "boolean", default: false } } });
for (const [name, text] of Object.entries(pages)) {
  const path = resolve(import.meta.dirname, name);
  if (!flags.check) {
    await writeFile(path, text);
  } else if ((await readFile(path, "utf8").catch(() => "")) !== text) {
    process.stderr.write(`docs/${name} is stale: run \`npm run docs\`\n`);
    process.exitCode = 1;
  }
}
