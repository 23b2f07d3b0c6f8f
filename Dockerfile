# Images of packetd, for linux/amd64 and linux/arm64:
#
#   docker build --target sensor    -t packetd-sensor .
#   docker build --target collector -t packetd-collector .
#   docker build --target demo      -t packetd-demo .       (demo services and load; never for production)
#
# All run as user 65532 and write nothing to their root file system.
ARG NODE_IMAGE=node:24-bookworm-slim
# What that one is made from. The sensor and the collector are this and the program node: without npm, yarn, corepack
# and headers, which nothing here calls, and with node once, which the sensor's image has a marked copy of.
ARG BASE_IMAGE=debian:bookworm-slim

# TypeScript to JavaScript. The result is the same on every architecture, so it is built on the builder's own.
FROM --platform=$BUILDPLATFORM ${NODE_IMAGE} AS build
WORKDIR /opt/packetd
COPY package.json package-lock.json .npmrc ./
COPY proto/package.json proto/
COPY sensor/package.json sensor/
COPY collector/package.json collector/
COPY cli/package.json cli/
COPY test/package.json test/
# --ignore-scripts: koffi and snappy come prebuilt; cap (libpcap) is not used on Linux.
RUN npm ci --prefer-offline --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.base.json ./
COPY proto proto
COPY sensor sensor
COPY collector collector
COPY cli cli
COPY scripts/bundle.mjs scripts/
RUN node node_modules/typescript/bin/tsc -b cli && node scripts/bundle.mjs

# packetd and what it needs at run time, with the native parts of the target's architecture.
FROM ${NODE_IMAGE} AS packetd
WORKDIR /opt/packetd
COPY package.json package-lock.json .npmrc ./
COPY proto/package.json proto/
COPY sensor/package.json sensor/
COPY collector/package.json collector/
COPY cli/package.json cli/
COPY test/package.json test/
RUN npm ci --prefer-offline --ignore-scripts --no-audit --no-fund --omit=dev \
      -w proto -w sensor -w collector -w cli \
  # More than half of it all, and read by no program.
  && find node_modules -name '*.map' -delete -o -name '*.[cm]ts' -delete -o -name '*.ts' -delete
COPY --from=build /opt/packetd/cli/bundle cli/bundle
COPY cli/bin cli/bin
COPY LICENSE ./

# The clients of the demo's load generator.
FROM ${NODE_IMAGE} AS demo-dependencies
WORKDIR /opt/packetd
COPY package.json package-lock.json .npmrc ./
COPY proto/package.json proto/
COPY sensor/package.json sensor/
COPY collector/package.json collector/
COPY cli/package.json cli/
COPY test/package.json test/
RUN npm ci --prefer-offline --ignore-scripts --no-audit --no-fund -w test

# setcap, which the sensor's image does not keep.
FROM ${NODE_IMAGE} AS tools
RUN command -v setcap >/dev/null \
  || { apt-get update && apt-get install -y --no-install-recommends libcap2-bin && rm -rf /var/lib/apt/lists/*; }

FROM ${BASE_IMAGE} AS runtime
# Volumes that are empty take the owner of the directory they are mounted on: user 65532 may write them.
RUN install -d -o 65532 -g 65532 /var/lib/packetd /run/packetd /volumes/nats /volumes/metrics /volumes/demo
ENV NODE_ENV=production
WORKDIR /opt/packetd

FROM runtime AS collector
COPY --from=packetd /usr/local/bin/node /usr/local/bin/
COPY --from=packetd /opt/packetd ./
USER 65532:65532
EXPOSE 9091
ENTRYPOINT ["node", "/opt/packetd/cli/bin/packetd.js"]
CMD ["collector"]

# cap_add gives a container's root the capability, but no other user: after execve a user other than 0 has an
# empty effective set unless the file carries the capability. So this image's node carries CAP_NET_RAW, alone.
# The price is that allowPrivilegeEscalation / no-new-privileges must not forbid it (see docs/deployment.md).
# A container started without NET_RAW in its bounding set refuses to start node at all.
FROM runtime AS sensor
RUN --mount=type=bind,from=tools,source=/,target=/mnt \
  install /mnt/usr/local/bin/node /usr/local/bin/ \
  && LD_LIBRARY_PATH=$(echo /mnt/lib/*-linux-gnu):$(echo /mnt/usr/lib/*-linux-gnu) \
  "$(ls /mnt/usr/sbin/setcap /mnt/sbin/setcap 2>/dev/null | head -n 1)" cap_net_raw+ep /usr/local/bin/node
COPY --from=packetd /opt/packetd ./
USER 65532:65532
ENTRYPOINT ["node", "/opt/packetd/cli/bin/packetd.js"]
CMD ["agent"]

FROM ${NODE_IMAGE} AS demo
ENV NODE_ENV=production
WORKDIR /opt/packetd
COPY --from=demo-dependencies /opt/packetd/node_modules node_modules
COPY LICENSE ./
COPY deploy/demo deploy/demo
USER 65532:65532
CMD ["node", "deploy/demo/load.mjs"]
