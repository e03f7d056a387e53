import { type SettingName, settings } from "../src/settings.ts";
import type { Declaration } from "./template/values.ts";

/** Settings that the chart decides, those of one role alone, and those of the embedded broker and store, which are not used in a cluster. */
type Decided =
  | "host"
  | "allowedHosts"
  | "collectorPort"
  | "queryPort"
  | "adminPort"
  | "dataDir"
  | "backlogMaxBytes"
  | "logFormat"
  | "brokerUrl"
  | "brokerManagementUrl"
  | "storeUrl"
  | "writeKeyHashes"
  | "keysFile"
  | "operatorNamespaces"
  | "operatorLeaseNamespace"
  | "operatorLeaseName"
  | "maxWaitSeconds"
  | "console"
  | "consoleSources"
  | "collectorUrl";
export type SettingValueName = Exclude<SettingName, Decided>;
type SettingValue<N extends SettingName> = (typeof settings)[N]["default"];

const decided: Readonly<Record<Decided, true>> = {
  host: true,
  allowedHosts: true,
  collectorPort: true,
  queryPort: true,
  adminPort: true,
  dataDir: true,
  backlogMaxBytes: true,
  logFormat: true,
  brokerUrl: true,
  brokerManagementUrl: true,
  storeUrl: true,
  writeKeyHashes: true,
  keysFile: true,
  operatorNamespaces: true,
  operatorLeaseNamespace: true,
  operatorLeaseName: true,
  maxWaitSeconds: true,
  console: true,
  consoleSources: true,
  collectorUrl: true,
};
export const settingValueNames = (Object.keys(settings) as SettingName[]).filter(
  (name): name is SettingValueName => !(name in decided),
);

/** All others of config.ts, by the same name, with the same default and sentence. */
export const settingValues = Object.fromEntries(
  settingValueNames.map((name) => {
    const { default: fallback, schema, sentence } = settings[name];
    const kind = { integer: "number", string: "text", array: "structure" }[schema["type"] as string];
    return [name, { kind, default: fallback, sentence, schema }];
  }),
) as unknown as { readonly [N in SettingValueName]: Declaration<SettingValue<N>> };
