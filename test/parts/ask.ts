import { connect } from "amqplib";
import { MongoClient } from "mongodb";

/** The broker's name and version. Rejects when it does not answer within a second. */
export async function askBroker(url: string): Promise<string> {
  const model = await connect(url, { timeout: 1000 });
  model.on("error", () => {});
  const { product, version } = model.connection.serverProperties;
  await model.close();
  return `${product} ${version}`;
}

/** Resolves when the management API answers. Rejects when it does not within two seconds. */
export async function askManagement(managementUrl: string): Promise<void> {
  const { username, password, origin } = new URL(managementUrl);
  const authorization = `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
  const answer = await fetch(`${origin}/api/overview`, {
    headers: { authorization },
    signal: AbortSignal.timeout(2000),
  });
  await answer.arrayBuffer();
  if (!answer.ok) throw new Error(`${origin}/api/overview answers ${answer.status}`);
}

/** The store's name and version. Rejects when it does not answer within a second. */
export async function askStore(url: string): Promise<string> {
  const options = { serverSelectionTimeoutMS: 1000, connectTimeoutMS: 1000, socketTimeoutMS: 2000 };
  await using client = new MongoClient(url, options);
  const admin = client.db("admin");
  const build = await admin.command({ buildInfo: 1 });
  const hello = await admin.command({ hello: 1 });
  const ferretDb: unknown = build["ferretdb"]?.version;
  if (typeof ferretDb !== "string") return `MongoDB ${build["version"]}`;
  return `FerretDB ${ferretDb.replace(/^v/, "")} (MongoDB wire ${hello["maxWireVersion"]}, as ${build["version"]})`;
}
