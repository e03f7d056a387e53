import type { IncomingHttpHeaders } from "node:http";
import { MillraceError } from "../errors.ts";

/**
 * Refuses what a page of another site made a browser send: it would act with the reach of whoever looks at that page. JSON alone
 * is taken, since a form cannot send it.
 * @throws MillraceError CROSS_SITE or UNSUPPORTED_MEDIA_TYPE.
 */
export function checkSameSite(headers: IncomingHttpHeaders): void {
  const site = headers["sec-fetch-site"];
  if (site !== undefined && site !== "same-origin" && site !== "none") {
    throw new MillraceError("CROSS_SITE", "the header Sec-Fetch-Site says so");
  }
  const { origin, host } = headers;
  if (origin !== undefined && hostOf(origin) !== host?.toLowerCase()) {
    throw new MillraceError("CROSS_SITE", "the header Origin names another host");
  }
  const type = headers["content-type"]?.split(";", 1)[0]?.trim().toLowerCase();
  if (type !== "application/json")
    throw new MillraceError("UNSUPPORTED_MEDIA_TYPE", "only application/json is taken");
}

const hostOf = (origin: string): string | undefined => URL.parse(origin)?.host;
