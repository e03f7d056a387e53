import { readFileSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { Ajv2020, type SchemaObject, type ValidateFunction } from "ajv/dist/2020.js";
import { parse } from "yaml";
import { cached } from "../parts/cache.ts";
import { command, say } from "../parts/command.ts";
import { PartMissing } from "../parts/part.ts";
import { chartFolder } from "./helm.ts";
import type { KubernetesObject } from "./objects.ts";

/** Those that the chart is for. */
export const kubernetesVersions = ["1.29", "1.30", "1.31", "1.32", "1.33", "1.34"] as const;
export type KubernetesVersion = (typeof kubernetesVersions)[number];

/** This wheel holds, for each version of Kubernetes, what its API server says of all kinds. */
const wheel = {
  name: "kubernetes-validate",
  version: "1.37.0",
  sha256: "85136d018a27b50ec7fc049d902bfa5193f5976807e6c0f408e3ab6fe078cad9",
};
/** The first with HTTPRoute in v1: what is valid for it is valid for those that came later. */
const gatewayApi = "v1.0.0";
/** Of PodMonitor and PrometheusRule. */
const prometheusOperator = "v0.85.0";

/** Of the chart itself. */
const queueScalerFile = join(chartFolder, "crds/queuescalers.yaml");

export interface Schemas {
  /** A folder with a file for each of `kubernetesVersions`. */
  readonly kubernetes: string;
  /** The files of the custom resources. */
  readonly others: readonly string[];
}

/** Fetches all on the first call ever. Rejects with PartMissing. */
export async function obtainSchemas(): Promise<Schemas> {
  const [kubernetes, ...others] = await Promise.all([
    cached(`kubernetes-schemas-${wheel.version}-1`, unpackWheel),
    ...definitions.map(({ file, module }) =>
      cached(`${basename(file, ".yaml")}-${module.split("@")[1]}.yaml`, async (path) =>
        copyDefinition(module, file, path),
      ),
    ),
  ]);
  return { kubernetes, others };
}

async function unpackWheel(path: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "millrace-schemas-"));
  try {
    say(`fetching the schemas of Kubernetes from ${wheel.name} ${wheel.version} (once)`);
    const wanted = join(folder, "wanted.txt");
    await writeFile(wanted, `${wheel.name}==${wheel.version} --hash=sha256:${wheel.sha256}\n`);
    await command("python3", ["-m", "venv", join(folder, "python")]);
    const python = join(folder, "python/bin/python");
    const download = "-m pip download --quiet --no-deps --only-binary :all: --require-hashes --requirement";
    await command(python, [...download.split(" "), wanted, "--dest", join(folder, "wheel")]);
    const unzip = `
import glob, sys, zipfile
with zipfile.ZipFile(glob.glob("wheel/*.whl")[0]) as wheel:
    for version in sys.argv[1:]:
        with open(version + ".json", "wb") as file:
            file.write(wheel.read("kubernetes_validate/kubernetes-json-schema/v%s.0-local-strict/_definitions.json" % version))
`;
    await command(python, ["-c", unzip, ...kubernetesVersions], { folder });
    await mkdir(path);
    for (const version of kubernetesVersions) {
      await copyFile(join(folder, `${version}.json`), join(path, `${version}.json`));
    }
  } catch (error) {
    throw new PartMissing(
      `the schemas of Kubernetes cannot be fetched; python3 with its venv and pip would help: ${String(error)}`,
      { cause: error },
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Modules of Go, and the definition of a kind in each. */
const definitions = [
  {
    module: `sigs.k8s.io/gateway-api@${gatewayApi}`,
    file: "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml",
  },
  ...["podmonitors", "prometheusrules"].map((kind) => ({
    module: `github.com/prometheus-operator/prometheus-operator@${prometheusOperator}`,
    file: `example/prometheus-operator-crd/monitoring.coreos.com_${kind}.yaml`,
  })),
];

async function copyDefinition(module: string, file: string, path: string): Promise<void> {
  try {
    const { Dir } = JSON.parse(
      await command("go", ["mod", "download", "-json", module], { folder: tmpdir() }),
    );
    await copyFile(join(Dir, file), path);
  } catch (error) {
    throw new PartMissing(`the schema ${file} cannot be fetched; go would help: ${String(error)}`, {
      cause: error,
    });
  }
}

/** What an API server of one version would say of objects, as far as its published schema goes. */
export class KubernetesSchema {
  readonly #ajv: Ajv2020;
  /** By `apiVersion kind`. */
  readonly #references = new Map<string, string>();

  constructor(schemas: Schemas, version: KubernetesVersion) {
    this.#ajv = newAjv();
    const text = readFileSync(join(schemas.kubernetes, `${version}.json`), "utf8");
    const all = JSON.parse(text) as { readonly $defs: Readonly<Record<string, SchemaObject>> };
    this.#ajv.addSchema(all, "kubernetes");
    for (const [name, definition] of Object.entries(all.$defs)) {
      const kinds = (definition["x-kubernetes-group-version-kind"] ?? []) as readonly GroupVersionKind[];
      for (const one of kinds) this.#references.set(keyOf(one), `kubernetes#/$defs/${name}`);
    }
    for (const file of [...schemas.others, queueScalerFile]) {
      const { spec } = parse(readFileSync(file, "utf8")) as CustomResource;
      for (const { name, schema } of spec.versions) {
        const key = keyOf({ group: spec.group, version: name, kind: spec.names.kind });
        this.#ajv.addSchema(closed(schema.openAPIV3Schema), key);
        this.#references.set(key, key);
      }
    }
  }

  /** Undefined for a kind that it does not know. */
  faultsOf(object: KubernetesObject): readonly string[] | undefined {
    const reference = this.#references.get(`${object.apiVersion} ${object.kind}`);
    const validate: ValidateFunction | undefined =
      reference === undefined ? undefined : this.#ajv.getSchema(reference);
    if (validate === undefined) return undefined;
    if (validate(object)) return [];
    return (validate.errors ?? []).map(
      ({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`,
    );
  }
}

interface GroupVersionKind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}
interface CustomResource {
  readonly spec: {
    readonly group: string;
    readonly names: { readonly kind: string };
    readonly versions: readonly {
      readonly name: string;
      readonly schema: { readonly openAPIV3Schema: SchemaObject };
    }[];
  };
}

function keyOf({ group, version, kind }: GroupVersionKind): string {
  return `${group === "" ? version : `${group}/${version}`} ${kind}`;
}

/** Patterns are Go's, where `(?i)` makes the rest of it blind to case; here it stands at the front alone, or behind `^`. */
function goRegExp(pattern: string, flags: string): RegExp {
  const plain = pattern.replace(/^(\^?)\(\?i\)/, "$1");
  return new RegExp(plain, plain === pattern ? flags : `${flags}i`);
}

function newAjv(): Ajv2020 {
  // The schemas say much that is not JSON Schema, and some of it wants no check.
  const ajv = new Ajv2020({
    strict: false,
    allErrors: true,
    validateSchema: false,
    validateFormats: true,
    code: { regExp: Object.assign(goRegExp, { code: "goRegExp" }) },
  });
  const within = (bits: number) => (value: number) =>
    Number.isInteger(value) && Math.abs(value) <= 2 ** (bits - 1);
  ajv.addFormat("int32", { type: "number", validate: within(32) });
  ajv.addFormat("int64", { type: "number", validate: within(64) });
  ajv.addFormat("double", { type: "number", validate: Number.isFinite });
  ajv.addFormat("byte", /^(?:[A-Za-z\d+/]{4})*(?:[A-Za-z\d+/]{2}==|[A-Za-z\d+/]{3}=)?$/);
  ajv.addFormat("date-time", (text: string) => !Number.isNaN(Date.parse(text)));
  // Server-side apply refuses a list that names one item twice.
  ajv.addKeyword({
    keyword: "x-kubernetes-list-map-keys",
    type: "array",
    error: { message: "names an item twice" },
    validate: (keys: readonly string[], items: readonly Readonly<Record<string, unknown>>[]) =>
      isDistinct(items.map((item) => keys.map((key) => item[key] ?? listKeyDefaults[key]))),
  });
  ajv.addKeyword({
    keyword: "x-kubernetes-list-type",
    type: "array",
    error: { message: "has an item twice" },
    validate: (type: string, items: readonly unknown[]) => type !== "set" || isDistinct(items),
  });
  return ajv;
}
/** Of keys that an item may leave out. */
const listKeyDefaults: Readonly<Record<string, string>> = { protocol: "TCP" };

function isDistinct(items: readonly unknown[]): boolean {
  return new Set(items.map((item) => JSON.stringify(item))).size === items.length;
}

/** As an API server reads it that refuses unknown fields: what is not said is not allowed. */
function closed(schema: SchemaObject): SchemaObject {
  const { properties, items, additionalProperties } = schema as {
    readonly properties?: Readonly<Record<string, SchemaObject>>;
    readonly items?: SchemaObject;
    readonly additionalProperties?: SchemaObject | boolean;
  };
  const open = schema["x-kubernetes-preserve-unknown-fields"] === true;
  const isMetadata = schema["type"] === "object" && properties === undefined;
  return {
    ...schema,
    ...(properties === undefined ? {} : { properties: mapValues(properties, closed) }),
    ...(items === undefined ? {} : { items: closed(items) }),
    ...(typeof additionalProperties === "object"
      ? { additionalProperties: closed(additionalProperties) }
      : {}),
    ...(additionalProperties === undefined && !open && !isMetadata && properties !== undefined
      ? { additionalProperties: false }
      : {}),
  };
}

function mapValues<T>(values: Readonly<Record<string, T>>, change: (value: T) => T): Record<string, T> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, change(value)]));
}
