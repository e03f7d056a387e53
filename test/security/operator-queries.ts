const base64url = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
const texts = [
  '{"$gt":""}',
  '{"$ne":null}',
  "$where",
  '{"$where":"sleep(1000)"}',
  "[$ne]",
  "' OR '1'='1",
  ".*",
];
const encoded = texts.map(encodeURIComponent);
const forms = (name: string): readonly string[] => [
  ...encoded.map((text) => `${name}=${text}`),
  ...["$gt", "$ne", "$regex", "$where", "", "__proto__"].map((operator) => `${name}[${operator}]=`),
  `${name}.$gt=`,
  `${name}=a&${name}=b`,
];
const cursors = [
  base64url([{ $gt: "" }]),
  base64url([{ $gt: "" }, { $gt: "" }]),
  base64url([{ $ne: 1 }, "u"]),
  base64url({ $gt: "" }),
];
const routes = {
  "/metrics/hourly_logs/total": ["order", "limit", "cursor"],
  "/metrics/hourly_logs/per_user": ["username", "metric", "limit", "cursor"],
  "/metrics/distinct_names": ["granularity", "from", "to", "limit", "cursor"],
  "/accounts": ["since", "limit", "cursor"],
} as const;

/** Paths that would find rows if an operator of MongoDB, or SQL, were taken for what it says. */
export const operatorQueries: readonly string[] = [
  ...Object.entries(routes).flatMap(([path, names]) => [
    ...names.flatMap(forms).map((search) => `${path}?${search}`),
    ...cursors.map((cursor) => `${path}?cursor=${cursor}`),
  ]),
  ...encoded.map((text) => `/accounts/${text}`),
  "/accounts/[object%20Object]",
];
