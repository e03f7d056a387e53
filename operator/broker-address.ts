import { X509Certificate } from "node:crypto";
import type { BrokerAddress } from "./broker-figures.ts";
import type { QueueScalerSpec } from "./queue-scaler.ts";

type BrokerRef = QueueScalerSpec["brokerRef"];
type SecretData = Readonly<Record<string, string>>;
/** Undefined where there is none. */
type FoundUrl = URL | "unreadable" | undefined;

/** Ports of the management API, as the plugin has them by default: https://www.rabbitmq.com/docs/networking#ports */
const PLAIN_PORT = 15_672;
const TLS_PORT = 15_671;

/**
 * Where the management API is, and as whom it is asked; else a sentence that names the Secret, its key and what is allowed,
 * and no value of it. `data` is the Secret's, decoded.
 *
 * The address is that of the spec, else of the Secret's management URL, else the usual port of its AMQP URL's host. User and
 * password are those of their own keys, else of the first of these URLs that has them.
 */
export function brokerAddress({ url, secret }: BrokerRef, data: SecretData): BrokerAddress | string {
  const amqp = urlOf(valueOf(data, secret.urlKey), /^amqps?:$/);
  const management = urlOf(valueOf(data, secret.managementUrlKey), /^https?:$/);
  const given = urlOf(url, /^https?:$/);
  const at = given ?? management ?? (amqp instanceof URL ? managementBeside(amqp) : amqp);
  if (at === undefined) return noAddress(secret, data);
  if (at === "unreadable") return unreadable(secret, given, management);
  const urls = [given, management, amqp];
  const username = valueOf(data, secret.usernameKey) ?? firstOf(urls, "username");
  const password = valueOf(data, secret.passwordKey) ?? firstOf(urls, "password");
  if (username === undefined || password === undefined) {
    return noCredentials(secret, amqp, username === undefined ? "user" : "password");
  }
  const ca = valueOf(data, secret.caKey);
  if (ca !== undefined && !holdsCertificates(ca)) {
    return `key ${secret.caKey} of Secret ${secret.name} must hold certificates in PEM, each from BEGIN CERTIFICATE to END CERTIFICATE`;
  }
  return { url: bare(at), username, password, ca };
}

/** Without the line end that an editor or `echo` has put after it; empty is as good as missing. */
function valueOf(data: SecretData, key: string): string | undefined {
  const value = Object.hasOwn(data, key) ? data[key]?.replace(/[\r\n]+$/, "") : undefined;
  return value === "" ? undefined : value;
}

function urlOf(text: string | undefined, protocol: RegExp): FoundUrl {
  if (text === undefined) return undefined;
  const url = URL.parse(text.trim());
  return url !== null && protocol.test(url.protocol) && url.hostname !== "" ? url : "unreadable";
}

function managementBeside({ protocol, hostname }: URL): URL {
  const secure = protocol === "amqps:";
  return new URL(secure ? `https://${hostname}:${TLS_PORT}` : `http://${hostname}:${PLAIN_PORT}`);
}

function firstOf(urls: readonly FoundUrl[], part: "username" | "password"): string | undefined {
  const found = urls.find((url) => url instanceof URL && url[part] !== "");
  return found instanceof URL ? decoded(found[part]) : undefined;
}

/** A lone percent sign stands for itself. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Without credentials and query; ends with a slash. */
function bare({ origin, pathname }: URL): string {
  return `${origin}${pathname.replace(/\/*$/, "/")}`;
}

function holdsCertificates(pem: string): boolean {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  return blocks.length > 0 && blocks.every(isCertificate);
}

function isCertificate(pem: string): boolean {
  try {
    void new X509Certificate(pem);
    return true;
  } catch {
    return false;
  }
}

const AMQP_FORM = "amqp://user:password@host or amqps://user:password@host";

function noAddress({ name, urlKey, managementUrlKey }: BrokerRef["secret"], data: SecretData): string {
  // The RabbitMQ cluster operator's own Secrets have it there: https://www.rabbitmq.com/kubernetes/operator/using-operator
  const hint =
    valueOf(data, "connection_string") === undefined
      ? ""
      : "; it has connection_string, which secret.urlKey may name";
  return `Secret ${name} has no key ${urlKey} (${AMQP_FORM}) and no key ${managementUrlKey} (http:// or https://), and brokerRef.url is not set${hint}`;
}

function unreadable(
  { name, urlKey, managementUrlKey }: BrokerRef["secret"],
  given: FoundUrl,
  management: FoundUrl,
): string {
  if (given !== undefined) return "brokerRef.url must be a URL such as https://rabbitmq.example.org:15671";
  const encoding = "; characters such as / and @ in user or password must be percent-encoded";
  if (management !== undefined) {
    return `key ${managementUrlKey} of Secret ${name} must be a URL that begins with http:// or https://${encoding}`;
  }
  return `key ${urlKey} of Secret ${name} must be a URL such as ${AMQP_FORM}${encoding}`;
}

function noCredentials(
  { name, urlKey, usernameKey, passwordKey }: BrokerRef["secret"],
  amqp: FoundUrl,
  missing: "user" | "password",
): string {
  const key = missing === "user" ? usernameKey : passwordKey;
  const inUrl = amqp === "unreadable" ? `its ${urlKey} is not a URL such as ${AMQP_FORM}` : "no URL has one";
  return `Secret ${name} tells no ${missing}: it has no key ${key}, and ${inUrl}`;
}
