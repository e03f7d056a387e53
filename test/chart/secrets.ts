import { settingNames, settings, variableOf } from "../../src/settings.ts";
import { containersOf, type KubernetesObject, secretsOf, workloadsOf } from "./objects.ts";

/** Secrets in sight: in what everyone who may read a workload reads. */
export function shownSecrets(objects: readonly KubernetesObject[]): string[] {
  const held = Array.from(secretsOf(objects), ([name, all]) =>
    Object.entries(all)
      .filter(([, text]) => text.length >= 6)
      .map(([key, text]) => ({ what: `${name}/${key}`, text })),
  ).flat();
  const withPassword = /\b\w+:\/\/[^\s/@:"']*:(?!\$\()[^\s/@"']+@/;
  const secretVariables = new Set(settingNames.filter((name) => settings[name].secret).map(variableOf));
  return objects
    .filter(({ kind }) => kind !== "Secret")
    .flatMap((object) => {
      const text = JSON.stringify(object);
      const title = `${object.kind} ${object.metadata.name}`;
      return [
        ...held.filter((one) => text.includes(one.text)).map((one) => `${title} shows ${one.what}`),
        ...(withPassword.test(text) ? [`${title} shows a URL with a password`] : []),
      ];
    })
    .concat(
      workloadsOf(objects).flatMap(({ title, pod }) =>
        containersOf(pod).flatMap(({ env = [] }) =>
          env
            .filter(({ value }) => value !== undefined && value !== "")
            .filter(({ name, value = "" }) => {
              const secret =
                secretVariables.has(name) || /(PASSWORD|PASSWD|SECRET|TOKEN|COOKIE|_PASS)$/.test(name);
              // Made of variables that come from Secrets, or where there is nothing to hide.
              return secret && !/\$\(\w+\)/.test(value) && value !== "embedded:";
            })
            .map(({ name }) => `${title}: the value of ${name} is there to be read`),
        ),
      ),
    );
}
