import { Compile } from "typebox/schema";
import { stringify } from "yaml";
import { customResourceDefinition } from "../operator/custom-resource.ts";
import { millraceApp } from "./app.ts";
import { defaults, version } from "./chart.ts";
import { credentialsName } from "./names.ts";
import type { Scope } from "./template/expression.ts";
import { evaluateManifests } from "./template/manifest.ts";
import { valuesSchema } from "./template/reference.ts";
import { merged } from "./template/values.ts";
import { declarations } from "./values.ts";
import { credentialKeys } from "./workloads/credentials.ts";

export interface Install {
  readonly release: string;
  /** Where the objects are to be; by default a namespace of the release's name. */
  readonly namespace?: string;
  /** What is set over the defaults. */
  readonly values: unknown;
}

/** The objects of one install, as kubectl takes them. Throws, with a line for each fault, where the values are not as they should be. */
export function plainManifests(install: Install): readonly object[] {
  const { app, tokens } = millraceApp();
  return evaluateManifests(app, tokens, scopeOf(install));
}

function scopeOf({ release, namespace = release, values }: Install): Scope {
  const whole = merged(defaults, values);
  const schema = Compile(valuesSchema(declarations) as object);
  const [, faults] = schema.Errors(whole);
  if (faults.length > 0) {
    throw new Error(
      faults.map(({ instancePath, message }) => `${instancePath || "/"} ${message}`).join("\n"),
    );
  }
  return {
    values: whole,
    release: { name: release, namespace },
    chart: { version, appVersion: version },
  };
}

/** The same as a file, with how it is used on top. */
export function plainYaml(install: Install): string {
  // kubectl reads YAML 1.1, in which a bare "on" is true.
  const documents = plainManifests(install).map((object) =>
    stringify(object, { lineWidth: 0, version: "1.1" }),
  );
  const { release, namespace = release } = install;
  const scope = scopeOf(install);
  const secret = credentialsName.evaluate(scope);
  const keys = credentialKeys.filter(({ made }) => made.evaluate(scope)).map(({ key }) => key);
  const make = `kubectl --namespace ${namespace} create secret generic ${secret}`;
  const passwords = keys.map((key) => `    --from-literal=${key}="$(openssl rand -hex 16)"`);
  const head = [
    `Millrace ${version}, written by \`npm run synth\`. It is installed by:`,
    "",
    "  kubectl apply --server-side --force-conflicts --filename charts/millrace/crds",
    `  kubectl wait --for condition=Established crd/${customResourceDefinition.metadata.name}`,
    `  kubectl create namespace ${namespace}`,
    `  kubectl label namespace ${namespace} pod-security.kubernetes.io/enforce=restricted`,
    ...(keys.length === 0 ? [] : `  ${[make, ...passwords].join(" \\\n")}`.split("\n")),
    `  kubectl --namespace ${namespace} apply --server-side --filename FILE`,
  ];
  const comment = head.map((line) => `# ${line}`.trimEnd()).join("\n");
  return `${comment}\n---\n${documents.join("---\n")}`;
}
