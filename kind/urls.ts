import type { Cluster } from "./cluster.ts";

/** What to try, for a person to copy. */
export function urls({ httpPort, httpsPort, reach, kubeconfig, programs, context }: Cluster): string {
  const base = `http://127.0.0.1${httpPort === 80 ? "" : `:${httpPort}`}`;
  const event = '{"username":"kodingbot","metric":"kite_call","count":1}';
  const online = reach === "online";
  const kubectl = `${programs.kubectl}${online ? ` --context ${context}` : ""} --namespace millrace`;
  const forward = (name: string, port: number): string =>
    `${kubectl} port-forward service/millrace-${name} ${port}   # then http://127.0.0.1:${port}`;
  return `
The console:
${base}/

Post an event:
curl -i ${base}/event -H 'content-type: application/json' -d '${event}'

See what became of it:
curl ${base}/accounts/kodingbot
curl ${base}/metrics/distinct_names
curl ${base}/metrics/hourly_logs/total
curl ${base}/metrics/hourly_logs/per_user

The same by TLS at https://127.0.0.1:${httpsPort} (curl --insecure); the query API is described at ${base}/docs

Look inside:
${online ? "" : `export KUBECONFIG=${kubeconfig}\n`}${kubectl} get pods
${forward("prometheus", 9090)}
${online ? `${forward("grafana", 3000)}\n` : ""}`;
}
