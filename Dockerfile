# Cairn in one image: every role, the command, and nothing else. See docs/operations.md.
ARG NODE_IMAGE=node:24-bookworm-slim

FROM ${NODE_IMAGE} AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates g++ make python3 \
 && rm -rf /var/lib/apt/lists/*
# Native parts are compiled against the headers that the image brings: nothing is downloaded but npm packages.
ENV npm_config_nodedir=/usr/local npm_config_build_from_source=true
WORKDIR /cairn
COPY package.json package-lock.json ./
COPY protocol/package.json protocol/
COPY metadata-service/package.json metadata-service/
COPY chunk-server/package.json chunk-server/
COPY client/package.json client/
COPY gateway/package.json gateway/
COPY cli/package.json cli/
COPY e2e/package.json e2e/
COPY bench/package.json bench/
# better-sqlite3 13 comes compiled; 12, which takes minutes, is only for Node 20.
RUN npm ci --ignore-scripts --no-audit --no-fund \
 && npm rebuild blake3 @c4312/blake3-native \
 && if [ "$(node -p 'process.versions.node < "22"')" = true ]; then npm rebuild better-sqlite3; fi
COPY . .
RUN npm run build && npm prune --omit=dev --ignore-scripts --no-audit --no-fund \
 && rm -rf node_modules/better-sqlite3*/deps node_modules/better-sqlite3*/build/Release/obj \
 && rm -rf e2e bench ./*/test ./*/dist/test ./*/src

FROM ${NODE_IMAGE}
RUN groupadd --gid 10001 cairn \
 && useradd --uid 10001 --gid cairn --no-create-home --shell /usr/sbin/nologin cairn \
 && mkdir /data && chown cairn:cairn /data \
 && ln -s /cairn/cli/bin/cairn.js /usr/local/bin/cairn
COPY --from=build /cairn /cairn
ENV NODE_ENV=production CAIRN_DATA_DIR=/data CAIRN_HOST=0.0.0.0 MALLOC_ARENA_MAX=2
USER cairn
VOLUME /data
EXPOSE 9000 9100 9101 9200 9201
HEALTHCHECK --interval=10s --timeout=10s --start-period=60s --retries=3 CMD ["cairn", "health"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["cairn"]
CMD ["start"]
