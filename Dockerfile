# One image for every role: `docker run IMAGE collector`, `… worker hourlyLog`, `… query`, `… sweeper`, `… operator`, `… standalone`.
# Plain enough for the builder of an old Docker as well: no syntax line, no mounts.

FROM node:24.21.0-trixie-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund
COPY bin bin
COPY src src
COPY operator operator
# The JavaScript that Node makes of the TypeScript: 30 MB less memory and a third less time to start than without. Node
# looks for it by its version, the features of the processor and the user's number; where one differs it does without.
ENV NODE_COMPILE_CACHE=/app/.compile-cache
RUN install --directory --owner=1000 --group=1000 "$NODE_COMPILE_CACHE" /data \
 && setpriv --reuid=1000 --regid=1000 --clear-groups node bin/millrace.js config \
 && chown --recursive root:root "$NODE_COMPILE_CACHE" \
 && chmod --recursive a+rX "$NODE_COMPILE_CACHE"

FROM node:24.21.0-trixie-slim
LABEL org.opencontainers.image.title="millrace" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.description="Event ingestion that never loses an acknowledged event and counts each one exactly once" \
      org.opencontainers.image.licenses="Apache-2.0"
WORKDIR /app
COPY --from=build /app/node_modules node_modules
COPY --from=build --chown=1000:1000 /data /data
COPY package.json LICENSE ./
COPY bin bin
COPY src src
COPY operator operator
COPY --from=build /app/.compile-cache .compile-cache
ENV NODE_ENV=production NODE_COMPILE_CACHE=/app/.compile-cache MILLRACE_HOST=0.0.0.0 MILLRACE_DATA_DIR=/data
# A number, so that Kubernetes can tell that it is not root. All but /data belongs to root.
USER 1000:1000
EXPOSE 3000 3001 9090
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.MILLRACE_ADMIN_PORT || 9090}/healthz`).then(({ ok }) => process.exit(ok ? 0 : 1))"]
ENTRYPOINT ["node", "/app/bin/millrace.js"]
CMD ["standalone"]
