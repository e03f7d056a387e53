import {
  appVersion,
  chartVersion,
  choose,
  contains,
  either,
  type Expression,
  filled,
  Named,
  releaseName,
  shortened,
  text,
} from "./template/expression.ts";
import { ChartOnly, spread } from "./template/tree.ts";
import { values } from "./values.ts";

export const chartName = new Named("millrace.name", either(values.nameOverride, text`millrace`));
export const longName = new Named(
  "millrace.longName",
  either(
    values.fullnameOverride,
    choose(contains(releaseName, "millrace"), releaseName, text`${releaseName}-${chartName}`),
  ),
);
/** Of the release, before the names of all its objects: short enough for the longest of them, and for what Kubernetes adds. */
export const fullName = new Named("millrace.fullname", shortened(longName, 40));

export const nameOf = (component: string): Expression<string> => text`${fullName}-${component}`;

export const serviceAccountName = new Named(
  "millrace.serviceAccountName",
  choose(
    values.serviceAccount.create,
    either(values.serviceAccount.name, fullName),
    either(values.serviceAccount.name, "default"),
  ),
);
export const operatorAccountName = choose(
  values.operator.serviceAccount.create,
  either(values.operator.serviceAccount.name, nameOf("operator")),
  either(values.operator.serviceAccount.name, "default"),
);
/** Holds the passwords of the bundled servers. */
export const credentialsName = nameOf("credentials");

/** What selects the pods of a component, and never changes. */
export const selectorLabels = (component: string) => ({
  "app.kubernetes.io/name": chartName,
  "app.kubernetes.io/instance": releaseName,
  "app.kubernetes.io/component": component,
});
/** What selects all pods of the release. */
export const releaseLabels = () => ({
  "app.kubernetes.io/name": chartName,
  "app.kubernetes.io/instance": releaseName,
});

/** The metadata of an object of the component. */
export function metadata(
  component: string,
  name: Expression<string> = nameOf(component),
  annotations: object = {},
  ofUser: Expression<Record<string, string>> = values.commonAnnotations,
) {
  return {
    name,
    labels: {
      ...selectorLabels(component),
      "app.kubernetes.io/version": appVersion,
      "app.kubernetes.io/part-of": "millrace",
      "app.kubernetes.io/managed-by": new ChartOnly("Helm"),
      "helm.sh/chart": new ChartOnly(text`millrace-${chartVersion}`),
      "+": spread(values.commonLabels),
    },
    annotations: { ...annotations, "+": spread(ofUser) },
  };
}

/** Where an image is: from a registry if one is named, by its digest if there is one. */
function imageOf(name: string, image: typeof values.image, defaultTag: Expression<string> | string) {
  const registry = either(values.global.imageRegistry, image.registry);
  const repository = choose(filled(registry), text`${registry}/${image.repository}`, image.repository);
  const tag = either(image.tag, defaultTag);
  return new Named(
    name,
    choose(filled(image.digest), text`${repository}@${image.digest}`, text`${repository}:${tag}`),
  );
}

export const millraceImage = imageOf("millrace.image", values.image, appVersion);
export const rabbitmqImage = imageOf("millrace.rabbitmqImage", values.rabbitmq.image, "latest");
export const mongodbImage = imageOf("millrace.mongodbImage", values.mongodb.image, "latest");
const { prometheus, grafana } = values.monitoring.bundled;
export const prometheusImage = imageOf("millrace.prometheusImage", prometheus.image, "latest");
export const grafanaImage = imageOf("millrace.grafanaImage", grafana.image, "latest");
