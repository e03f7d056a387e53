import { faultsOfConnections } from "./connections.ts";
import { faultsOfObjectives, faultsOfPodMonitors, faultsOfScrapes, faultsOfSources } from "./monitoring.ts";
import {
  badNames,
  badSelectors,
  changingClaims,
  duplicateNames,
  duplicateObjects,
  foreignNamespaces,
  missingLabels,
} from "./names.ts";
import { type KubernetesObject, titleOf } from "./objects.ts";
import { faultsOfImages, faultsOfLives, faultsOfProbes, unrestrictedPods } from "./pods.ts";
import { faultsOfPolicies, unguardedPods } from "./policies.ts";
import { countlessWorkloads, faultsOfQueueScalers } from "./queue-scalers.ts";
import { danglingReferences } from "./references.ts";
import { faultsOfRights, faultsOfTokens } from "./rights.ts";
import { faultsOfBudgets, faultsOfScalers } from "./scaling.ts";
import { shownSecrets } from "./secrets.ts";
import { faultsOfRoutes, faultsOfServices } from "./services.ts";
import { faultsOfSettings } from "./settings.ts";

/** What one set of values makes of the chart. */
export interface Rendered {
  readonly release: string;
  readonly namespace: string;
  readonly values: unknown;
  readonly objects: readonly KubernetesObject[];
}

/** What holds for every set of values, as a sentence; each tells its faults. */
export const checks: Readonly<Record<string, (rendered: Rendered) => readonly string[]>> = {
  "no two objects have the same kind and name": ({ objects }) => duplicateObjects(objects),
  "no variable, port, volume or container is named twice": ({ objects }) => duplicateNames(objects),
  "names and labels are within their limits": ({ objects }) => badNames(objects),
  "every object is labelled as of the release": ({ objects, release }) => missingLabels(objects, release),
  "every object is in the release's namespace": ({ objects, namespace }) =>
    foreignNamespaces(objects, namespace),
  "a workload selects its own pods alone, by what never changes": ({ objects }) => badSelectors(objects),
  "a claim's labels never change": ({ objects }) => changingClaims(objects),
  "every pod meets the restricted standard": ({ objects }) => unrestrictedPods(objects),
  "the operator alone has a token of Kubernetes": ({ objects }) => faultsOfTokens(objects),
  "rights are the operator's, and say what they are about": ({ objects, namespace }) =>
    faultsOfRights(objects, namespace),
  "every image has a tag or a digest": ({ objects }) => faultsOfImages(objects),
  "every container that serves has its three probes": ({ objects }) => faultsOfProbes(objects),
  "every container says what it needs, and how it ends": ({ objects }) => faultsOfLives(objects),
  "no secret is to be read but in a Secret": ({ objects }) => shownSecrets(objects),
  "every Service leads to one workload, by the name of a port": ({ objects }) => faultsOfServices(objects),
  "every route leads to a port of a Service": ({ objects }) => faultsOfRoutes(objects),
  "a disruption budget guards one workload, and lets a node be drained": ({ objects }) =>
    faultsOfBudgets(objects),
  "who is scaled does not say its replicas": ({ objects }) => faultsOfScalers(objects),
  "of every workload somebody says how many pods it has": ({ objects }) => countlessWorkloads(objects),
  "a QueueScaler leads to a broker that may be asked, and to what may be scaled": ({ objects, namespace }) =>
    faultsOfQueueScalers(objects, namespace),
  "whatever a pod names is there": ({ objects, values }) => danglingReferences(objects, values),
  "with policies, every pod is under them": ({ objects }) => unguardedPods(objects),
  "the policies of both ends agree": ({ objects }) => faultsOfPolicies(objects),
  "every role would start with its settings": ({ objects }) => faultsOfSettings(objects),
  "every URL leads to a Service that may be reached": ({ objects, namespace }) =>
    faultsOfConnections(objects, namespace),
  "the console sees every role": ({ objects }) => faultsOfSources(objects),
  "a worker and its QueueScaler have the same objective": ({ objects }) => faultsOfObjectives(objects),
  "the bundled Prometheus sees every role, and Grafana sees it": ({ objects }) => faultsOfScrapes(objects),
  "a PodMonitor is about each role, if there are any": ({ objects }) => faultsOfPodMonitors(objects),
  "nothing is left of a template": ({ objects }) => leftOvers(objects),
};

/** Nulls, and what Go prints where a value was missing or of another type. */
function leftOvers(objects: readonly KubernetesObject[]): string[] {
  const faults = (tree: unknown, path: string): string[] => {
    if (tree === null) return [`${path} is null`];
    if (typeof tree === "string")
      return /<no value>|<nil>|%!\w?\(|\bmap\[\w/.test(tree) ? [`${path} is ${tree}`] : [];
    if (typeof tree !== "object") return [];
    return Object.entries(tree).flatMap(([key, branch]) => faults(branch, `${path}.${key}`));
  };
  return objects.flatMap((object) => faults(object, titleOf(object)));
}
