import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Namespace } from "./install.ts";

type Row = readonly [allowed: "may" | "must not", verb: string, what: string, name?: string, where?: string];

const HOME = "millrace";
const ELSEWHERE = "kube-system";
/** What is in no namespace. */
const CLUSTER = "";
const CREDENTIALS = "millrace-credentials";

/** `what` is a resource with its API group and subresource, as in `deployments.apps/scale`. */
const rows: readonly Row[] = [
  ["may", "list", "queuescalers.millrace.io"],
  ["may", "watch", "queuescalers.millrace.io"],
  ["may", "patch", "queuescalers.millrace.io/status"],
  ["may", "list", "deployments.apps"],
  ["may", "watch", "deployments.apps"],
  ["may", "list", "statefulsets.apps"],
  ["may", "get", "deployments.apps/scale"],
  ["may", "patch", "deployments.apps/scale"],
  ["may", "patch", "statefulsets.apps/scale"],
  ["may", "list", "horizontalpodautoscalers.autoscaling"],
  ["may", "get", "secrets", CREDENTIALS],
  ["may", "get", "secrets", "wrong-password"],
  ["may", "create", "events.events.k8s.io"],
  ["may", "patch", "events.events.k8s.io"],
  ["may", "create", "leases.coordination.k8s.io"],
  ["may", "get", "leases.coordination.k8s.io", "millrace-operator"],
  ["may", "update", "leases.coordination.k8s.io", "millrace-operator"],

  ["must not", "get", "secrets", "another"],
  ["must not", "get", "secrets"],
  ["must not", "list", "secrets"],
  ["must not", "watch", "secrets"],
  ["must not", "create", "secrets"],
  ["must not", "update", "secrets", CREDENTIALS],
  ["must not", "delete", "secrets", CREDENTIALS],
  ["must not", "get", "secrets", CREDENTIALS, ELSEWHERE],
  ["must not", "patch", "deployments.apps"],
  ["must not", "update", "deployments.apps"],
  ["must not", "create", "deployments.apps"],
  ["must not", "delete", "deployments.apps"],
  ["must not", "update", "deployments.apps/scale"],
  ["must not", "patch", "statefulsets.apps"],
  ["must not", "patch", "replicasets.apps/scale"],
  ["must not", "list", "pods"],
  ["must not", "create", "pods"],
  ["must not", "delete", "pods"],
  ["must not", "create", "pods/exec"],
  ["must not", "get", "pods/log"],
  ["must not", "get", "configmaps"],
  ["must not", "create", "queuescalers.millrace.io"],
  ["must not", "patch", "queuescalers.millrace.io"],
  ["must not", "update", "queuescalers.millrace.io"],
  ["must not", "update", "queuescalers.millrace.io/status"],
  ["must not", "delete", "queuescalers.millrace.io"],
  ["must not", "patch", "horizontalpodautoscalers.autoscaling"],
  ["must not", "delete", "horizontalpodautoscalers.autoscaling"],
  ["must not", "get", "leases.coordination.k8s.io", "another"],
  ["must not", "delete", "leases.coordination.k8s.io", "millrace-operator"],
  ["must not", "list", "queuescalers.millrace.io", "", ELSEWHERE],
  ["must not", "patch", "deployments.apps/scale", "coredns", ELSEWHERE],
  ["must not", "create", "events.events.k8s.io", "", ELSEWHERE],
  ["must not", "create", "leases.coordination.k8s.io", "", ELSEWHERE],
  ["must not", "create", "serviceaccounts/token", "millrace-operator"],
  ["must not", "impersonate", "serviceaccounts"],
  ["must not", "create", "rolebindings.rbac.authorization.k8s.io"],
  ["must not", "escalate", "roles.rbac.authorization.k8s.io"],
  ["must not", "bind", "clusterroles.rbac.authorization.k8s.io", "", CLUSTER],
  ["must not", "create", "clusterrolebindings.rbac.authorization.k8s.io", "", CLUSTER],
  ["must not", "list", "queuescalers.millrace.io", "", CLUSTER],
  ["must not", "list", "nodes", "", CLUSTER],
  ["must not", "list", "namespaces", "", CLUSTER],
  ["must not", "patch", "customresourcedefinitions.apiextensions.k8s.io", "", CLUSTER],
];

/** The API server's own judgement of what an account may do. */
function review(user: string, [, verb, what, name = "", namespace = HOME]: Row): object {
  const [, resource, group = "", subresource = ""] = /^([a-z]+)(?:\.([^/]+))?(?:\/(.+))?$/.exec(what) ?? [];
  return {
    apiVersion: "authorization.k8s.io/v1",
    kind: "SubjectAccessReview",
    spec: { user, resourceAttributes: { verb, group, resource, subresource, name, namespace } },
  };
}

async function judge(namespace: Namespace, user: string): Promise<readonly Row[0][]> {
  const folder = await mkdtemp(join(tmpdir(), "millrace-rights-"));
  try {
    const file = join(folder, "reviews.json");
    await writeFile(
      file,
      JSON.stringify({ apiVersion: "v1", kind: "List", items: rows.map((row) => review(user, row)) }),
    );
    const path = 'jsonpath={.status.allowed}{"\\n"}';
    const text = await namespace.kubectl("create", "--filename", file, "--output", path);
    return text
      .trim()
      .split("\n")
      .map((allowed) => (allowed === "true" ? "may" : "must not"));
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** The tests of what the operator may do in the cluster, and of what it must not. */
export function rightsTests(installed: () => Namespace): void {
  const account = `system:serviceaccount:${HOME}:millrace-operator`;

  test("the operator may do what it needs, and nothing of what it does not", {
    timeout: 60_000,
  }, async () => {
    const verdicts = await judge(installed(), account);
    expect(rows.map(([, ...row], index) => [verdicts[index], ...row])).toEqual(rows);
  });

  test("a request in its name is refused, too", { timeout: 60_000 }, async () => {
    const as = `--as=${account}`;
    const ask = async (...words: readonly string[]) => installed().kubectl(as, ...words);
    const scaler = ["queuescaler", "millrace-worker-hourly-log"];
    expect(await ask("get", ...scaler, "--output=name")).toContain(scaler[1]);
    expect(await ask("get", "secret", CREDENTIALS, "--output=name")).toContain(CREDENTIALS);
    const merge = ["--type=merge", "--patch"];
    await expect(ask("get", "secrets")).rejects.toThrow("forbidden");
    await expect(ask("patch", ...scaler, ...merge, '{"spec":{"paused":true}}')).rejects.toThrow("forbidden");
    const none = '{"spec":{"template":{"spec":{"containers":[]}}}}';
    await expect(ask("patch", "deployment", "millrace-query", ...merge, none)).rejects.toThrow("forbidden");
  });
}
