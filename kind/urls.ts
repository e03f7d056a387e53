import type { Cluster } from "./cluster.ts";

/** What to try, for a person to copy. */
export function urls({ httpPort, httpsPort, reach, kubeconfig, programs, context }: Cluster): string {
  const base = `http://127.0.0.1${httpPort === 80 ? "" : `:${httpPort}`}`;
  const event = '{"username":"kodingbot","metric":"kite_call","count":1}';
  const own =
    reach === "online"
      ? `kubectl --context ${context} --namespace millrace get pods`
      : `export KUBECONFIG=${kubeconfig}\n${programs.kubectl} --namespace millrace get pods`;
  return `
Post an event:
curl -i ${base}/event -H 'content-type: application/json' -d '${event}'

See what became of it:
curl ${base}/accounts/kodingbot
curl ${base}/metrics/distinct_names
curl ${base}/metrics/hourly_logs/total
curl ${base}/metrics/hourly_logs/per_user

The same by TLS at https://127.0.0.1:${httpsPort} (curl --insecure); the query API is described at ${base}/docs

Look inside:
${own}
`;
}
